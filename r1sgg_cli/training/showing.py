"""What shows a run while it trains: kept rollouts, pictures in its trackers, and its page; the first process alone."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.markup import escape
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from r1sgg_cli.data.rollouts import ROLLOUTS_FILE, Rollout, rollout_to_row
from r1sgg_cli.data.run_logs import append_row, drop_rows_after
from r1sgg_cli.errors import R1SGGError, first_line
from r1sgg_cli.training.processes import is_first
from r1sgg_cli.training.samples import KeepsRollouts, save_image
from r1sgg_cli.training.trackers import connected, send_pictures

SHARE_OF_TIME = 0.01
"""What the page may take of a run's time: it is written again once the last writing is no more than that."""


@dataclass(frozen=True, slots=True)
class Sight:
    """How a run is drawn, which is no trainer's business: a command gives it."""

    write_page: Callable[[Path], None]
    """Writes the page of a run's folder."""
    draw: Callable[[Rollout, Image.Image], Image.Image]
    """A group's best answer over its photo, beside what is annotated."""


class ShowsRun(TrainerCallback):
    """Keeps rollouts and the page up to date.

    What cannot be written is said, once, and training goes on: it was only to be looked at, and a full disk ends the
    run where it would lose a checkpoint.
    """

    def __init__(
        self,
        trainer: Trainer,
        folder: Path,
        sight: Sight,
        console: Console,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.trainer = trainer
        self.folder = folder
        self.sight = sight
        self.console = console
        self.clock = clock
        self.page_is_due = 0.0
        self.was_said: set[str] = set()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Drop the rollouts of steps that are about to be repeated."""
        if is_first():
            drop_rows_after(state.global_step, self.folder / ROLLOUTS_FILE)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Write down and send off what was kept of the step."""
        kept = self.trainer.kept if isinstance(self.trainer, KeepsRollouts) else []
        if not kept:
            return
        with self._failures_said():
            for rollout, image in kept:
                save_image(image, self.folder / rollout.image)
                append_row(rollout_to_row(rollout), self.folder / ROLLOUTS_FILE)
        if trackers := connected(self.trainer.callback_handler.callbacks):
            with self._failures_said():
                pictures = {f"rollouts/{i}": self.sight.draw(*one) for i, one in enumerate(kept, start=1)}
                send_pictures(trackers, pictures, state.global_step)
        kept.clear()

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Write the page again, unless that was done a short time ago."""
        if is_first() and self.clock() >= self.page_is_due:
            self.write_page()

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """The page as the run leaves it."""
        if is_first():
            self.write_page()

    def write_page(self) -> None:
        """The page as the run's folder is now; the first process alone calls it."""
        began = self.clock()
        with self._failures_said():
            self.sight.write_page(self.folder)
        ended = self.clock()
        self.page_is_due = ended + (ended - began) / SHARE_OF_TIME

    @contextmanager
    def _failures_said(self) -> Iterator[None]:
        try:
            yield
        except (R1SGGError, OSError) as error:
            said = first_line(error)
            if said not in self.was_said:
                self.was_said.add(said)
                self.console.print(f"[yellow]not shown:[/] {escape(said)}")
