"""The order in which an epoch's rows are read: steps as the Trainer draws them, in each the longest rows first.

A micro-batch is as long as its longest row. Rows of like length therefore share one, on all processes: accelerate deals
micro-batches out in turn, so that those of one moment are neighbours here. A step's rows stay the same, and with them
its update: the loss is a mean over all answer tokens of a step. Memory that does not suffice shows in the first step.
"""

from collections.abc import Iterator, Sequence

import torch
from torch.utils.data import Sampler

from r1sgg_cli.training.schedule import Epoch


class LongestFirst(Sampler[int]):
    """The rows of the running epoch, `rows_per_step` at a time in descending order of `lengths`.

    The epoch is read from `epoch` when an epoch's rows are drawn, not counted here: accelerate does not tell a sampler
    in which epoch a run of several processes goes on (`DataLoaderShard.set_epoch` does not look below a
    `SkipBatchSampler`).
    """

    def __init__(self, lengths: Sequence[int], rows_per_step: int, seed: int, epoch: Epoch) -> None:
        self.lengths = lengths
        self.rows_per_step = rows_per_step
        self.seed = seed
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        """Positions in `lengths`; rows of one length stay as they were drawn."""
        # As accelerate's SeedableRandomSampler draws them, so that a step has the rows that it would have there.
        generator = torch.Generator().manual_seed(self.seed + self.epoch.number)
        drawn = torch.randperm(len(self.lengths), generator=generator).tolist()
        for begin in range(0, len(drawn), self.rows_per_step):
            yield from sorted(drawn[begin : begin + self.rows_per_step], key=self._descending)

    def _descending(self, row: int) -> int:
        return -self.lengths[row]
