"""Answers made wrong on purpose: each is a real one with a few seeded changes, of its text or of the graph in it.

The changes are what models do (cut, repeat, mix two forms, write JavaScript for JSON), and what nobody should do
(numbers that are none, control characters, tags in tags). The same seed makes the same answers.
"""

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

TextChange = Callable[[random.Random, str], str]
GraphChange = Callable[[random.Random, dict[str, Any]], None]

NUMBERS = (
    *("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e308", "-1e308", "5e-324", "-0.0", "1e-7", "9" * 400),
    *("-" + "9" * 400, "9" * 5000, "true", "false", "null", '"12"', '"NaN"', '""', "[]", "[3]", "{}", '{"x": 1}'),
    *("-7", "99999", "0", "1.5", "007", "1.", ".5", "+3", "0x1F", "1_000", "1,5", "½", "١٢", "--3", "1e", "undefined"),
)
LETTERS = (
    *("\x00", "\x07", "\x1b[31m", "\x7f", "\x85", "\ud800", "\udfff", "\ufeff", "\ufffe", "\u2028", "\u00a0"),
    *("\u200b", "\u200d", "\u202e", "\u2066", "e\u0301", "\U0001f984", "\U0010ffff", "İ", "ß", "Σ", "\\u0000"),
    *("\\ud800", "\\udc00\\ud800", "\\x41", "\\", '\\"', "\n", "\r\n", "\t"),
)
LABELS = (
    *("", " ", "-", "_._", ".", "1", ".1", "a..1", "a.1.2", "MAN.1", "man .1", "man. 1", "man.١", "traffic-light.2"),
    *("<img src=x onerror=alert(1)>.1", "</script><script>alert(1)</script>", '"><b>.3', "&amp;.1", "[red]man[/].1"),
    *("man\u200b.1", "\u202enam.1", "x" * 3000, "id", "objects", "__proto__", "{{7*7}}", "${x}", "%s", "nan", "null"),
)
TAGS = ("<think>", "</think>", "<answer>", "</answer>", "<ANSWER>", "</think>\n<answer>", "<answer", "<|im_end|>")
FENCES = ("```", "```json\n", "```JSON\n", "~~~", "`", "```python\n", "\n```\n")
KEYS = ("id", "bbox", "objects", "relationships", "subject", "predicate", "object")
OTHER_KEYS = ("box", "bbox_2d", "label", "name", "Objects", "relations", "predicate ", "score", "subject_id", "")

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def mutated(generator: random.Random, text: str, other: str, most: int = 4) -> str:
    """`text` after one to `most` changes; `other` is what it may be spliced with."""
    for _ in range(generator.randint(1, most)):
        kind = generator.random()
        if kind < 0.12:
            text = _spliced(generator, text, other)
        elif kind < 0.5:
            text = _with_changed_graph(generator, text)
        else:
            text = generator.choice(TEXT_CHANGES)(generator, text)
    return text


def _place(generator: random.Random, text: str) -> int:
    return generator.randint(0, len(text))


def _span(generator: random.Random, text: str) -> tuple[int, int]:
    """A stretch of the text, mostly a short one."""
    start = _place(generator, text)
    length = generator.choice((1, 2, 5, 20, 100, len(text)))
    return start, min(len(text), start + generator.randint(0, length))


def _spliced(generator: random.Random, text: str, other: str) -> str:
    kind = generator.randrange(3)
    if kind == 0:
        return text[: _place(generator, text)] + other[_place(generator, other) :]
    at, (start, end) = _place(generator, text), _span(generator, other)
    return text[:at] + (other if kind == 1 else other[start:end]) + text[at:]


# ---- changes of the text


def _cut(generator: random.Random, text: str) -> str:
    at = _place(generator, text)
    return text[at:] if generator.random() < 0.15 else text[:at]


def _without_span(generator: random.Random, text: str) -> str:
    start, end = _span(generator, text)
    return text[:start] + text[end:]


def _with_repeated_span(generator: random.Random, text: str) -> str:
    start, end = _span(generator, text)
    times = generator.choice((2, 2, 3, 10, 50)) if end - start < 200 else 2
    return text[:start] + text[start:end] * times + text[end:]


def _with_swapped_spans(generator: random.Random, text: str) -> str:
    a, b, c, d = sorted(_place(generator, text) for _ in range(4))
    return text[:a] + text[c:d] + text[b:c] + text[a:b] + text[d:]


def _inserted(generator: random.Random, text: str, what: str) -> str:
    at = _place(generator, text)
    return text[:at] + what + text[at:]


def _with_letters(generator: random.Random, text: str) -> str:
    return _inserted(generator, text, generator.choice(LETTERS) * generator.choice((1, 1, 1, 30)))


def _with_noise(generator: random.Random, text: str) -> str:
    return _inserted(generator, text, "".join(chr(generator.randrange(0x3000)) for _ in range(8)))


def _with_tags(generator: random.Random, text: str) -> str:
    if generator.random() < 0.4:
        tag = generator.choice(TAGS)
        return text.replace(tag, generator.choice(("", tag * 2, generator.choice(TAGS))), 1)
    return _inserted(generator, text, generator.choice(TAGS))


def _with_fences(generator: random.Random, text: str) -> str:
    if generator.random() < 0.4:
        return f"{generator.choice(FENCES)}{text}{generator.choice(FENCES)}"
    return _inserted(generator, text, generator.choice(FENCES))


def _with_nesting(generator: random.Random, text: str) -> str:
    opening = generator.choice(("[", "{", '{"a":', '{"objects": [', '[{"id":', '"relationships": [', "<think>"))
    return _inserted(generator, text, opening * generator.choice((1, 2, 3, 30, 300, 3000)))


def _with_odd_number(generator: random.Random, text: str) -> str:
    return _with_one_replaced(generator, text, _NUMBER, generator.choice(NUMBERS))


def _with_odd_string(generator: random.Random, text: str) -> str:
    odd = generator.choice((*(json.dumps(label) for label in LABELS), *NUMBERS, *(f'"{key}"' for key in KEYS)))
    return _with_one_replaced(generator, text, _STRING, odd)


def _with_one_replaced(generator: random.Random, text: str, pattern: re.Pattern[str], new: str) -> str:
    found = pattern.search(text, _place(generator, text)) or pattern.search(text)
    return text if found is None else text[: found.start()] + new + text[found.end() :]


def _in_another_language(generator: random.Random, text: str) -> str:
    """As JavaScript, Python, JSON5, YAML, XML or CSV would have it, more or less."""
    old, new = generator.choice(
        (
            *(('"', "'"), ("}", ",}"), ("]", ",]"), ("}, {", "} {"), ("},", "}, // next\n"), ("[", "[ /* list */ ")),
            *((": ", "="), (": ", " => "), ('"id"', "id"), ('"bbox"', "bbox"), (", ", "; "), ("{", "("), ("{", "\n- ")),
            *(('"', "\u201d"), ('"', '\\"'), ('"', "&quot;"), ("\n", "\\n"), (" ", "\u00a0"), (",", "\uff0c")),
            *(('"objects": [', "<objects>"), ("[", "{"), ("]", ""), ("{", ""), (":", ""), ("null", "None")),
        )
    )
    return text.replace(old, new, generator.choice((1, 2, -1, -1)))


TEXT_CHANGES: Sequence[TextChange] = (
    *(_cut, _cut, _without_span, _without_span, _with_repeated_span, _with_swapped_spans, _with_letters, _with_noise),
    *(_with_tags, _with_fences, _with_nesting, _with_odd_number, _with_odd_number, _with_odd_string),
    *(_with_odd_string, _in_another_language),
)


# ---- changes of the graph


def _with_changed_graph(generator: random.Random, text: str) -> str:
    """The text with some of its JSON decoded, changed and written again; the same where none decodes."""
    start = text.find("{")
    try:
        graph, end = json.JSONDecoder(strict=False).raw_decode(text, start) if start >= 0 else (None, 0)
    except (ValueError, RecursionError):
        return text
    if not isinstance(graph, dict):
        return text
    generator.choice(GRAPH_CHANGES)(generator, graph)
    separators, indent = generator.choice((((", ", ": "), None), ((",", ":"), None), ((", ", ": "), 2)))
    written = json.dumps(graph, ensure_ascii=generator.random() < 0.5, separators=separators, indent=indent)
    return text[:start] + written + text[end:]


def _odd_value(generator: random.Random) -> Any:
    choices: tuple[Any, ...] = (None, True, -1, 0, 3.5, 1e308, 10**400, float("nan"), float("inf"), "", [], {}, [[]])
    return generator.choice((*choices, generator.choice(LABELS), [generator.choice(LABELS)], {"id": "man.1"}))


def _items(generator: random.Random, graph: dict[str, Any]) -> list[Any]:
    """One of the graph's lists, which is made where it has none."""
    key = generator.choice(("objects", "relationships"))
    if not isinstance(graph.get(key), list):
        graph[key] = []
    found: list[Any] = graph[key]
    return found


def _change_a_box(generator: random.Random, graph: dict[str, Any]) -> None:
    boxes = [item["bbox"] for item in _dicts(graph.get("objects")) if isinstance(item.get("bbox"), list)]
    if not boxes:
        return
    box = generator.choice(boxes)
    kind = generator.randrange(6)
    if kind == 0:
        box.reverse()
    elif kind == 1:
        box[:] = box[: generator.randrange(4)]
    elif kind == 2:
        box.append(generator.choice((0, None, 7)))
    elif kind == 3:
        box[:] = [generator.uniform(-2000, 4000) for _ in range(4)]
    elif box and kind == 4:
        box[:] = [box[0]] * 4
    elif box:
        box[generator.randrange(len(box))] = _odd_value(generator)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _change_a_value(generator: random.Random, graph: dict[str, Any]) -> None:
    items = _dicts(_items(generator, graph))
    if items and (item := generator.choice(items)):
        item[generator.choice(list(item))] = _odd_value(generator)


def _change_a_key(generator: random.Random, graph: dict[str, Any]) -> None:
    items = _dicts(_items(generator, graph))
    item = generator.choice(items) if items and generator.random() < 0.8 else graph
    if item:
        item[generator.choice((*KEYS, *OTHER_KEYS))] = item.pop(generator.choice(list(item)))


def _change_an_item(generator: random.Random, graph: dict[str, Any]) -> None:
    items = _items(generator, graph)
    kind = generator.randrange(4)
    if items and kind == 0:
        items.append(generator.choice(items))
    elif items and kind == 1:
        items.pop(generator.randrange(len(items)))
    elif kind == 2:
        generator.shuffle(items)
    else:
        items.insert(generator.randint(0, len(items)), _odd_value(generator))


def _swap_two_ids(generator: random.Random, graph: dict[str, Any]) -> None:
    objects = _dicts(graph.get("objects"))
    if len(objects) > 1:
        a, b = generator.sample(objects, 2)
        if generator.random() < 0.5:
            a["id"] = b.get("id")
        else:
            a["id"], b["id"] = b.get("id"), a.get("id")


def _spam(generator: random.Random, graph: dict[str, Any]) -> None:
    """Lists of hundreds: boxes in a grid, or one pair with every word for a predicate."""
    number = generator.choice((20, 60, 150, 400))
    objects = graph.get("objects")
    if generator.random() < 0.5 and isinstance(objects, list):
        name = generator.choice(("man", "tree", "xyzzy"))
        objects += [{"id": f"{name}.{i + 100}", "bbox": [i, i, i + 90, i + 90]} for i in range(number)]
        return
    ids = [item.get("id") for item in _dicts(objects)] or ["man.1"]
    ends = [(generator.choice(ids), generator.choice(ids)) for _ in range(number)]
    graph["relationships"] = [{"subject": s, "predicate": f"on {i % 40}", "object": o} for i, (s, o) in enumerate(ends)]


def _wrap(generator: random.Random, graph: dict[str, Any]) -> None:
    """The graph one level down, or one list of it as a mapping or a text."""
    key = generator.choice(("objects", "relationships"))
    kind = generator.randrange(4)
    if kind == 0:
        inner = dict(graph)
        graph.clear()
        graph[generator.choice(("graph", "answer", "objects"))] = inner
    elif kind == 1:
        graph[key] = {str(i): item for i, item in enumerate(graph[key])} if isinstance(graph.get(key), list) else []
    elif kind == 2:
        graph[key] = str(graph.get(key))
    else:
        graph[key] = _odd_value(generator)


GRAPH_CHANGES: Sequence[GraphChange] = (
    *(_change_a_box, _change_a_box, _change_a_value, _change_a_value, _change_a_key, _change_an_item),
    *(_swap_two_ids, _spam, _wrap),
)
