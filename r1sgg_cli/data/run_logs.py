"""The logs of a run's folder: JSON lines that carry their step, appended while it trains and read by its page."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from r1sgg_cli.config.log_rows import parse_log_row
from r1sgg_cli.errors import AnswersError
from r1sgg_cli.files import save_text

METRICS_FILE = "metrics.jsonl"
"""One line per logged step or evaluation."""
WARNINGS_FILE = "warnings.jsonl"
"""What looked wrong on the way: `step`, `kind`, `message`."""


def load_metric_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a log; a last line that a killed run left half-written is left out.

    Raises `AnswersError` for another line that is no row.
    """
    rows = []
    for number, line in _numbered_lines(path):
        row = parse_log_row(line)
        if row is None:
            raise AnswersError(f"line {number} of `{path}` is no row of a log ({line:.40}); delete that line")
        rows.append(row)
    return rows


def _numbered_lines(path: Path) -> list[tuple[int, str]]:
    """Lines that are not empty, from 1; what follows the last newline is half a line or nothing."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
    return [(number, line) for number, line in enumerate(lines, start=1) if line]


def append_row(row: Mapping[str, Any], path: Path) -> None:
    """Add a line to a log. Raises `OSError` on a full disk, and then leaves the log as it was."""
    rest = memoryview((json.dumps(row) + "\n").encode())
    with path.open("ab", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            file.truncate(size)  # half a line would spoil the next one as well
            raise


def drop_rows_after(step: int, path: Path, is_repeated: Callable[[Mapping[str, Any]], bool] | None = None) -> None:
    """Take out of a log what a run that goes on from `step` is about to repeat.

    These are later rows, and of the earlier ones those that `is_repeated` names. Lines that are no rows go as well, or
    a log would keep the run from going on. Raises `OutputError`.
    """
    if not path.exists():
        return
    lines = _numbered_lines(path) if step else []  # what precedes the first step is repeated, too
    rows = [row for _, line in lines if (row := parse_log_row(line)) is not None]
    kept = [row for row in rows if row["step"] <= step and not (is_repeated and is_repeated(row))]
    save_text("".join(json.dumps(row) + "\n" for row in kept), path)
