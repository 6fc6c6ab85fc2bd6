"""The order of an epoch's rows: steps as they would be drawn anyway, the longest rows of each first."""

import torch
from accelerate.data_loader import SeedableRandomSampler
from hypothesis import given
from hypothesis import strategies as st

from r1sgg_cli.training.order import LongestFirst
from r1sgg_cli.training.schedule import Epoch

EPOCHS = st.integers(0, 3)


def steps_of(rows: list[int], rows_per_step: int) -> list[list[int]]:
    return [rows[begin : begin + rows_per_step] for begin in range(0, len(rows), rows_per_step)]


def order_in(epoch: int, lengths: list[int], rows_per_step: int, seed: int) -> list[int]:
    """As a run reads them that goes on in this epoch."""
    running = Epoch()
    running.number = epoch
    return list(LongestFirst(lengths, rows_per_step, seed, running))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(1, 12), st.integers(0, 5), EPOCHS)
def test_each_step_has_the_rows_that_were_drawn_for_it_in_descending_length(
    lengths: list[int], rows_per_step: int, seed: int, epoch: int
) -> None:
    drawn = SeedableRandomSampler(lengths, generator=torch.Generator(), data_seed=seed)  # what accelerate would use
    drawn.set_epoch(epoch)
    ours = steps_of(order_in(epoch, lengths, rows_per_step, seed), rows_per_step)
    for rows, expected in zip(ours, steps_of(list(drawn), rows_per_step), strict=True):
        assert sorted(rows) == sorted(expected)
        assert rows == sorted(expected, key=lambda row: -lengths[row])  # of one length: as they were drawn


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(1, 12), EPOCHS)
def test_a_run_that_goes_on_reads_an_epoch_as_one_that_was_never_stopped(
    lengths: list[int], rows_per_step: int, last: int
) -> None:
    running = Epoch()
    sampler = LongestFirst(lengths, rows_per_step, 7, running)
    assert len(sampler) == len(lengths)
    for epoch in range(last + 1):
        running.number = epoch
        read = list(sampler)
    assert read == order_in(last, lengths, rows_per_step, 7)
