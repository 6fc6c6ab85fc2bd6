"""Files damaged on purpose, as disks, editors and half-finished programs leave them; seeded.

A change is of the bytes, or of the JSON value in them: one place of it gets an odd value, loses a key, or is given
twice.
"""

import json
import random
from collections.abc import Iterator
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 3.5, 1e308, -1e308, 5e-324, 10**25, 10**400, float("nan"), float("inf")),
    *("", "a\nb", "\ud800", "\x1b[31m", "[red]x[/]", "<b>", "NaN", "1e400", "x" * 5000, "é\u202e"),
    *([], [[]], {}, {"a": None}, [1, 2], [1, 2, 3, 4, 5], ["a", "a"], [None] * 4, [float("nan")] * 4),
)
ODD_BYTES = (b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\xef\xbb\xbf", b'"', b"{", b"}", b"[", b",", b":", b"\\", b"\n")


def damaged(generator: random.Random, content: bytes) -> bytes:
    """The content of a JSON file after one to three changes."""
    for _ in range(generator.choice((1, 1, 2, 3))):
        change = generator.choice((_damaged_value, _damaged_value, _damaged_value, damaged_bytes))
        content = change(generator, content)
    return content


def damaged_line(generator: random.Random, content: bytes) -> bytes:
    """The content of a file of JSON lines with one of them damaged, left out, or there twice."""
    lines = content.splitlines()
    number = generator.randrange(len(lines))
    kind = generator.random()
    if kind < 0.8:
        lines[number] = damaged(generator, lines[number])
    elif kind < 0.9:
        lines.insert(generator.randint(0, len(lines)), lines[number])
    else:
        del lines[number]
    return b"\n".join(lines) + generator.choice((b"\n", b""))


def damaged_bytes(generator: random.Random, content: bytes) -> bytes:
    """The bytes cut, or with a stretch lost, doubled, flipped or overwritten; those of any file."""
    start, end = sorted((generator.randint(0, len(content)), generator.randint(0, len(content))))
    kind = generator.randrange(7)
    if kind == 0:
        return content[:start]
    if kind == 1:
        return content[:start] + content[end:]
    if kind == 2:
        return content[:end] + content[start:]
    if kind == 3 and content:
        at = min(start, len(content) - 1)
        return content[:at] + bytes([content[at] ^ (1 << generator.randrange(8))]) + content[at + 1 :]
    if kind == 4:
        return content[:start] + generator.choice(ODD_BYTES) + content[start:]
    if kind == 5:
        return content[:start] + generator.choice((b"[", b'{"a":', b"9")) * 6000 + content[start:]
    return content[:start] + bytes(end - start) + content[end:]  # as after a power cut


def _damaged_value(generator: random.Random, content: bytes) -> bytes:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return damaged_bytes(generator, content)
    places = list(_places(value))
    if not places:
        return json.dumps(generator.choice(ODD_VALUES)).encode()
    container, key = generator.choice(places)
    kind = generator.random()
    if kind < 0.65:
        container[key] = generator.choice(ODD_VALUES)
    elif kind < 0.8:
        del container[key]
    elif kind < 0.9 and isinstance(container, dict):
        container[generator.choice(("extra", "", "id", "score", "name"))] = container.pop(key)
    elif isinstance(container, list):
        container.append(container[key])
    else:
        other, other_key = generator.choice(places)
        container[key] = json.loads(json.dumps(other[other_key]))
    return json.dumps(value).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a JSON value: a mapping or a list, and the key in it."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
