"""Probabilities of objects and relationships out of those of an answer's tokens."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.models.checkpoint import load_processor
from r1sgg_cli.models.completion import Completion
from r1sgg_cli.models.probabilities import Probabilities, answer_logprob, graph_probabilities, token_ends
from r1sgg_cli.scene_graph.parse import parse_answer

GRAPH: dict[str, list[dict[str, Any]]] = {
    "objects": [
        {"id": "red circle.1", "bbox": [0, 0, 100, 100]},
        {"id": "blue square.2", "bbox": [200, 200, 300, 300]},
    ],
    "relationships": [{"subject": "red circle.1", "predicate": "left of", "object": "blue square.2"}],
}
ANSWER = json.dumps(GRAPH, separators=(",", ":"))


@pytest.fixture(scope="module")
def tokenizer(tiny_checkpoint: Callable[[str], Path]) -> Any:
    return load_processor(str(tiny_checkpoint("qwen2_vl"))).tokenizer


def written(text: str, tokenizer: Any, logprob: Callable[[str], float]) -> Completion:
    """A completion whose tokens have the probability that `logprob` gives to what they spell."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    logprobs = [logprob(tokenizer.decode([token])) for token in ids]
    return Completion(text, "stop", len(ids), tuple(ids), (*logprobs, -0.5))


def test_tokens_spell_the_text(tokenizer: Any) -> None:
    completion = written("ein Würfel – 🟥 {}", tokenizer, lambda piece: -1.0)
    ends = token_ends(completion, tokenizer)
    assert ends is not None
    assert ends[-1] == len(completion.text)
    assert all(first <= second for first, second in pairwise(ends))


def test_an_object_has_the_probability_of_its_name_and_no_other(tokenizer: Any) -> None:
    start = ANSWER.index('"relationships"')
    completion = written(ANSWER, tokenizer, lambda piece: -1.0)
    ends = token_ends(completion, tokenizer)
    assert ends is not None
    # The numbers of boxes are unlikely, the first name likely, the second one less so.
    logprobs = [
        {"circle": -0.25, "square": -0.5}.get(next((name for name in ("circle", "square") if name in piece), ""), -9.0)
        for piece in map(tokenizer.decode, completion.token_ids)
    ]
    assert ends[logprobs.index(-0.5)] < start
    completion = Completion(ANSWER, "stop", len(ends), completion.token_ids, (*logprobs, -9.0))
    found = graph_probabilities(completion, parse_answer(ANSWER, (1000, 1000)), tokenizer)
    assert found is not None
    assert found.objects == (-0.25, -0.5)  # this tokenizer has a whole id as one token


def test_a_relationship_has_the_probability_of_its_three_values(tokenizer: Any) -> None:
    start = ANSWER.index('"relationships"')
    completion = written(ANSWER, tokenizer, lambda piece: -1.0)
    ends = token_ends(completion, tokenizer)
    assert ends is not None
    after = tuple(-1.0 if end > start else 0.0 for end in ends)
    completion = Completion(ANSWER, "stop", len(after), completion.token_ids, (*after, 0.0))
    found = graph_probabilities(completion, parse_answer(ANSWER, (1000, 1000)), tokenizer)
    assert found is not None
    assert found.objects == (0.0, 0.0)
    assert found.triplets[0] is not None
    assert found.triplets[0] <= -3.0


def test_what_is_dropped_shifts_nothing(tokenizer: Any) -> None:
    """Names among the thoughts, an object without a box and a dangling relationship are passed over."""
    objects = [{"id": "ghost.9"}, *GRAPH["objects"]]
    relationships = [{"subject": "ghost.9", "predicate": "on", "object": "red circle.1"}, *GRAPH["relationships"]]
    graph = json.dumps({"objects": objects, "relationships": relationships})
    text = f'<think>"id": "red circle.1"</think><answer>{graph}</answer>'
    parsed = parse_answer(text, (1000, 1000))
    kept = text.index('"red circle.1", "bbox"')
    completion = written(text, tokenizer, lambda piece: 0.0)
    ends = token_ends(completion, tokenizer)
    assert ends is not None
    logprobs = tuple(-1.0 if kept < end <= kept + len('"red circle.1') else 0.0 for end in ends)
    completion = Completion(text, "stop", len(ends), completion.token_ids, (*logprobs, 0.0))
    found = graph_probabilities(completion, parsed, tokenizer)
    assert found is not None
    first, second = found.objects
    assert first is not None
    assert first < 0
    assert second == 0
    assert found.triplets == (0.0,)


def test_without_probabilities_of_tokens_there_are_none(tokenizer: Any) -> None:
    completion = Completion(ANSWER, "stop", 1)
    assert answer_logprob(completion) is None
    assert graph_probabilities(completion, parse_answer(ANSWER, (1000, 1000)), tokenizer) is None


def test_tokens_that_do_not_spell_the_text_give_none(tokenizer: Any) -> None:
    completion = Completion(ANSWER, "stop", 1, (0,), (-1.0, -1.0))
    assert graph_probabilities(completion, parse_answer(ANSWER, (1000, 1000)), tokenizer) is None


def probabilities_where(text: str, marked: str, occurrence: int, tokenizer: Any) -> Probabilities:
    """Of the graph in a text whose tokens are certain but for those of one occurrence of `marked`."""
    parsed = parse_answer(text, (1000, 1000))
    completion = written(text, tokenizer, lambda piece: 0.0)
    ends = token_ends(completion, tokenizer)
    assert ends is not None
    start = -1
    for _ in range(occurrence):
        start = text.index(marked, start + 1)
    logprobs = tuple(-1.0 if start < end <= start + len(marked) else 0.0 for end in ends)
    found = graph_probabilities(Completion(text, "stop", 9, completion.token_ids, (*logprobs, 0.0)), parsed, tokenizer)
    assert found is not None
    return found


@pytest.mark.parametrize(("occurrence", "is_scored"), [(1, False), (2, True), (3, False)])
def test_of_objects_with_one_id_the_kept_one_is_scored(occurrence: int, is_scored: bool, tokenizer: Any) -> None:
    """The first has a box that is none, the third repeats the id of the second."""
    rows = [{"id": "red circle.1", "bbox": box} for box in ([5], [0, 0, 10, 10], [1, 1, 2, 2])]
    text = json.dumps({"objects": rows, "relationships": []})
    (logprob,) = probabilities_where(text, "red circle.1", occurrence, tokenizer).objects
    assert logprob is not None
    assert (logprob < 0) is is_scored


@pytest.mark.parametrize(("predicate", "is_scored"), [("", False), ("left of", True)])
def test_of_relationships_between_the_same_objects_the_kept_one_is_scored(
    predicate: str, is_scored: bool, tokenizer: Any
) -> None:
    """One says nothing, one lacks its predicate; neither lends its values to the one that is kept."""
    ends = {"subject": "red circle.1", "object": "blue square.2"}
    rows = [{**ends, "predicate": ""}, ends, {**ends, "predicate": "left of"}]
    text = json.dumps({"objects": GRAPH["objects"], "relationships": rows})
    marked = json.dumps({**ends, "predicate": predicate})
    (logprob,) = probabilities_where(text, marked, 1, tokenizer).triplets
    assert logprob is not None
    assert (logprob < 0) is is_scored


def test_a_box_that_was_clipped_or_counts_from_a_corner_is_still_known(tokenizer: Any) -> None:
    rows = [{"id": "red circle.1", "bbox": [-5, 0, 400, 2000]}]
    text = json.dumps({"objects": rows, "relationships": []})
    completion = written(text, tokenizer, lambda piece: -1.0)
    parsed = parse_answer(text, (300, 1000), (100, 0))
    found = graph_probabilities(completion, parsed, tokenizer, (100, 0))
    assert found is not None
    assert found.objects[0] is not None
