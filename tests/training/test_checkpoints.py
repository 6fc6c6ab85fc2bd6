"""Which checkpoint a run goes on from, and what a full disk says."""

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.config.schema import SFTRun
from r1sgg_cli.errors import ConfigError, OutputError
from r1sgg_cli.training.checkpoints import (
    full_disk_is_said,
    insist_on_as_many,
    interruption_says_what_is_kept,
    last_complete_checkpoint,
)
from tests.training.torchrun import run_of


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


def test_an_interruption_says_where_the_same_command_begins(tmp_path: Path) -> None:
    def noted() -> str:
        with pytest.raises(KeyboardInterrupt) as ended, interruption_says_what_is_kept(tmp_path):
            raise KeyboardInterrupt
        return "; ".join(ended.value.__notes__)

    assert noted().startswith("there is no checkpoint yet: the same command begins again")
    write_checkpoint(tmp_path, 20, whole(20))
    write_checkpoint(tmp_path, 30, None)
    assert noted() == "the same command continues from step 20"


@pytest.mark.parametrize(("sharding", "refused"), [("zero3", True), ("ddp", False), ("fsdp2", False)])
def test_another_number_of_processes_goes_on_where_each_part_can_be_found(
    sharding: str, refused: bool, tmp_path: Path
) -> None:
    for number in range(4):
        (tmp_path / f"rng_state_{number}.pth").touch()
    given: dict[str, Any] = {"sharding": sharding, "micro_batch": 1}
    same, fewer = (run_of(SFTRun, Path("m"), Path("d"), tmp_path, **given, world_size=size) for size in (4, 2))
    insist_on_as_many(tmp_path, same)
    expected: AbstractContextManager[Any] = nullcontext()
    if refused:
        expected = pytest.raises(ConfigError, match="written by 4 processes")
    with expected:
        insist_on_as_many(tmp_path, fewer)


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
