"""The share of a card that a vLLM beside a training process takes."""

from typing import Any

import pytest

from r1sgg_cli.config.presets import load_preset
from r1sgg_cli.launch.rollout_share import LEAST_VLLM_SHARE, SAMPLED_AT_ONCE, colocated_share
from tests.launch.test_plan import FOLDERS, run_of, shape_of

SHAPE = shape_of("2B")


def share(memory_gib: float = 80, preset: dict[str, Any] | None = None, **recipe: Any) -> float:
    run = run_of("grpo", **recipe)
    assert run.stage == "grpo"
    return colocated_share(run, load_preset("a100-4x", FOLDERS, preset or {}), SHAPE, memory_gib)


def test_a_large_card_gives_the_least_and_a_small_one_what_is_needed() -> None:
    assert share(10_000) == LEAST_VLLM_SHARE
    assert share(80) <= share(24) <= share(10) <= 0.9
    assert share(24) > LEAST_VLLM_SHARE


def test_never_more_than_is_left_for_training() -> None:
    assert share(1) == 0.9


def test_what_the_preset_says_counts() -> None:
    assert share(10_000, {"gpu_memory_utilization": 0.55}) == 0.55


@pytest.mark.parametrize(
    ("fewer", "more"),
    [
        ({"prompts_per_step": 4}, {"prompts_per_step": 4, "max_new_tokens": 4096}),
        ({"prompts_per_step": 4}, {"prompts_per_step": 16}),
        ({}, {"trainer.vllm_max_model_length": 400_000}),
    ],
    ids=["longer answers", "more of them", "one that is as long as all of them"],
)
def test_more_tokens_take_more(fewer: dict[str, Any], more: dict[str, Any]) -> None:
    assert share(24, **fewer) < share(24, **more)


def test_of_very_many_answers_some_wait_for_others() -> None:
    per_process = SAMPLED_AT_ONCE * 4 // 8
    assert share(24, prompts_per_step=per_process) == share(24, prompts_per_step=4 * per_process)
