"""The preflight's parts; `test_rollouts.py` and `test_engines.py` have it before real runs."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from rich.console import Console
from transformers import TrainerControl, TrainerState, TrainingArguments

from r1sgg_cli.errors import ModelError
from r1sgg_cli.models.checkpoint import load_processor
from r1sgg_cli.models.images import PixelLimits
from r1sgg_cli.training.preflight import (
    EnginesCompared,
    Preflight,
    WarnsOfDrift,
    answers_at,
    different_images,
    from_both_ends,
    image_problem,
    insist_on_agreement,
)
from tests.training.test_rollouts import COLOCATED, DIFFERENCE, small_run

WIDE, SMALL = Image.new("RGB", (200, 100)), Image.new("RGB", (40, 40))


@pytest.mark.parametrize(
    ("sampled", "unit", "said"),
    [
        ([[1, 10, 20], [1, 4, 4]], "patches", None),
        ([[1, 10, 20], [1, 2, 2]], "patches", "40×40 pixels into 1×2×2 patches, the trainer into 1×4×4"),
        ([[1, 20, 10], [1, 4, 4]], "patches", "200×100 pixels into 1×20×10 patches, the trainer into 1×10×20"),
    ],
    ids=["equal", "smaller", "turned"],
)
def test_an_image_that_is_cut_differently_is_named(sampled: Any, unit: str, said: str | None) -> None:
    problem = different_images([WIDE, SMALL], sampled, [[1, 10, 20], [1, 4, 4]], unit)
    assert problem is None if said is None else problem is not None and said in problem


@pytest.mark.parametrize(
    ("max_pixels", "said"),
    [(20_000, None), (10_000, "200×100 pixels into 1×6×14 patches, the trainer into 1×10×20")],
    ids=["as the trainer", "lower"],
)
def test_a_colocated_engine_cuts_by_the_limits_that_it_is_given(
    max_pixels: int, said: str | None, tiny_checkpoint: Callable[[str], Path]
) -> None:
    model = str(tiny_checkpoint("qwen2_vl"))
    trained = load_processor(model).image_processor(images=[WIDE, SMALL], return_tensors="pt")["image_grid_thw"]
    preflight = Preflight(small_run(COLOCATED, model=model), PixelLimits(20, 400, max_pixels), Console())
    trainer = SimpleNamespace(vllm_generation=SimpleNamespace(mode="colocate"), preflight=preflight)
    problem = image_problem(trainer, [WIDE, SMALL], trained)
    assert problem is None if said is None else problem is not None and said in problem


@pytest.mark.parametrize(("length", "agrees"), [(50, True), (12, False)])
def test_a_server_is_asked_what_it_makes_of_an_image(length: int, agrees: bool) -> None:
    client = SimpleNamespace(image_features=lambda images: [{"mm_placeholders": {"image": [{"length": length}]}}])
    trainer = SimpleNamespace(
        vllm_generation=SimpleNamespace(mode="server", vllm_client=client),
        accelerator=SimpleNamespace(is_main_process=True),
        processing_class=SimpleNamespace(image_processor=SimpleNamespace(merge_size=2)),
    )
    problem = image_problem(trainer, [WIDE], torch.tensor([[1, 10, 20]]))
    assert problem is None if agrees else problem is not None and "12 image tokens, the trainer into 50" in problem


@pytest.mark.parametrize(
    ("num_answers", "num_chosen", "expected"),
    [(16, 4, [0, 1, 14, 15]), (16, 3, [0, 1, 15]), (16, 1, [0]), (4, 4, [0, 1, 2, 3]), (3, 4, [0, 1, 2])],
)
def test_answers_from_both_ends_are_compared(num_answers: int, num_chosen: int, expected: list[int]) -> None:
    assert from_both_ends(num_answers, num_chosen) == expected


def test_answers_are_taken_with_their_own_images() -> None:
    batch = {
        "prompt_ids": torch.arange(8).view(4, 2),
        "advantages": torch.arange(4.0),
        "num_items_in_batch": torch.tensor(12),
        "num_images": [1, 1, 1, 1],
        "image_grid_thw": torch.tensor([[1, 1, 1], [1, 1, 2], [1, 2, 2], [1, 1, 1]]),
        "pixel_values": torch.tensor([0, 1, 1, 2, 2, 2, 2, 3]),
    }
    part = answers_at(batch, [0, 2])
    assert part["prompt_ids"].tolist() == [[0, 1], [4, 5]]
    assert part["image_grid_thw"].tolist() == [[1, 1, 1], [1, 2, 2]]
    assert part["pixel_values"].tolist() == [0, 2, 2, 2, 2]
    assert part["num_images"] == [1, 1]
    assert "num_items_in_batch" not in part


def trainer_of(console: Console, *overrides: str) -> Any:
    """As much of a trainer as compares two prompts' answers, on one process."""
    preflight = Preflight(small_run(COLOCATED, *overrides), PixelLimits(20, 400, 20_000), console)
    return SimpleNamespace(
        preflight=preflight,
        model=torch.nn.Module(),
        num_generations=2,
        accelerator=SimpleNamespace(num_processes=1, gather=lambda tensor: tensor),
        vllm_generation=SimpleNamespace(mode="colocate"),
        _get_per_token_logps_and_entropies=lambda model, ids, mask, kept: (torch.full((4, 3), -1.4), None, None),
    )


def batch_of(*sampled: float, is_whole: bool = True) -> dict[str, torch.Tensor]:
    """Four answers of three tokens, whose last one is padding."""
    written = torch.tensor([[1, 1, 0]] * 4) * is_whole
    return {
        "prompt_ids": torch.ones(4, 2),
        "prompt_mask": torch.ones(4, 2),
        "completion_ids": torch.ones(4, 3),
        "completion_mask": written,
        "sampling_per_token_logps": torch.tensor([[*sampled, 0.0]] * 4),
    }


@pytest.mark.parametrize(
    ("batch", "overrides", "said"),
    [
        (batch_of(-1.4, -1.45), (), "equal, log-probabilities differ by 0.03 on average (bound 0.1)"),
        (batch_of(-9, -9, is_whole=False), (), "equal; log-probabilities are not compared as no answer is whole"),
        (
            batch_of(-9, -9),
            ("top_k=5", "trainer.vllm_importance_sampling_correction=false"),
            "equal; log-probabilities are not compared under `top_k=5`",
        ),
    ],
    ids=["agreeing", "all answers cut off", "other distribution"],
)
def test_one_line_says_that_the_engines_agree(batch: Any, overrides: tuple[str, ...], said: str) -> None:
    console = Console(file=StringIO(), width=200)
    insist_on_agreement(trainer_of(console, *overrides), batch)
    assert console.file.getvalue() == f"engines agree: 2 prompts, grids {said}\n"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("sampled", "difference"), [(-1.7, "0.300"), (float("nan"), "nan")], ids=["log-probabilities", "not a number"]
)
def test_engines_that_differ_stop_the_run(sampled: float, difference: str) -> None:
    with pytest.raises(ModelError, match=f"differ by {difference} in the log-probability of a token"):
        insist_on_agreement(trainer_of(Console(quiet=True)), batch_of(sampled, sampled))


class Sampled:
    """As much of TRL's trainer as samples and scores: images with the grids that the trainer has made of them."""

    def __init__(self, preflight: Preflight, grid_thw: list[int]) -> None:
        self.preflight = preflight
        self.vllm_generation = SimpleNamespace(mode="colocate")
        self.use_vllm, self.num_generations = True, 2
        self.grid_thw = grid_thw

    def sample(self) -> None:
        grids = torch.tensor([self.grid_thw] * 2)
        self._generate_single_turn([[], []], [[WIDE], [WIDE]], {"image_grid_thw": grids}, 2)

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], images: Any, multimodal_fields: Any, num_generations: int, **others: Any
    ) -> Any:
        return None

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        self.sample()


class Compared(EnginesCompared, Sampled):
    """The same with the preflight."""


@pytest.mark.parametrize("evaluates_first", [True, False], ids=["an evaluation's", "a step's"])
def test_the_first_images_that_are_cut_differently_stop_the_run(
    evaluates_first: bool, tiny_checkpoint: Callable[[str], Path]
) -> None:
    """An evaluation's before anything is scored; equal ones do not stand for those of the first step."""
    run = small_run(COLOCATED, model=str(tiny_checkpoint("qwen2_vl")))
    trainer = Compared(Preflight(run, PixelLimits(20, 400, 20_000), Console(quiet=True)), [1, 10, 20])
    if evaluates_first:
        trainer.grid_thw = [1, 10, 18]
    else:
        trainer.sample()
        trainer.grid_thw = [1, 10, 18]
        trainer.sample()  # a second part of an evaluation is not looked at
    with pytest.raises(ModelError, match="into 1×10×20 patches, the trainer into 1×10×18"):
        trainer.sample() if evaluates_first else trainer._generate_and_score_completions({})


def test_a_later_drift_is_said_once_for_each_time() -> None:
    console = Console(file=StringIO(), width=200)
    watch = WarnsOfDrift(console)
    state = TrainerState()
    for step, difference in enumerate([None, 0.05, 0.2, 0.3, 0.05, float("nan")], start=1):
        state.global_step = step
        logs = {"loss": 0.0} if difference is None else {DIFFERENCE: difference}
        watch.on_log(TrainingArguments("out", use_cpu=True), state, TrainerControl(), logs)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line.partition(":")[0] for line in lines] == ["engines differ at step 3", "engines differ at step 6"]
