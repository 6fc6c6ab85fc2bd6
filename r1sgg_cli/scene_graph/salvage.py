"""What can still be read of a JSON list that is cut off or broken: its whole items."""

import json
import re
from dataclasses import dataclass
from typing import Any

LENIENT_JSON = json.JSONDecoder(strict=False, parse_int=float)
"""Takes raw line breaks in strings, and integers of any length: as floats, too long ones are infinite."""

_MAX_BROKEN = 100
_BETWEEN_ITEMS = re.compile(r"[\s,]*")


@dataclass(frozen=True, slots=True)
class SalvagedList:
    """The whole items of a list in a text."""

    items: list[Any]
    end: int
    """Position behind the list."""
    num_broken: int
    """Stretches that are no JSON; each was skipped up to the next `{`."""
    closed: bool
    """Its `]` was found."""


def salvage_list(text: str, start: int, limit: int) -> SalvagedList:
    """The list whose first item begins at `start` and that ends before `limit`.

    Reading goes on behind the place where an item turned out broken, and stops after 100 of them (`_MAX_BROKEN`), so
    that hostile text costs no quadratic time.
    """
    items: list[Any] = []
    num_broken = 0
    while start < limit and num_broken < _MAX_BROKEN:
        between = _BETWEEN_ITEMS.match(text, start, limit)
        start = start if between is None else between.end()
        if start < limit and text[start] == "]":
            return SalvagedList(items, start + 1, num_broken, True)
        if start < limit:
            try:
                item, start = LENIENT_JSON.raw_decode(text, start)
            except json.JSONDecodeError as error:
                start = text.find("{", max(start + 1, error.pos), limit)
                if start < 0:
                    break
                num_broken += 1
            except RecursionError:
                break
            else:
                items.append(item)
    return SalvagedList(items, limit, num_broken, False)


def is_cut_off(text: str, start: int) -> bool:
    """Whether the JSON value at `start` lacks nothing but its end."""
    try:
        LENIENT_JSON.raw_decode(text, start)
    except json.JSONDecodeError as error:
        # a string that does not end is reported where it begins
        return error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
    except RecursionError:
        return False
    return False
