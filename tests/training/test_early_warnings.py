"""`warnings.jsonl`, also after a kill and a resume."""

from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console
from transformers import TrainerControl, TrainerState, TrainingArguments

from r1sgg_cli.data.run_logs import load_metric_rows
from r1sgg_cli.training.callbacks import MetricsLog
from r1sgg_cli.training.early_warnings import EarlyWarnings

HIGH = {"frac_reward_zero_std": 0.9}


class Run:
    """The callbacks of a run, and what they wrote."""

    def __init__(self, folder: Path) -> None:
        self.terminal = StringIO()
        console = Console(file=self.terminal, width=400)
        self.log = MetricsLog(folder / "metrics.jsonl")
        self.warnings = EarlyWarnings(folder, self.log.path, console)
        self.arguments = TrainingArguments(output_dir=str(folder), use_cpu=True)

    def begin(self, step: int) -> None:
        for callback in (self.log, self.warnings):
            callback.on_train_begin(self.arguments, self._state(step), TrainerControl())

    def take_steps(self, first: int, last: int, logs: dict[str, Any]) -> None:
        for step in range(first, last + 1):
            for callback in (self.log, self.warnings):
                callback.on_log(self.arguments, self._state(step), TrainerControl(), dict(logs))

    def rows(self) -> list[dict[str, Any]]:
        return load_metric_rows(self.warnings.path) if self.warnings.path.exists() else []

    def _state(self, step: int) -> TrainerState:
        return TrainerState(global_step=step, max_steps=99, is_world_process_zero=True)


def test_a_warning_is_a_line_on_the_terminal_and_a_row(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.begin(0)
    run.take_steps(1, 30, HIGH)
    assert [(row["step"], row["kind"]) for row in run.rows()] == [(20, "no_variance")]
    assert run.terminal.getvalue() == f"warning: {run.rows()[0]['message']}\n"


def test_a_resumed_run_knows_what_it_has_said(tmp_path: Path) -> None:
    killed = Run(tmp_path)
    killed.begin(0)
    killed.take_steps(1, 30, HIGH)
    resumed = Run(tmp_path)
    resumed.begin(25)
    resumed.take_steps(26, 60, HIGH)
    assert [row["step"] for row in resumed.rows()] == [20]
    assert resumed.terminal.getvalue() == ""


def test_what_was_said_after_the_checkpoint_is_said_again_at_the_same_step(tmp_path: Path) -> None:
    killed = Run(tmp_path)
    killed.begin(0)
    killed.take_steps(1, 30, HIGH)
    resumed = Run(tmp_path)
    resumed.begin(10)
    assert resumed.rows() == []
    resumed.take_steps(11, 30, HIGH)
    assert resumed.rows() == killed.rows()
    assert [row["step"] for row in resumed.rows()] == [20]


def test_another_process_says_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path)
    other = TrainerState(global_step=20, max_steps=99, is_world_process_zero=False)
    for _ in range(30):
        run.warnings.on_log(run.arguments, other, TrainerControl(), dict(HIGH))
    assert not run.warnings.path.exists()
