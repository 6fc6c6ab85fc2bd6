"""Texts made to take a parser long, by name: each a function from a length in characters to a text of that length."""

import itertools
import json
from collections.abc import Callable, Mapping

_LIST = '{"objects": ['
_ITEM = '{"id": "man.1", "bbox": [1, 2, 30, 40]}'


def _repeated(piece: str, opening: str = "", closing: str = "") -> Callable[[int], str]:
    return lambda length: opening + piece * -(-(length - len(opening) - len(closing)) // len(piece)) + closing


def _numbered(length: int) -> str:
    """A whole graph of different objects."""
    items: list[str] = []
    size = 0
    for number in itertools.count():
        if size >= length:
            break
        items.append(json.dumps({"id": f"leaf.{number}", "bbox": [0, 0, 1 + number % 900, 9]}))
        size += len(items[-1]) + 2
    return f"{_LIST}{', '.join(items)}]}}"


HOSTILE: Mapping[str, Callable[[int], str]] = {
    "whole items": _numbered,
    "whole items, cut": lambda length: _numbered(length)[: length + 1],
    "equal items": _repeated(f"{_ITEM}, ", _LIST),
    "braces": _repeated("{"),
    "brackets in a list": _repeated("[", _LIST),
    "commas in a list": _repeated(",", _LIST),
    "nested graphs": _repeated(_LIST),
    "shallow nested graphs": _repeated(_LIST * 50 + "]}" * 50 + ",", _LIST),
    "deep keys": _repeated('{"a": '),
    "items without a comma": _repeated(_ITEM, _LIST),
    "items without an end": _repeated(_ITEM[:-1], _LIST),
    "items with two values": _repeated('{"id": 1 2}, ', _LIST),
    "strings without an end": _repeated('{"id": "', _LIST),
    "one string": _repeated("x", f'{_LIST}{{"id": "'),
    "one number": _repeated("9", f'{_LIST}{{"id": "a.1", "bbox": ['),
    "escapes": _repeated("\\u0041", f'{_LIST}{{"id": "'),
    "blanks after the key": _repeated(" ", '{"objects"'),
    "keys without lists": _repeated('"objects" : ', "{"),
    "both keys without lists": _repeated('"objects": "relationships": ', "{"),
    "lists of relationships": _repeated('"relationships": [', '{"objects": [], '),
    "opening tags": _repeated("<answer>"),
    "ends of thinking": _repeated("</think> "),
    "ends of thinking, blanks": _repeated(" ", "</think>"),
    "beginnings of thinking": _repeated("<think>"),
    "tags by turns": _repeated("<think></think><answer></answer>"),
    "fences": _repeated("```json\n"),
    "prose": _repeated("a man on a horse. "),
}
