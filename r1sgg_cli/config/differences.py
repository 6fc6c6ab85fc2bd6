"""What differs between two records, in words. It needs no library, so that what reads records alone starts fast."""

from collections.abc import Mapping
from typing import Any


def differences(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    places: tuple[str, str] = ("there", "here"),
    *,
    ignored: frozenset[str] = frozenset(),
    prefix: str = "",
) -> list[str]:
    """What differs between two nested mappings, one phrase per key, less the keys that are `ignored` at any depth."""
    found: list[str] = []
    for key in dict.fromkeys((*old, *new)):
        if key in ignored:
            continue
        a, b = old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differences(a, b, places, ignored=ignored, prefix=f"{prefix}{key}.")
        elif a != b:
            found.append(f"{prefix}{key}: {a} {places[0]}, {b} {places[1]}")
    return found
