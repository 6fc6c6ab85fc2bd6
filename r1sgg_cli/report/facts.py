"""What a page says of where its numbers come from: names and values as text."""

import json
from collections.abc import Iterator, Mapping
from typing import Any


def facts_of(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each value with its name; what is nested, as JSON."""
    return [(key, _as_text(value)) for key, value in values.items()]


def nested_facts(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each value of nested mappings with its dotted name; what is empty is left out."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from nested_facts(value, f"{prefix}{key}.")
        elif value not in (None, {}, []):
            yield f"{prefix}{key}", _as_text(value)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
