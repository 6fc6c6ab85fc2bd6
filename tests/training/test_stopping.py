"""A run that is asked to stop leaves a complete checkpoint and no finished model; the next start goes on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from r1sgg_cli.config.schema import SFTRun
from r1sgg_cli.models.asking import load_asking
from r1sgg_cli.training.checkpoints import last_complete_checkpoint
from r1sgg_cli.training.sft import train_sft
from tests.training.torchrun import logged, run_of


@pytest.mark.slow
def test_a_stopped_run_goes_on_with_the_losses_of_one_that_was_not(
    tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stop_file = tmp_path / "stop"
    model = tiny_checkpoint("qwen2_vl")
    whole = run_of(SFTRun, model, ten_scenes, tmp_path / "whole", world_size=1)
    stopped = run_of(SFTRun, model, ten_scenes, tmp_path / "stopped", world_size=1, stop_file=stop_file)
    train_sft(whole)
    stop_file.touch()
    for step in (1, 2):  # the file is the job's to remove; until it does, every start makes one step
        train_sft(stopped)
        assert f"stopped at step {step} of 6 as asked; the same command continues" in capsys.readouterr().err
        assert stop_file.exists()
        assert last_complete_checkpoint(stopped.out) == (stopped.out / f"checkpoint-{step}", [])
        assert load_asking(str(stopped.out)) is None
    stop_file.unlink()
    train_sft(stopped)
    assert load_asking(str(stopped.out)) is not None
    for row, other in zip(*(logged(run.out, "loss", "grad_norm") for run in (stopped, whole)), strict=True):
        assert row == pytest.approx(other, abs=1e-6)
