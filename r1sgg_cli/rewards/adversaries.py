"""Answers that should not pay: what a policy finds when a reward is worth more than what it was meant for.

Each is made from an image's ground truth, and as strong as can be: what is spammed stands beside the whole truth, so
that a reward of recall alone gives it everything. They are compared with that truth, but for one kind: a policy that
is not sure does not know the truth. If it takes four predicates to be equally likely, it can say one, and be right one
time in four, or all four. Where saying all four is worth as much, it has no reason to decide.
"""

import itertools
import json
from collections.abc import Sequence
from typing import Any

from r1sgg_cli.config.schema import Task
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.labels import normalise_label

HONEST, ONE_GUESS = "honest", "one guess"
COMPARED_WITH = {"several guesses": ONE_GUESS}
"""Kind of answer → what it must not earn as much as; the truth where it is not named."""
NUM_GUESSES = 4
KINDS = {
    HONEST: "the ground truth itself",
    "empty graph": "no object, no relationship",
    "box spam": "the truth, and each of its names on a grid of 49 boxes",
    "predicate spam": "the truth, and every predicate on every pair",
    "one more predicate": "the truth, and one wrong predicate more on each of its pairs",
    ONE_GUESS: "of up to four predicates for each relationship, one of them right, the same one by lot",
    "several guesses": "all of those, that one first; compared not with the truth but with one guess",
    "NaN boxes": "the truth with boxes of NaN",
    "duplicates": "the truth, every item twice",
    "copied prompt": "the question itself",
    "truncated": "the truth, cut off after three fifths of the text",
}
"""Kind of answer → what it says."""
_NOT_OF: dict[Task, frozenset[str]] = {
    "sgg": frozenset(),
    "det": frozenset({"predicate spam", "one more predicate", ONE_GUESS, "several guesses"}),
    "cls": frozenset({"box spam", "NaN boxes"}),  # objects are given, and what an answer says of them is not read
}
GRID = 7
MAX_PAIRS = 200
"""Pairs of one answer that are spammed with predicates: of fifty predicates they make ten thousand relationships."""
KEPT_SHARE = 0.6
"""Of the text of a truncated answer."""

_Rows = tuple[list[dict[str, Any]], list[dict[str, Any]]]


def adversarial_answers(
    truth: SceneGraph, predicates: Sequence[str], question: str, task: Task
) -> dict[str, tuple[str, ...]]:
    """Kind → texts of answers to `task`, equally likely where there are several; `truth` has the answer's boxes.

    `predicates` are those that can be said, `question` is what was asked. Kinds that need a wrong predicate are left
    out where there is none.
    """
    objects, relationships = _rows(truth)
    single: dict[str, _Rows] = {
        HONEST: (objects, relationships),
        "empty graph": ([], []),
        "box spam": (objects + _grid(truth), relationships),
        "predicate spam": (objects, relationships + _all_predicates(truth, predicates)),
        "NaN boxes": ([{**item, "bbox": [float("nan")] * 4} for item in objects], relationships),
        "duplicates": _twice(truth, task),
    }
    graphs = {kind: [graph] for kind, graph in single.items()}
    graphs |= {kind: [(objects, links) for links in each] for kind, each in _guessed(truth, predicates).items()}
    texts = {kind: tuple(_written(graph, task) for graph in each) for kind, each in graphs.items()}
    (honest,) = texts[HONEST]
    texts |= {"copied prompt": (question,), "truncated": (honest[: int(KEPT_SHARE * len(honest))],)}
    return {kind: texts[kind] for kind in KINDS if kind in texts and kind not in _NOT_OF[task]}


def _rows(graph: SceneGraph) -> _Rows:
    objects, relationships = graph.to_rows()
    return [dict(item) for item in objects], [dict(link) for link in relationships]


def _written(graph: _Rows, task: Task) -> str:
    lists = {"objects": graph[0], "relationships": graph[1]}
    left_out = {"sgg": "", "det": "relationships", "cls": "objects"}[task]
    return f"<think></think><answer>{json.dumps({k: v for k, v in lists.items() if k != left_out})}</answer>"


def _grid(truth: SceneGraph) -> list[dict[str, Any]]:
    """Objects of each name in every cell of a grid over the image."""
    width, height = (side / GRID for side in truth.space_wh)
    cells = [(column * width, row * height) for row in range(GRID) for column in range(GRID)]
    named = itertools.product(dict.fromkeys(truth.names), cells)
    return [
        {"id": f"{name}.{number}", "bbox": [x, y, x + width, y + height]}
        for number, (name, (x, y)) in enumerate(named, start=10_000)
    ]


def _all_predicates(truth: SceneGraph, predicates: Sequence[str]) -> list[dict[str, Any]]:
    """What the truth does not say between its objects, those pairs first of which it says something."""
    annotated = [(triplet.subject, triplet.object) for triplet in truth.triplets]
    pairs = dict.fromkeys([*annotated, *itertools.permutations(range(len(truth.ids)), 2)])
    said = set(truth.triplets)  # labels in normal form
    return [
        {"subject": truth.ids[subject], "predicate": predicate, "object": truth.ids[target]}
        for subject, target in itertools.islice(pairs, MAX_PAIRS)
        for predicate in predicates
        if (subject, normalise_label(predicate), target) not in said
    ]


def _guessed(truth: SceneGraph, predicates: Sequence[str]) -> dict[str, list[list[dict[str, Any]]]]:
    """Relationships of the kinds that add to each annotated one what could be said in its place."""
    relationships = _rows(truth)[1]
    said = set(truth.triplets)
    wrong = [
        [word for word in predicates if (subject, normalise_label(word), target) not in said]
        for subject, _, target in truth.triplets
    ]
    number = min(NUM_GUESSES, 1 + min(map(len, wrong), default=0))
    if number == 1:
        return {}
    rivals = [
        [link, *({**link, "predicate": word} for word in words[: number - 1])]
        for link, words in zip(relationships, wrong, strict=True)
    ]
    return {
        "one more predicate": [[link for guesses in rivals for link in guesses[:2]]],
        ONE_GUESS: [[guesses[place] for guesses in rivals] for place in range(number)],
        "several guesses": [
            [link for guesses in rivals for link in guesses[place:] + guesses[:place]] for place in range(number)
        ],
    }


def _twice(truth: SceneGraph, task: Task) -> _Rows:
    """Objects once more under other ids, and their relationships; where objects are given, the relationships alone."""
    objects, relationships = _rows(truth)
    if task == "cls":
        return objects, relationships * 2
    other = {
        own: f"{name}.{number}"
        for number, (own, name) in enumerate(zip(truth.ids, truth.names, strict=True), start=20_000)
    }
    again = [{**item, "id": other[item["id"]]} for item in objects]
    links = [{**link, "subject": other[link["subject"]], "object": other[link["object"]]} for link in relationships]
    return objects + again, relationships + links
