"""How a GRPO micro-batch's answers are dealt into rows that share a prompt, at its largest."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.config.layers import validated
from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.launch.sequences import shared_rows
from tests.launch.test_plan import shape_of

SHAPE = shape_of("2B")
GIVEN = {"model": "m", "dataset": "d", "out": Path("o"), "precision": "bf16"}


def grpo(num_generations: int, micro_batch: int, **others: Any) -> GRPORun:
    recipe = {"prompts_per_step": 4, "num_generations": num_generations}
    return validated(GRPORun, {**GIVEN, "recipe": recipe, "micro_batch": micro_batch, **others})


@pytest.mark.parametrize(
    ("num_generations", "micro_batch", "rows"),
    [
        (8, 1, (1, 1)),
        (8, 4, (1, 4)),
        (8, 8, (1, 8)),
        (8, 16, (2, 8)),
        (8, 32, (4, 8)),
        (6, 4, (2, 2)),  # answers 4 to 7: two to the first prompt, two to the second
        (3, 4, (2, 3)),
    ],
    ids=["one", "half a group", "a group", "two", "all", "across two groups", "one group and a part"],
)
def test_answers_to_a_prompt_share_its_row(num_generations: int, micro_batch: int, rows: tuple[int, int]) -> None:
    assert shared_rows(grpo(num_generations, micro_batch), SHAPE) == rows


def test_where_tiles_are_read_and_in_fine_tuning_each_sequence_has_its_own() -> None:
    tiled = replace(SHAPE, vision=replace(SHAPE.vision, tiling="tiles"))
    assert shared_rows(grpo(8, 8), tiled) == (None, 1)
    assert shared_rows(validated(SFTRun, {**GIVEN, "micro_batch": 8}), SHAPE) == (None, 1)
