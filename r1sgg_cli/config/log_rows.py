"""A line of a run's logs: read by whoever asks how far a run is, without what else `data` reads."""

import json
import math
from typing import Any

from r1sgg_cli.errors import NOT_JSON

_LARGEST = 2**53
"""Of what a log counts: beyond it no arithmetic with seconds is safe."""


def parse_log_row(line: str) -> dict[str, Any] | None:
    """A row with its `step`, and with numbers for `max_steps` and `time` where it has them; None for any other line."""
    try:
        row = json.loads(line)
    except NOT_JSON:
        return None
    if not isinstance(row, dict) or not _counts(row.get("step")):
        return None
    is_whole = _counts(row.get("max_steps", 0)) and _measures(row.get("time", 0))
    return row if is_whole else None


def _counts(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST


def _measures(value: object) -> bool:
    return _counts(value) or (isinstance(value, float) and math.isfinite(value) and abs(value) < _LARGEST)
