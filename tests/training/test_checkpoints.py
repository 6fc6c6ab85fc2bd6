"""Which checkpoint a run goes on from, and what a full disk says."""

import json
from pathlib import Path

import pytest

from r1sgg_cli.errors import OutputError
from r1sgg_cli.training.checkpoints import full_disk_is_said, last_complete_checkpoint


def write_checkpoint(run: Path, step: int, state: str | None) -> Path:
    folder = run / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    if state is not None:
        (folder / "trainer_state.json").write_text(state, encoding="utf-8")
    return folder


def whole(step: int) -> str:
    return json.dumps({"global_step": step})


def test_a_new_run_has_none(tmp_path: Path) -> None:
    assert last_complete_checkpoint(tmp_path) == (None, [])


def test_the_newest_is_found_by_number(tmp_path: Path) -> None:
    for step in (9, 100, 20):
        write_checkpoint(tmp_path, step, whole(step))
    assert last_complete_checkpoint(tmp_path) == (tmp_path / "checkpoint-100", [])


@pytest.mark.parametrize("state", [None, "", '{"global_step": 3', whole(2)], ids=["no state", "empty", "cut", "other"])
def test_a_half_written_one_is_passed_over_and_named(tmp_path: Path, state: str | None) -> None:
    good = write_checkpoint(tmp_path, 2, whole(2))
    bad = write_checkpoint(tmp_path, 3, state)
    assert last_complete_checkpoint(tmp_path) == (good, [bad])


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="free some space and run the same command again"),
        full_disk_is_said(tmp_path),
    ):
        Path("/dev/full").write_text("x" * 10_000, encoding="utf-8")


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), PermissionError(13, "denied"), KeyError("x")])
def test_every_other_error_passes(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)), full_disk_is_said(tmp_path):
        raise error
