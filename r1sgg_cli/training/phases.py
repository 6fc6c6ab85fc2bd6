"""Where a step's time goes, logged beside TRL's metrics as `time/PHASE`: seconds of the first process, per step.

    data        rows read, images decoded and resized, prompts made into tensors, texts gathered for the logs
    sampling    answers, and the wait for the process that is last with its own
    sync        weights to the engine that samples
    logprobs    log-probabilities of the answers under the policy that sampled them, and the reference's
    reward      answers parsed and scored
    update      forward, backward, gradient clipping, the optimizer
    checkpoint, evaluation      where the step had one
    other       the rest of the time since the log before: logs, callbacks, the run's page

One clock runs from log to log and belongs to one phase at a time, the innermost, so that they add up to the wall time.
TRL's `step_time` covers `training_step` alone, and its own profiling reports to wandb and its like, not to the logs.

A GPU works on after Python has gone ahead. Most phases end where Python needs their result (sampled tokens, gathered
rewards); those in `_ENDS_BEHIND` do not, and wait for the device. What follows them would have waited: sampling for the
weights, the rewards' tensors for the log-probabilities, the log of the loss for the update.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

OTHER, UPDATE = "other", "update"
_ENDS_BEHIND = frozenset({"sync", "logprobs", UPDATE})


class Phases:
    """A clock that always runs for one phase: the innermost of those that have begun, or `other`."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        """Forget what was, and begin with `other`."""
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._num_updates = 0
        self._begun: list[str] = [OTHER]
        self._since = self._clock()

    def begin(self, name: str) -> None:
        """The phase that is running waits for this one."""
        self._count()
        self._begun.append(name)

    def end(self) -> None:
        """The innermost phase is over."""
        if self._begun[-1] in _ENDS_BEHIND and torch.cuda.is_available():
            torch.cuda.synchronize()
        self._count()
        self._num_updates += self._begun.pop() == UPDATE

    @contextmanager
    def during(self, name: str) -> Iterator[None]:
        """What is done inside belongs to the phase, less what begins a phase of its own."""
        self.begin(name)
        try:
            yield
        finally:
            self.end()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose calls belong to the phase."""

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self.during(name):
                return function(*args, **kwargs)

        return call

    def per_update(self) -> dict[str, float]:
        """Seconds of each phase since the last call, divided by the number of updates since then."""
        self._count()
        taken = {name: seconds / self._num_updates for name, seconds in self._seconds.items()}
        self._seconds.clear()
        self._num_updates = 0
        return taken

    def _count(self) -> None:
        now = self._clock()
        self._seconds[self._begun[-1]] += now - self._since
        self._since = now


class UpdatePhase(TrainerCallback):
    """Between a step's begin and end everything is `update` that is no phase of its own."""

    def __init__(self, phases: Phases) -> None:
        self.phases = phases

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """What came before the training is no part of its first step."""
        self.phases.restart()

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """The step's rows are there."""
        self.phases.begin(UPDATE)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """The weights are new."""
        self.phases.end()
