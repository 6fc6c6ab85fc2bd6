"""A run's logs stay whole: on a full disk, after a kill, and when a step is repeated."""

from pathlib import Path

import pytest

from r1sgg_cli.data.run_logs import append_row, drop_rows_after, load_metric_rows
from r1sgg_cli.errors import AnswersError
from tests.conftest import files_no_larger_than

ROWS: list[dict[str, float]] = [
    {"step": 1, "loss": 2.0},
    {"step": 2, "loss": 1.0},
    {"step": 2, "eval_runtime": 3.0},
    {"step": 3},
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "metrics.jsonl"
    for row in ROWS:
        append_row(row, path)
    return path


def test_what_is_appended_is_read(log: Path) -> None:
    assert load_metric_rows(log) == ROWS


def test_a_full_disk_leaves_no_half_line_behind(log: Path) -> None:
    with files_no_larger_than(log.stat().st_size + 5), pytest.raises(OSError, match="too large"):
        append_row({"step": 4}, log)
    assert load_metric_rows(log) == ROWS
    append_row({"step": 5}, log)
    assert load_metric_rows(log) == [*ROWS, {"step": 5}]


def test_half_a_line_that_a_killed_run_left_is_no_row(log: Path) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write('{"step": 4, "lo')
    assert load_metric_rows(log) == ROWS


@pytest.mark.parametrize(
    "line",
    ['{"step": 4, "lo{"step": 5}', "[]", '{"loss": 1.0}', "\0\0\0", b"\xff\xfe".decode("latin-1")],
    ids=["two lines in one", "no mapping", "no step", "zeros", "no text"],
)
def test_a_broken_line_is_named_to_who_reads_it_and_keeps_no_run_from_going_on(line: str, log: Path) -> None:
    with log.open("ab") as file:
        file.write(line.encode("latin-1") + b"\n")
    append_row({"step": 6}, log)
    with pytest.raises(AnswersError, match=r"line 5 of `.*metrics\.jsonl` is no row of a log .*; delete that line"):
        load_metric_rows(log)
    drop_rows_after(6, log)
    assert load_metric_rows(log) == [*ROWS, {"step": 6}]


@pytest.mark.parametrize(
    ("step", "evaluates_again", "kept"),
    [(2, False, ROWS[:3]), (2, True, ROWS[:2]), (3, False, ROWS), (0, False, [])],
    ids=["later steps", "an evaluation as well", "nothing", "all of them"],
)
def test_what_is_repeated_is_dropped(step: int, evaluates_again: bool, kept: list[dict[str, float]], log: Path) -> None:
    drop_rows_after(step, log, (lambda row: "eval_runtime" in row) if evaluates_again else None)
    assert load_metric_rows(log) == kept


def test_a_log_that_is_not_there_stays_away(tmp_path: Path) -> None:
    drop_rows_after(1, tmp_path / "metrics.jsonl")
    assert list(tmp_path.iterdir()) == []
