"""A model's answer, read as a scene graph. Rewards, gathering and reports all read answers here.

`answer.py` says where in the text the answer stands, `listing.py` what it lists. Where the objects are given, an answer
need list `"relationships"` only, and objects that it lists all the same are not read.

Every repair and every oddity is counted by kind, see `DEFECTS`.
"""

import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from r1sgg_cli.scene_graph.answer import find_answer
from r1sgg_cli.scene_graph.graph import SceneGraph, SpaceWH, Triplet
from r1sgg_cli.scene_graph.labels import normalise_label, object_name
from r1sgg_cli.scene_graph.listing import ParseError, read_lists, read_relationship_list

DEFECTS = {
    "prose": "text other than a code fence around the JSON",
    "truncated": "the text ends inside the JSON; whole items are kept",
    "broken_json": "a stretch that is no JSON was skipped",
    "bad_object": "no object, or an id that names nothing; dropped",
    "bad_box": "not four finite numbers in order, or wholly outside the image; the object is dropped",
    "clipped_box": "reaches beyond the image; clipped",
    "repeated_id": "an id used before; the first object keeps it",
    "repeated_object": "same name and same box as an earlier object; kept",
    "bad_relationship": "not three strings; dropped",
    "empty_predicate": "a predicate that says nothing; dropped",
    "dangling_relationship": "an end that names no kept object; dropped",
    "repeated_relationship": "same ends and predicate as an earlier one; kept",
    "missing_relationships": "no list of relationships",
}
"""What `ParsedAnswer.defects` counts, each kind with its meaning."""

__all__ = ["DEFECTS", "ParseError", "ParsedAnswer", "parse_answer"]

_Box = tuple[float, float, float, float]
_NUMBERS = frozenset({int, float})
_LARGEST = sys.float_info.max  # an integer may lie beyond it, and is infinite where broken JSON is read
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # control characters, lone surrogates
_new_triplet: Callable[[tuple[int, str, int]], Triplet] = partial(tuple.__new__, Triplet)  # half the price of Triplet()


@dataclass(frozen=True, slots=True, eq=False)
class ParsedAnswer:
    """What an answer says, and what had to be repaired to read it."""

    graph: SceneGraph
    defects: Mapping[str, int]
    """How often each kind was met; kinds that were not met are absent."""
    tagged: bool
    """The whole text is `<think>…</think><answer>…</answer>`."""
    given: bool = False
    """The objects were given; the answer's own are its relationships."""


def parse_answer(
    text: str, space_wh: SpaceWH, origin: tuple[float, float] = (0.0, 0.0), given: SceneGraph | None = None
) -> ParsedAnswer:
    """The scene graph in a model's answer, its boxes clipped to `space_wh`; raises `ParseError` and nothing else.

    `origin` is the image's top left corner in the answer's numbers; the boxes of the graph count from that corner.
    `given` is a graph whose objects, in `space_wh`, are those of the answer too: it names them by their ids.
    """
    if given is not None:
        return _parse_relationships(text, given)
    passage = find_answer(text)
    defects: Counter[str] = Counter()
    object_items, relationship_items = read_lists(passage, defects)
    index, names, boxes = _read_objects(object_items, _edges(space_wh, origin), defects)
    triplets = _read_relationships(relationship_items, index, defects)
    boxes_xyxy = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    if any(origin):
        boxes_xyxy = np.clip(boxes_xyxy - np.array(origin * 2), 0.0, np.array(space_wh * 2))
    return ParsedAnswer(SceneGraph(tuple(index), tuple(names), boxes_xyxy, triplets, space_wh), defects, passage.tagged)


def _edges(space_wh: SpaceWH, origin: tuple[float, float]) -> _Box:
    """Left, top, right and bottom edge of the image in the answer's numbers."""
    left, top = origin
    if not (left or top):
        return 0, 0, *space_wh
    slack = 1e-9  # edges of a shifted image are no exact decimals
    return left - slack, top - slack, left + space_wh[0] + slack, top + space_wh[1] + slack


def _parse_relationships(text: str, given: SceneGraph) -> ParsedAnswer:
    passage = find_answer(text)
    defects: Counter[str] = Counter()
    items = read_relationship_list(passage, defects)
    triplets = _read_relationships(items, {object_id: i for i, object_id in enumerate(given.ids)}, defects)
    graph = SceneGraph(given.ids, given.names, given.boxes_xyxy, triplets, given.space_wh)
    return ParsedAnswer(graph, defects, passage.tagged, given=True)


@lru_cache(maxsize=65_536)
def _name_of(object_id: Any) -> str:
    """The class name in an id, empty where it could not be written; raises `TypeError` on what is no string."""
    if not isinstance(object_id, str):
        raise TypeError
    name = object_name(object_id)
    return "" if _UNWRITABLE.search(name) else name


@lru_cache(maxsize=65_536)
def _predicate_of(text: Any) -> str:
    """The predicate, empty where it could not be written; raises `TypeError` on what is no string."""
    if not isinstance(text, str):
        raise TypeError
    predicate = normalise_label(text)
    return "" if _UNWRITABLE.search(predicate) else predicate


def _read_objects(items: list[Any], edges: _Box, defects: Counter[str]) -> tuple[dict[str, int], list[str], list[_Box]]:
    """Kept objects: id to position, names, boxes."""
    left, top, right, bottom = edges
    index: dict[str, int] = {}
    names: list[str] = []
    boxes: list[_Box] = []
    for item in items:
        try:
            object_id, numbers = item["id"], item["bbox"]
            name = _name_of(object_id)
            x1, y1, x2, y2 = numbers
        except (KeyError, TypeError, ValueError):
            defects[_object_fault(item)] += 1
            continue
        if not name or object_id in index:
            defects["repeated_id" if name else "bad_object"] += 1
            continue
        if not _NUMBERS.issuperset(map(type, numbers)):  # `true` is no number here
            defects["bad_box"] += 1
            continue
        if not (left <= x1 <= x2 <= right and top <= y1 <= y2 <= bottom):
            if not _meets_image(x1, y1, x2, y2, edges):
                defects["bad_box"] += 1
                continue
            defects["clipped_box"] += 1
            x1, y1, x2, y2 = max(x1, left), max(y1, top), min(x2, right), min(y2, bottom)
        index[object_id] = len(names)
        names.append(name)
        boxes.append((x1, y1, x2, y2))
    repeated = len(names) - len(set(zip(names, boxes, strict=True)))
    if repeated:
        defects["repeated_object"] += repeated
    return index, names, boxes


def _object_fault(item: Any) -> str:
    object_id = item.get("id") if isinstance(item, dict) else None
    return "bad_box" if isinstance(object_id, str) and _name_of(object_id) else "bad_object"


def _meets_image(x1: float, y1: float, x2: float, y2: float, edges: _Box) -> bool:
    """Whether a box is finite, ordered and partly inside its space; a NaN fails every comparison."""
    left, top, right, bottom = edges
    finite = x1 >= -_LARGEST and y1 >= -_LARGEST and x2 <= _LARGEST and y2 <= _LARGEST
    return finite and x1 <= x2 and y1 <= y2 and x1 < right and y1 < bottom and x2 > left and y2 > top


def _read_relationships(items: list[Any], index: Mapping[str, int], defects: Counter[str]) -> tuple[Triplet, ...]:
    triplets: list[Triplet] = []
    for item in items:
        try:
            predicate = _predicate_of(item["predicate"])
            triplet = _new_triplet((index[item["subject"]], predicate, index[item["object"]]))
        except (KeyError, TypeError):
            defects[_relationship_fault(item)] += 1
            continue
        if predicate:
            triplets.append(triplet)
        else:
            defects["empty_predicate"] += 1
    repeated = len(triplets) - len(set(triplets))
    if repeated:
        defects["repeated_relationship"] += repeated
    return tuple(triplets)


def _relationship_fault(item: Any) -> str:
    parts = [item.get(key) for key in ("subject", "predicate", "object")] if isinstance(item, dict) else [None]
    return "dangling_relationship" if all(isinstance(part, str) for part in parts) else "bad_relationship"
