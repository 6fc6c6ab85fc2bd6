"""What a running training shows and leaves behind: a progress bar on the terminal, one JSON line per logged step."""

import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from r1sgg_cli.data.run_logs import append_row, drop_rows_after
from r1sgg_cli.models.asking import Asking, save_asking
from r1sgg_cli.training.owed import EVALUATED, owes_evaluation


class MetricsLog(TrainerCallback):
    """Appends every log to `metrics.jsonl`; a resumed run first drops the steps that it is about to repeat."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Keep what was logged up to the checkpoint that training goes on from, less what is evaluated again."""
        if state.is_world_process_zero:
            repeats = owes_evaluation(args, state)
            drop_rows_after(
                state.global_step,
                self.path,
                lambda row: repeats and EVALUATED in row and row["step"] == state.global_step,
            )

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Log the last step also where it is none of every `logging_steps`: what was learned last would be lost."""
        if state.global_step >= state.max_steps:
            control.should_log = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """One line per log, less the Trainer's closing totals: after a resume they cover a part of the run only."""
        if state.is_world_process_zero and logs and "train_runtime" not in logs:
            known = {"step": state.global_step, "max_steps": state.max_steps, "time": time.time()}
            append_row({**known, **logs}, self.path)


class AskingBeside(TrainerCallback):
    """Writes `r1sgg.json` into each checkpoint, so that inference asks it as it was trained."""

    def __init__(self, asking: Asking) -> None:
        self.asking = asking

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Right after the checkpoint itself."""
        if state.is_world_process_zero:
            save_asking(self.asking, Path(str(args.output_dir)) / f"checkpoint-{state.global_step}")


class ProgressBar(TrainerCallback):
    """A rich progress bar on stderr with the last loss or reward."""

    def __init__(self, title: str, console: Console) -> None:
        self.title = title
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )
        self.task = self.progress.add_task(title, total=None, note="")

    def show(self, note: str) -> None:
        """Put a note behind the bar, until the next one."""
        self.progress.update(self.task, note=note)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Start where the run stands."""
        if state.is_world_process_zero:
            self.progress.update(self.task, total=state.max_steps, completed=state.global_step)
            self.progress.start()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """One step further."""
        self.progress.update(self.task, completed=state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """The figure that people watch; a line of its own where there is no terminal, as in a Slurm log."""
        for name in ("reward", "loss"):
            if logs and isinstance(logs.get(name), float):
                note = f"{name} {logs[name]:.3f}"
                self.show(note)
                if not self.progress.console.is_terminal:
                    self.progress.console.print(f"{self.title} step {state.global_step} of {state.max_steps}: {note}")
                return

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Leave the finished bar on the screen."""
        self.progress.stop()
