"""How a run is cut so that a preset holds it: the fastest of the ways that fit by forecast."""

from typing import Any

from r1sgg_cli.config.hardware import Preset
from r1sgg_cli.config.layers import validated
from r1sgg_cli.config.schema import Cards, GRPORun, SFTRun, Sharding
from r1sgg_cli.launch.forecast import fits, forecast_run
from r1sgg_cli.launch.memory import MemoryForecast
from r1sgg_cli.launch.rollout_share import planned_rollouts, what_vllm_lacks
from r1sgg_cli.launch.sequences import shares_prompts
from r1sgg_cli.launch.shape import ModelShape
from r1sgg_cli.launch.steps import sequences_per_step

BY_SPEED: tuple[Sharding, ...] = ("ddp", "zero2", "zero3", "zero3-offload")
"""What `sharding: auto` tries, the one with the least communication first."""
LEAST_SAVED = 2
"""Sequences of a micro-batch without gradient checkpointing: of one, a 2B model's kernels take longer to launch than to
run."""


def without_rollouts(preset: Preset) -> Preset:
    """The preset for work in which nothing is sampled: every GPU is free for it."""
    return preset.model_copy(update={"rollouts": "transformers", "servers": None})


def first_that_fits(
    run: SFTRun | GRPORun, preset: Preset, shape: ModelShape, micro_batch: int | None
) -> tuple[SFTRun | GRPORun, MemoryForecast] | None:
    """The fastest cut of a run that a preset holds, with its forecast; None where it holds none."""
    if what_vllm_lacks(run, preset, shape) is not None:
        return None
    for sharding in shardings_to_try(run, preset):
        for size, checkpointing in _cuts(run, preset, shape, micro_batch):
            planned = with_hardware(run, preset, shape, sharding, size, checkpointing)
            memory = forecast_run(planned, preset, shape)
            if fits(memory, preset):
                return planned, memory
    return None


def shardings_to_try(run: SFTRun | GRPORun, preset: Preset) -> tuple[Sharding, ...]:
    """Ways to spread the weights, the fastest first: the preset's alone where it names one."""
    alone = sum(preset.trainers_per_node) == 1 or run.in_four_bits
    tried: tuple[Sharding, ...] = ("ddp",) if alone else BY_SPEED
    if preset.precision == "fp8" and not alone:
        tried = ("ddp", "fsdp2")
    if preset.sharding != "auto":
        tried = (preset.sharding,)
    return tuple(sharding for sharding in tried if not drifts(run, preset, sharding))


def _micro_batches(run: SFTRun | GRPORun, preset: Preset, shape: ModelShape, wanted: int | None) -> list[int]:
    """Sizes to try, the largest first; each cuts a process's share into whole parts.

    Where answers share their prompt's row, a micro-batch of more than one prompt only adds padding.
    """
    share = sequences_per_step(run) // sum(preset.trainers_per_node)
    if wanted is not None:
        return [wanted]  # whether it divides the share is checked with the run
    most = min(share, preset.max_micro_batch)
    if isinstance(run, GRPORun) and shares_prompts(shape):
        most = min(most, run.recipe.num_generations)
    return [size for size in range(most, 0, -1) if share % size == 0]


def _cuts(run: SFTRun | GRPORun, preset: Preset, shape: ModelShape, wanted: int | None) -> list[tuple[int, bool]]:
    """Micro-batches to try, each with or without gradient checkpointing, the fastest first.

    Without it a step saves a quarter of its work, and a micro-batch may be small: `LEAST_SAVED` rows keep a card busy.
    GRPO has to have all answers to a prompt in it, or the prompt would cost more than is saved.
    """
    sizes = _micro_batches(run, preset, shape, wanted)
    if run.recipe.trainer.get("gradient_checkpointing", False):
        return [(size, True) for size in sizes]
    least = run.recipe.num_generations if isinstance(run, GRPORun) else min(LEAST_SAVED, sizes[0])
    without = [(size, False) for size in sizes if size >= least]
    return [*without, *((size, True) for size in sizes)]


def with_hardware(
    run: SFTRun | GRPORun,
    preset: Preset,
    shape: ModelShape,
    sharding: Sharding,
    micro_batch: int,
    checkpointing: bool = True,
) -> SFTRun | GRPORun:
    """The run with the plan's choices, validated once more."""
    hardware: dict[str, Any] = {
        "world_size": sum(preset.trainers_per_node),
        "micro_batch": micro_batch,
        "sharding": sharding,
        "precision": preset.precision,
        "gradient_checkpointing": bool(run.recipe.trainer.get("gradient_checkpointing", checkpointing)),
        "cards": preset.gpu and Cards(number=preset.num_gpus, bf16_tflops=preset.gpu.bf16_tflops).model_dump(),
    }
    if run.stage == "grpo":
        hardware["rollouts"] = planned_rollouts(run, preset, shape)
    return validated(type(run), {**run.model_dump(), **hardware})


def drifts(run: SFTRun | GRPORun, preset: Preset, sharding: Sharding) -> bool:
    """Whether weights that adapters leave alone would change in silence.

    For each synchronisation with vLLM, TRL adds the adapters to them and takes them off again. ZeRO-2 keeps what is
    left of that in bf16, ZeRO-3 throws the gathered weights away, and without DeepSpeed they are float32.
    """
    merges = run.stage == "grpo" and run.recipe.lora is not None and preset.rollouts != "transformers"
    return merges and sharding in ("zero2", "zero2-offload")
