"""Early warnings on the terminal and in the run's folder; `warning_signs` says which there are."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from r1sgg_cli.data.run_logs import WARNINGS_FILE, load_metric_rows
from r1sgg_cli.training.warning_signs import Warned, Watch


class EarlyWarnings(TrainerCallback):
    """Says warnings on the terminal and appends them to `warnings.jsonl`."""

    def __init__(self, folder: Path, metrics: Path, console: Console) -> None:
        self.path = folder / WARNINGS_FILE
        self.metrics = metrics
        self.console = console
        self.watch = Watch()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Know what was said up to the checkpoint that training goes on from, and forget what came after: the rows of
        `metrics.jsonl` are read again."""
        if not state.is_world_process_zero:
            return
        rows = load_metric_rows(self.metrics) if state.global_step and self.metrics.exists() else []
        said = [one for row in rows if row["step"] <= state.global_step for one in self.watch.see(row["step"], row)]
        self.path.write_text("".join(map(_line, said)), encoding="utf-8")

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Say what this row makes plain."""
        if not state.is_world_process_zero:
            return
        for warned in self.watch.see(state.global_step, logs or {}):
            self.console.print(f"[yellow]warning:[/] {escape(warned.message)}", highlight=False)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(warned))


def _line(warned: Warned) -> str:
    return json.dumps(asdict(warned)) + "\n"
