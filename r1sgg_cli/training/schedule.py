"""What a row is in each epoch: its task, and the order of its objects.

Both follow from the seed, the epoch and the row's position alone, never from a generator that has been drawn from
before, so that a run that was killed goes on as if it had not been.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from r1sgg_cli.config.schema import Task
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.order import shuffled

_TASK_STREAM, _ORDER_STREAM = 1, 2  # keep the two apart where they have seed and epoch in common


class Epoch:
    """The number of the running epoch, from 0, in memory that the workers of a data loader share."""

    def __init__(self) -> None:
        self._number = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def number(self) -> int:
        """What was last set."""
        return int(self._number)

    @number.setter
    def number(self, number: int) -> None:
        self._number.fill_(number)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The tasks and orders of a run over `num_rows` rows."""

    tasks: Mapping[Task, float]
    """Task -> weight."""
    shuffle: bool
    num_rows: int
    seed: int
    epoch: Epoch

    def task(self, position: int) -> Task:
        """What a row is asked for in the running epoch."""
        return tasks_of_epoch(tuple(self.tasks.items()), self.num_rows, self.seed, self.epoch.number)[position]

    def ordered(self, graph: SceneGraph, position: int) -> SceneGraph:
        """A row's graph in the order of the running epoch."""
        if not self.shuffle:
            return graph
        return shuffled(graph, np.random.default_rng((self.seed, _ORDER_STREAM, self.epoch.number, position)))


@lru_cache(maxsize=2)
def tasks_of_epoch(weights: tuple[tuple[Task, float], ...], num_rows: int, seed: int, epoch: int) -> tuple[Task, ...]:
    """The task of every row; each task has its share of the rows, rounded to whole rows."""
    tasks = [task for task, _ in weights]
    bounds = np.cumsum([weight for _, weight in weights])
    ends = np.rint(bounds / bounds[-1] * num_rows).astype(int)
    numbers = np.repeat(np.arange(len(tasks)), np.diff(ends, prepend=0))
    random_state = np.random.default_rng((seed, _TASK_STREAM, epoch))
    return tuple(tasks[number] for number in random_state.permutation(numbers).tolist())


class TellEpoch(TrainerCallback):
    """Tells the examples which epoch begins, before its first row is read; after a resume, which one goes on."""

    def __init__(self, epoch: Epoch) -> None:
        self.epoch = epoch

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """`state.epoch` counts finished epochs with their fraction; None before the first step."""
        self.epoch.number = int(state.epoch or 0)
