"""Rows in which the answers to one prompt stand side by side: who sees whom, and where everything is."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from r1sgg_cli.training.shared_prompts import ROW_MULTIPLE, Sequences, runs_of_one_prompt, share_rows

PROMPTS = st.lists(st.integers(1, 6), min_size=1, max_size=3)
"""Number of tokens of each prompt."""


def positions_of(prompt: Tensor, mm_token_types: Tensor, grid: Tensor) -> Tensor:
    """Three axes that differ, as those of an image's tokens do."""
    return torch.stack([torch.arange(len(prompt)) * factor for factor in (1, 2, 3)])


def sequences_of(prompts: list[list[int]], answers: list[list[list[int]]]) -> Sequences:
    """Every prompt with each of its answers, padded as TRL pads them: prompts on the left, answers on the right."""
    pairs = [(prompt, answer) for prompt, several in zip(prompts, answers, strict=True) for answer in several]
    before, behind = max(len(prompt) for prompt in prompts), max(len(answer) for _, answer in pairs)
    ids = [[0] * (before - len(p)) + p + a + [0] * (behind - len(a)) for p, a in pairs]
    mask = [[0] * (before - len(p)) + [1] * len(p + a) + [0] * (behind - len(a)) for p, a in pairs]
    types = torch.zeros(len(pairs), before + behind, dtype=torch.long)
    return Sequences(torch.tensor(ids), torch.tensor(mask), types, torch.ones(len(pairs), 3), behind)


TWO_PROMPTS = sequences_of([[5, 6, 7], [8, 9]], [[[11, 12], [13]], [[14, 15, 16]]])
RUNS = [range(0, 2), range(2, 3)]


def test_a_row_is_a_prompt_and_the_answers_to_it_each_behind_the_prompts_last_token() -> None:
    rows = share_rows(TWO_PROMPTS, RUNS, positions_of)
    assert rows.input_ids[:, :6].tolist() == [[5, 6, 7, 11, 7, 0], [8, 9, 14, 15, 0, 0]]
    assert rows.labels[:, :6].tolist() == [[-100, -100, 11, 12, 13, -100], [-100, 14, 15, 16, -100, -100]]
    assert rows.segments[:, :6].tolist() == [[0, 0, 1, 1, 2, -1], [0, 1, 1, 1, -1, -1]]


def test_a_token_has_the_position_that_it_would_have_alone() -> None:
    rows = share_rows(TWO_PROMPTS, RUNS, positions_of)
    assert rows.positions[0, :, :5].tolist() == [[0, 1, 2, 3, 2], [0, 1, 2, 3, 0]]
    assert rows.positions[2, :, :5].tolist() == [[0, 3, 6, 7, 6], [0, 3, 4, 5, 0]]


def test_an_answer_sees_the_prompt_and_itself() -> None:
    mask = share_rows(TWO_PROMPTS, RUNS, positions_of).attention_mask(torch.float32)
    assert mask.shape == (2, 1, ROW_MULTIPLE, ROW_MULTIPLE)
    assert (mask[0, 0, :5, :5] == 0).int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 0, 0, 1],
    ]
    assert (mask == 0).any(dim=-1).all()  # a padded position that saw nothing would be NaN


def test_values_of_the_rows_come_back_by_sequence() -> None:
    rows = share_rows(TWO_PROMPTS, RUNS, positions_of)
    assert rows.of_sequences(rows.labels.float()).tolist() == [[11, 12, 0], [13, 0, 0], [14, 15, 16]]


def test_an_answer_that_is_masked_out_whole_takes_no_place() -> None:
    sequences = sequences_of([[5, 6]], [[[11], [12]]])
    sequences.attention_mask[0, 2:] = 0
    rows = share_rows(sequences, [range(0, 2)], positions_of)
    assert rows.of_sequences(rows.labels.float()).tolist() == [[0], [12]]


@settings(max_examples=50, deadline=None)
@given(prompts=PROMPTS, lengths=st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=4), min_size=3, max_size=3))
def test_no_token_is_lost_or_moved(prompts: list[int], lengths: list[list[int]]) -> None:
    tokens = iter(range(1, 1000))
    questions = [[next(tokens) for _ in range(length)] for length in prompts]
    answers = [[[next(tokens) for _ in range(length)] for length in several] for several in lengths[: len(prompts)]]
    sequences = sequences_of(questions, answers)
    runs = runs_of_one_prompt(sequences, [torch.zeros(1)] * len(sequences.input_ids))
    assert [len(run) for run in runs] == [len(several) for several in answers]
    rows = share_rows(sequences, runs, positions_of)
    back = rows.of_sequences(rows.labels.float()).long()
    answered = sequences.input_ids[:, sequences.prompt_end :]
    assert back.tolist() == answered.tolist()
    for sequence, run_number in enumerate(number for number, run in enumerate(runs) for _ in run):
        places = rows.places[sequence][rows.places[sequence] >= 0] - run_number * rows.input_ids.shape[1]
        start = len(questions[run_number]) - 1
        assert rows.positions[1, run_number, places].tolist() == [2 * start + step for step in range(len(places))]


@pytest.mark.parametrize(
    ("images", "expected"),
    [([1.0, 1.0, 2.0], [range(0, 2), range(2, 3)]), ([1.0, 2.0, 2.0], [range(0, 1), range(1, 2), range(2, 3)])],
    ids=["by prompt", "also by image"],
)
def test_neighbours_with_the_same_prompt_and_image_share_them(images: list[float], expected: list[range]) -> None:
    """Many rows of a data set have the same text and another image."""
    assert runs_of_one_prompt(TWO_PROMPTS, [torch.full((2,), image) for image in images]) == expected
