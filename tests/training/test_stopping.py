"""A run that is asked to stop leaves a complete checkpoint and no finished model; the next start goes on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from r1sgg_cli.config.schema import SFTRun
from r1sgg_cli.models.asking import load_asking
from r1sgg_cli.training.best import last_state
from r1sgg_cli.training.checkpoints import last_complete_checkpoint
from r1sgg_cli.training.processes import console_of_run
from r1sgg_cli.training.run_data import load_run_data
from r1sgg_cli.training.sft import sft_config, sft_trainer, train_sft
from r1sgg_cli.training.worker import begun, load_model, train
from tests.training.schooled import evaluations
from tests.training.test_resume import logged
from tests.training.torchrun import last_step, run_of

EVALUATED = ("evaluation.every=2", "evaluation.best_by=failure_rate", "checkpoint_every=2", "max_answer_tokens=32")


class AskedInEvaluation(TrainerCallback):
    """Makes the stop file once a step's own checks are over, when its evaluation is about to begin.

    The last step is saved before that, another is not, as where checkpoints are rarer than evaluations.
    """

    def __init__(self, file: Path, step: int) -> None:
        self.file = file
        self.step = step

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step == self.step < state.max_steps:
            control.should_save = False

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.global_step == self.step and "loss" in state.log_history[-1]:
            self.file.touch()


def train_until(step: int, run: SFTRun) -> None:
    """As `train_sft`, asked to stop in the evaluation of a step."""
    assert run.stop_file is not None
    console = console_of_run()
    with begun(run, console) as is_new:
        assert is_new
        trainer, epoch = sft_trainer(run, sft_config(run, console), load_run_data(run), load_model(run), console)
        trainer.add_callback(AskedInEvaluation(run.stop_file, step))
        train(trainer, run, epoch, None, console)


@pytest.mark.slow
def test_a_stopped_run_goes_on_with_the_numbers_of_one_that_was_not(
    tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However it is stopped: after a step, after one that is to be evaluated, in an evaluation, and in the last."""
    stop_file = tmp_path / "stop"
    model = tiny_checkpoint("qwen2_vl")
    whole = run_of(SFTRun, model, ten_scenes, tmp_path / "whole", *EVALUATED, world_size=1)
    stopped = run_of(SFTRun, model, ten_scenes, tmp_path / "stopped", *EVALUATED, world_size=1, stop_file=stop_file)
    train_sft(whole)

    def insist_on_stop(step: int) -> None:
        assert f"stopped at step {step} of 6 as asked; the same command continues" in capsys.readouterr().err
        assert stop_file.exists()
        assert last_complete_checkpoint(stopped.out) == (stopped.out / f"checkpoint-{step}", [])
        assert load_asking(str(stopped.out / f"checkpoint-{step}")) == load_asking(str(whole.out))
        assert load_asking(str(stopped.out)) is None
        assert max(evaluations(stopped.out)) < max(2, last_step(stopped.out))

    stop_file.touch()
    for step in (1, 2):  # the file is the job's to remove; until it does, every start makes one step
        train_sft(stopped)
        insist_on_stop(step)
    for step in (4, 6):
        stop_file.unlink()
        train_until(step, stopped)
        insist_on_stop(step)
    stop_file.unlink()
    train_sft(stopped)
    keys = ("step", "loss", "grad_norm")
    for row, other in zip(*(logged(run.out, keys) for run in (stopped, whole)), strict=True):
        assert row == pytest.approx(other, abs=1e-6)
    assert list(evaluations(stopped.out)) == [0, 2, 4, 6]
    assert evaluations(stopped.out) == evaluations(whole.out)
    best, other = (last_state(run.out / "checkpoint-6").best_global_step for run in (stopped, whole))
    assert best == other == 2
    for name in ("model.safetensors", "r1sgg.json"):
        assert (stopped.out / name).read_bytes() == (whole.out / name).read_bytes()
