"""Forecasts: what grows with what, who needs less than whom, and numbers that are known from the papers."""

from dataclasses import fields, replace
from typing import Any

import pytest

from r1sgg_cli.config.schema import Sharding
from r1sgg_cli.launch.architectures import parse_shape
from r1sgg_cli.launch.memory import GIB, MemoryForecast, forecast_training, vllm_bytes, vllm_share
from r1sgg_cli.launch.shape import ModelShape
from r1sgg_cli.launch.workload import RolloutLoad, Spread, TrainingStep
from tests.launch.shapes import published_config

STEP = TrainingStep(stage="sft", micro_batch=4, prompt_tokens=1400, completion_tokens=1000, image_tokens=900)
GROWS = {
    "micro_batch": [1, 2, 4, 8, 16],
    "prompt_tokens": [1000, 1400, 2000, 4000],
    "completion_tokens": [100, 1000, 2000],
    "image_tokens": [0, 256, 900, 1024],
}
PARTS = [field.name for field in fields(MemoryForecast) if field.name != "host"]


def published(model: str = "Qwen/Qwen2-VL-2B-Instruct") -> ModelShape:
    return parse_shape(published_config(model), model)


def spread(sharding: Sharding, world_size: int = 8, per_node: int = 8) -> Spread:
    return Spread(sharding=sharding, world_size=world_size, processes_per_node=per_node)


@pytest.mark.parametrize("name", GROWS)
@pytest.mark.parametrize("sharding", ["ddp", "zero3", "fsdp2"])
@pytest.mark.parametrize(
    "step",
    [
        pytest.param(STEP, id="SFT"),
        pytest.param(replace(STEP, gradient_checkpointing=False), id="without checkpointing"),
        pytest.param(replace(STEP, lora_rank=64), id="LoRA"),
        pytest.param(replace(STEP, stage="grpo", precision="float32"), id="GRPO in float32"),
    ],
)
@pytest.mark.parametrize("rollouts", [None, RolloutLoad(num_sequences=64)], ids=["no rollouts", "generate"])
def test_more_of_anything_never_needs_less(
    name: str, sharding: Sharding, step: TrainingStep, rollouts: RolloutLoad | None
) -> None:
    steps = [replace(step, **{name: value}) for value in GROWS[name]]  # type: ignore[arg-type]
    totals = [forecast_training(published(), each, spread(sharding), rollouts).total for each in steps]
    assert totals == sorted(totals)
    if rollouts is None:  # while `generate` reads the prompts, longer answers do not matter yet
        assert totals[0] < totals[-1]


@pytest.mark.parametrize(
    "model", ["Qwen/Qwen2-VL-2B-Instruct", "Qwen/Qwen2-VL-7B-Instruct", "Qwen/Qwen3-VL-4B-Instruct"]
)
@pytest.mark.parametrize("world_size", [4, 8, 16])
def test_each_sharding_needs_less_than_the_one_before(model: str, world_size: int) -> None:
    order: list[Sharding] = ["ddp", "zero2", "zero3", "zero3-offload"]
    forecasts = [forecast_training(published(model), STEP, spread(sharding, world_size)) for sharding in order]
    totals = [forecast.total for forecast in forecasts]
    assert totals == sorted(totals, reverse=True)
    assert len(set(totals)) == len(totals)


@pytest.mark.parametrize("sharding", ["zero2", "zero2-offload", "zero3", "zero3-offload", "fsdp2"])
def test_more_processes_never_need_more_of_each(sharding: Sharding) -> None:
    totals = [forecast_training(published(), STEP, spread(sharding, size)).total for size in (2, 4, 8, 64)]
    assert totals == sorted(totals, reverse=True)


def test_gradients_that_processes_exchange_are_held_once() -> None:
    step = replace(STEP, micro_batch=16)
    alone, of_eight = (forecast_training(published(), step, spread("ddp", size)) for size in (1, 8))
    assert of_eight.total - alone.total == GIB // 2  # what NCCL takes


def test_buckets_are_made_anew_where_a_step_has_its_activations_later() -> None:
    step = replace(STEP, micro_batch=1)
    alone, of_eight = (forecast_training(published(), step, spread("ddp", size)) for size in (1, 8))
    coming = of_eight.activations + of_eight.logits + of_eight.vision
    assert of_eight.total - alone.total == pytest.approx(GIB // 2 + of_eight.gradients - coming, abs=1)


@pytest.mark.parametrize(
    ("step", "sharding", "world_size", "bytes_per_parameter"),
    [
        pytest.param({"precision": "bf16"}, "ddp", 1, 16, id="mixed precision: 16 bytes a parameter"),
        pytest.param({"precision": "float32"}, "ddp", 1, 16, id="float32 as well"),
        pytest.param({"precision": "bf16"}, "ddp", 8, 16, id="each process of many has all"),
        pytest.param({"precision": "bf16"}, "zero2", 1, 16, id="DeepSpeed alone"),
        pytest.param({"precision": "bf16"}, "zero2", 8, 2 + 14 / 8, id="ZeRO-2: weights whole, the rest in shares"),
        pytest.param({"precision": "bf16"}, "zero3", 8, 16 / 8, id="ZeRO-3: all in shares"),
        pytest.param({"precision": "bf16"}, "fsdp2", 8, 16 / 8, id="FSDP2: all in shares"),
        pytest.param({"precision": "bf16"}, "zero2-offload", 8, 2, id="ZeRO-2 with its optimizer in host memory"),
        pytest.param({"precision": "bf16"}, "zero3-offload", 8, 0, id="ZeRO-3 with all in host memory"),
        pytest.param({"stage": "grpo", "has_reference": True}, "ddp", 1, 20, id="and a reference model's weights"),
    ],
)
def test_what_stays_is_what_the_zero_paper_says(
    step: dict[str, Any], sharding: Sharding, world_size: int, bytes_per_parameter: float
) -> None:
    shape = published()
    forecast = forecast_training(shape, replace(STEP, **step), spread(sharding, world_size))
    kept = forecast.weights + forecast.gradients + forecast.optimizer
    assert kept == pytest.approx(bytes_per_parameter * shape.num_parameters, rel=1e-6, abs=1)


def test_what_is_offloaded_is_in_the_memory_of_a_node() -> None:
    shape = published()
    forecast = forecast_training(shape, STEP, spread("zero3-offload", world_size=8, per_node=4))
    assert forecast.host == pytest.approx(18 * shape.num_parameters / 8 * 4)
    assert forecast_training(shape, STEP, spread("zero3", world_size=8, per_node=4)).host == 0


@pytest.mark.parametrize(
    ("step", "sharding", "bytes_per_parameter"),
    [
        pytest.param({}, "ddp", 4, id="float32"),
        pytest.param({}, "fsdp2", 4, id="whole, though shares are kept"),
        pytest.param({"lora_rank": 8, "frozen_in_bf16": True}, "ddp", 2, id="frozen weights in bf16"),
        pytest.param({"lora_rank": 8}, "zero2-offload", 4, id="more than adapters' optimizer"),
    ],
)
def test_every_process_of_a_node_loads_the_weights_there(
    step: dict[str, Any], sharding: Sharding, bytes_per_parameter: int
) -> None:
    shape, four = published(), spread(sharding, world_size=8, per_node=4)
    assert forecast_training(shape, replace(STEP, **step), four).host == 4 * bytes_per_parameter * shape.num_parameters


def test_adapters_leave_the_weights_and_need_little_else() -> None:
    shape = published()
    forecast = forecast_training(shape, replace(STEP, lora_rank=64))
    adapters = sum(part.num_adapters(64) for part in shape.linears)
    assert forecast.weights == 4 * (shape.num_parameters + adapters)
    assert forecast.gradients == 4 * adapters
    assert forecast.optimizer == 8 * adapters
    assert adapters < shape.num_parameters / 25


def test_a_frozen_encoder_has_no_gradients() -> None:
    shape = published()
    forecast = forecast_training(shape, replace(STEP, freeze_vision=True))
    assert forecast.gradients == 4 * shape.language_parameters


def test_checkpointing_needs_less() -> None:
    with_it, without = (
        forecast_training(published(), replace(STEP, gradient_checkpointing=on)) for on in (True, False)
    )
    assert with_it.total < without.total - 20 * GIB


@pytest.mark.parametrize("rollouts", [None, RolloutLoad(num_sequences=64, vllm_bytes=20 * GIB)], ids=["SFT", "vLLM"])
def test_the_total_is_the_sum_of_the_parts(rollouts: RolloutLoad | None) -> None:
    forecast = forecast_training(published(), STEP, spread("zero3"), rollouts)
    assert forecast.total == sum(getattr(forecast, part) for part in PARTS)
    assert all(getattr(forecast, part) >= 0 for part in PARTS)


def test_generating_adds_only_what_exceeds_the_training_step() -> None:
    shape, grpo = published(), replace(STEP, stage="grpo")
    one, many = (
        forecast_training(shape, grpo, Spread(), RolloutLoad(num_sequences=count)).rollouts for count in (1, 256)
    )
    images = shape.vision.num_patches(STEP.image_tokens) * shape.vision.pixels_per_patch * 4
    assert one == images
    cache = 2 * shape.kv_elements_per_token * 256 * STEP.prompt_tokens
    assert many > cache


def test_a_vllm_has_room_for_its_weights_and_all_sequences() -> None:
    shape = published()
    tokens = 64 * 2400
    needed = vllm_bytes(shape, 64, 2400)
    assert shape.kv_elements_per_token == 2 * 28 * 2 * 128
    assert needed > 2 * shape.num_parameters + 2 * shape.kv_elements_per_token * tokens
    share = vllm_share(shape, 79, 64, 2400)
    assert needed / (79 * GIB) <= share < needed / (79 * GIB) + 0.011


@pytest.mark.parametrize(
    ("gpu_memory_gib", "num_sequences", "expected"),
    [
        pytest.param(23.5, 10_000, 0.9, id="never more than asked"),
        pytest.param(79, 1, 0.08, id="weights, mostly"),
    ],
)
def test_a_vllms_share_is_bounded(gpu_memory_gib: float, num_sequences: int, expected: float) -> None:
    assert vllm_share(published(), gpu_memory_gib, num_sequences, 2400) == expected


@pytest.mark.parametrize(
    ("model", "step", "sharding", "world_size", "gpu_gib", "fits"),
    [
        pytest.param("Qwen/Qwen2-VL-2B-Instruct", STEP, "ddp", 4, 79, True, id="SFT of 2B on 4 A100, as published"),
        pytest.param("Qwen/Qwen2-VL-7B-Instruct", STEP, "ddp", 4, 79, False, id="7B does not fit there whole"),
        pytest.param("Qwen/Qwen2-VL-7B-Instruct", STEP, "zero3", 4, 79, True, id="7B does in shares, as published"),
        pytest.param("Qwen/Qwen2-VL-2B-Instruct", STEP, "ddp", 1, 23.5, False, id="2B does not fit a card of 24 GB"),
        pytest.param(
            "Qwen/Qwen2-VL-2B-Instruct", replace(STEP, lora_rank=64), "ddp", 1, 23.5, True, id="its adapters do"
        ),
    ],
)
def test_published_runs_fit_where_they_ran(
    model: str, step: TrainingStep, sharding: Sharding, world_size: int, gpu_gib: float, fits: bool
) -> None:
    forecast = forecast_training(published(model), step, spread(sharding, world_size, world_size))
    assert (forecast.total < gpu_gib * GIB) == fits
