"""Annotation files read item by item, so that gigabytes of JSON take no gigabytes of memory."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ijson

from r1sgg_cli.errors import DataError, in_words

_BLOCK = 1 << 20
SPELLINGS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev", "minival"),
    "test": ("test", "testdev", "eval"),
}


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what opening and decoding `path` raises into one line."""
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot read `{path}`: {error.strerror}") from error
    except (ijson.JSONError, UnicodeDecodeError, json.JSONDecodeError) as error:
        if not path.stat().st_size:
            raise DataError(f"`{path}` is an empty file; download or copy it again") from error
        reason = " ".join(line.strip() for line in str(error).strip().splitlines()[:2])  # what, and where
        raise DataError(f"`{path}` is not JSON: {reason.strip()}; mend it, or download or copy it again") from error


def stream_items(path: Path, prefix: str) -> Iterator[Any]:
    """The values at an ijson prefix, as in `data.item`, one after another. Raises `DataError`."""
    with reading(path), path.open("rb") as file:
        yield from ijson.items(file, prefix, use_float=True)


def stream_pairs(path: Path) -> Iterator[tuple[str, Any]]:
    """Keys and values of the one object in a file. Raises `DataError`."""
    with reading(path), path.open("rb") as file:
        yield from ijson.kvitems(file, "", use_float=True)


def load_json(path: Path) -> Any:
    """The value of a file that is small beside its images. Raises `DataError`."""
    with reading(path):
        return json.loads(path.read_text(encoding="utf-8"))


def num_occurrences(path: Path, text: bytes) -> int:
    """How often `text` stands in a file; counts items without decoding them."""
    count, kept = 0, b""
    with reading(path), path.open("rb") as file:
        while block := file.read(_BLOCK):
            block = kept + block
            count += block.count(text)
            kept = block[len(block) - len(text) + 1 :]
    return count


def first_events(path: Path, most: int = 400) -> list[tuple[str, str]]:
    """The first `(prefix, event)` pairs of a file, by which its layout is known. Raises `DataError`."""
    found: list[tuple[str, str]] = []
    with reading(path), path.open("rb") as file:
        for prefix, event, _ in ijson.parse(file):
            found.append((prefix, event))
            if len(found) == most:
                break
    return found


@contextmanager
def translating(path: Path, what: str, number: int | str) -> Iterator[None]:
    """Name the entry that lacks a key or has a value of another type. Raises `DataError`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise DataError(f"`{path}`: {what} {number} is not in the layout: {in_words(error)}") from error


def name_at(names: Sequence[str], index: int, first: int = 0) -> str:
    """The name that an index stands for; one that stands for none becomes a name that no vocabulary knows."""
    if type(index) is not int:
        raise ValueError(f"`{json.dumps(index)}` is no index")
    return names[index - first] if first <= index < first + len(names) else f"#{index}"


def label_of(value: Any) -> str:
    """A label; what is no text says nothing, and is counted as a label that says nothing."""
    return value if isinstance(value, str) else ""


def summed(numbers: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The sum of each split's numbers."""
    total: dict[str, int] = {}
    for split, number in numbers:
        total[split] = total.get(split, 0) + number
    return total


def xyxy_from_xywh(box: Any) -> Any:
    """Corners of a box of corner and size; None, which is counted as a bad box, where it is none."""
    if isinstance(box, list | tuple) and len(box) == 4 and all(type(value) in (int, float) for value in box):
        x, y, width, height = box
        return [x, y, x + width, y + height]
    return None


def split_of(name: str, default: str = "train") -> str:
    """The split that a file or folder name speaks of: `oidv6-validation-….csv` is `val`."""
    words = "".join(character if character.isalpha() else " " for character in name.lower()).split()
    for split, spellings in SPELLINGS.items():
        if any(spelling in words for spelling in spellings):
            return split
    return default
