"""The ratio of two engines' probabilities, bounded as TRL names it."""

import math

import pytest
import torch

from r1sgg_cli.training.importance import Mode, importance_ratio

DIFFERENCE = torch.log(torch.tensor([[2.0, 4.0, 1.0], [0.5, 1.0, 1.0]]))


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("token_truncate", [[2, 3, 1], [0.5, 1, 1]]),
        ("token_mask", [[2, 0, 1], [0.5, 1, 1]]),
        ("sequence_truncate", [[3], [0.5]]),
        ("sequence_mask", [[0], [0.5]]),
    ],
)
def test_a_ratio_above_the_bound_is_moved_there_or_dropped(mode: Mode, expected: list[list[float]]) -> None:
    assert importance_ratio(DIFFERENCE, mode, None, 3.0).tolist() == [pytest.approx(row) for row in expected]


def test_a_ratio_below_the_bound_as_well() -> None:
    assert importance_ratio(DIFFERENCE, "token_mask", 0.6, None)[1].tolist() == pytest.approx([0, 1, 1])


def test_a_token_for_which_the_sampler_gave_no_probability_counts_as_if_both_agreed() -> None:
    difference = torch.tensor([[math.nan, math.log(2.0)]])
    assert importance_ratio(difference, "token_truncate", None, 3.0).tolist() == [pytest.approx([1, 2])]
    assert importance_ratio(difference, "sequence_truncate", None, 3.0).tolist() == [pytest.approx([2])]
