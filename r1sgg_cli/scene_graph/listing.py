"""What an answer lists: the items of its objects and relationships, of any type, out of whole, cut or broken JSON.

The graph is the first JSON object that lists `"objects"` (or, where the objects are given, `"relationships"`), wherever
it stands. Code fences around it are no defect; other text is one (`prose`). JSON that does not decode is read item by
item, and whole items are kept.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from r1sgg_cli.scene_graph.answer import AnswerPassage
from r1sgg_cli.scene_graph.salvage import LENIENT_JSON, is_cut_off, salvage_list

Failure = Literal["no_json", "truncated", "not_a_graph"]
FAILURES: Mapping[str, str] = {
    "no_json": "the answer holds no JSON object",
    "truncated": "the answer ends before its first whole object",
    "not_a_graph": "the answer holds a JSON object, but no list of objects",
}
"""Why no graph can be read, each kind in a phrase."""
MISSING, NOT_ASKED = "missing", "not_asked"
CAUSES: Mapping[str, str] = {
    **FAILURES,
    MISSING: "there is no answer for this image",
    NOT_ASKED: "the model could not be asked about this image",
}
"""Why an image has no graph: also where there is no answer."""

_OBJECTS = re.compile(r'"objects"\s*:\s*\[')
_RELATIONSHIPS = re.compile(r'"relationships"\s*:\s*\[')
_FENCES = frozenset({"", "```", "```json", "```JSON"})
_JSON = json.JSONDecoder(strict=False)


class ParseError(ValueError):
    """No graph can be read from an answer; `kind` says why in one word."""

    def __init__(self, kind: Failure) -> None:
        super().__init__(FAILURES[kind])
        self.kind: Failure = kind


def read_lists(passage: AnswerPassage, defects: Counter[str]) -> tuple[list[Any], list[Any]]:
    """The items listed under `objects` and under `relationships`. Raises `ParseError`; counts defects."""
    value, start, end = _first_object(passage)
    objects = value.get("objects")
    if not isinstance(objects, list):
        return _salvage(passage.text, start, defects)
    _count_prose(passage.text, start, end, defects)
    relationships = value.get("relationships")
    if not isinstance(relationships, list):
        defects["missing_relationships"] += 1
        relationships = []
    return objects, relationships


def read_relationship_list(passage: AnswerPassage, defects: Counter[str]) -> list[Any]:
    """The items listed under `relationships` alone. Raises `ParseError`; counts defects."""
    value, start, end = _first_object(passage)
    relationships = value.get("relationships")
    if not isinstance(relationships, list):
        return _salvage_relationships(passage.text, start, defects)
    _count_prose(passage.text, start, end, defects)
    return relationships


def _first_object(passage: AnswerPassage) -> tuple[dict[str, Any], int, int]:
    """The first JSON object in the passage, its start and its end; an empty one where it does not decode."""
    start = passage.text.find("{")
    if start < 0:
        raise ParseError("truncated" if passage.unfinished else "no_json")
    try:
        value, end = _decode(passage.text, start)
    except (json.JSONDecodeError, RecursionError):
        return {}, start, start
    return value, start, end


def _count_prose(body: str, start: int, end: int, defects: Counter[str]) -> None:
    if body[:start].strip() not in _FENCES or body[end:].strip() not in _FENCES:
        defects["prose"] += 1


def _decode(body: str, start: int) -> tuple[Any, int]:
    try:
        return _JSON.raw_decode(body, start)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer of more digits than Python converts
        return LENIENT_JSON.raw_decode(body, start)


def _salvage(body: str, start: int, defects: Counter[str]) -> tuple[list[Any], list[Any]]:
    """The same from JSON that is cut off, broken, or not the first in the text."""
    opening = _OBJECTS.search(body, start)
    if opening is None:
        raise ParseError("truncated" if is_cut_off(body, start) else "not_a_graph")
    second = _RELATIONSHIPS.search(body, opening.end()) or _RELATIONSHIPS.search(body, 0, opening.start())
    after = second is not None and second.start() > opening.start()
    objects = salvage_list(body, opening.end(), second.start() if second and after else len(body))
    found = Counter(broken_json=objects.num_broken)
    last = objects
    relationships: list[Any] = []
    if second is not None:
        other = salvage_list(body, second.end(), len(body) if after else opening.start())
        relationships = other.items
        last, first = (other, objects) if after else (objects, other)
        found["broken_json"] += other.num_broken + (not first.closed)
    elif objects.closed:
        found["missing_relationships"] += 1
    if not last.closed:
        found["truncated"] += 1
        if not objects.items:
            raise ParseError("truncated")
    if not found.total():
        if not body[last.end :].lstrip().startswith("}"):
            found["truncated"] += 1
        else:  # a comma is missing, or the graph is not the first JSON in the text
            found["broken_json" if body.rfind("{", 0, opening.start()) == start else "prose"] += 1
    defects.update(+found)
    return objects.items, relationships


def _salvage_relationships(body: str, start: int, defects: Counter[str]) -> list[Any]:
    """The same from JSON that is cut off, broken, or not the first in the text."""
    opening = _RELATIONSHIPS.search(body, start)
    if opening is None:
        raise ParseError("truncated" if is_cut_off(body, start) else "not_a_graph")
    others = _OBJECTS.search(body, opening.end())
    listed = salvage_list(body, opening.end(), others.start() if others else len(body))
    found = Counter(broken_json=listed.num_broken, truncated=int(not listed.closed))
    if not found.total():
        found["broken_json" if body.rfind("{", 0, opening.start()) == start else "prose"] += 1
    defects.update(+found)
    return listed.items
