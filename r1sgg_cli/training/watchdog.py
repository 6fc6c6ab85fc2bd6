"""A training that hangs ends, and says where: a node that is gone leaves all others waiting for it."""

import faulthandler
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from r1sgg_cli.training.processes import rank, tell_torchrun


class Watchdog(TrainerCallback):
    """Ends this process with code 1 if for `limit` no step, checkpoint or batch of an evaluation is finished."""

    def __init__(self, limit: timedelta) -> None:
        self.limit = limit
        self.rank = rank()
        self.step = 0
        self.seen = time.monotonic()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch what is done inside."""
        ended = threading.Event()
        self.seen = time.monotonic()
        thread = threading.Thread(target=self._watch, args=(ended,), name="watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """A sign of life."""
        self.step = state.global_step
        self.seen = time.monotonic()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Another one: large checkpoints take their time."""
        self.seen = time.monotonic()

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """And one for each batch of an evaluation."""
        self.seen = time.monotonic()

    def _watch(self, ended: threading.Event) -> None:
        seconds = self.limit.total_seconds()
        while not ended.wait(min(seconds / 10, 5)):
            if time.monotonic() - self.seen > seconds:
                self._give_up()

    def _give_up(self) -> None:
        minutes = f"{self.limit.total_seconds() / 60:g} minutes (`--set preset.step_timeout_minutes=`)"
        message = (
            f"rank {self.rank} on {socket.gethostname()} hangs: no step ended for {minutes} since step {self.step}; "
            "another rank or its node may be gone; the same command continues from the last complete checkpoint"
        )
        # Not by way of `sys.stderr`, whose lock the thread that hangs may hold.
        os.write(2, f"\nerror: {message}\nwhere it hangs:\n".encode())
        faulthandler.dump_traceback(file=2, all_threads=True)
        tell_torchrun(message)
        os._exit(1)
