"""The logs of a run's folder: JSON lines that carry their step, appended while it trains and read by its page."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

METRICS_FILE = "metrics.jsonl"
"""One line per logged step or evaluation."""
WARNINGS_FILE = "warnings.jsonl"
"""What looked wrong on the way: `step`, `kind`, `message`."""


def load_metric_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a log; a last line that a killed run left half-written is left out."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1] if line]  # what follows the last newline is half a line or nothing


def append_row(row: Mapping[str, Any], path: Path) -> None:
    """Add a line to a log."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def drop_rows_after(step: int, path: Path) -> None:
    """Take out of a log what a run that goes on from `step` is about to repeat; half a line as well.

    What precedes the first step is repeated by a run that begins anew.
    """
    if not path.exists():
        return
    kept = [row for row in load_metric_rows(path) if row["step"] <= step] if step else []
    partial = path.with_suffix(".jsonl.partial")
    partial.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    partial.replace(path)
