"""What a run comes to on a preset: computed, pure, and the same optimizer steps everywhere.

The global batch is the recipe's. A plan chooses how it is cut (training processes, micro-batch, accumulation), how
weights and optimizer are spread, and vLLM's share of memory, so that the forecast fits; what does not fit is refused
with the numbers and the nearest thing that does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from r1sgg_cli.config.few_bits import refused_with_four_bits
from r1sgg_cli.config.hardware import Preset
from r1sgg_cli.config.layers import validated
from r1sgg_cli.config.schema import Cards, GRPORun, SFTRun, Sharding
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.launch.forecast import FITS_UP_TO, fits, forecast_run, host_memory_is_for
from r1sgg_cli.launch.memory import GIB, MemoryForecast
from r1sgg_cli.launch.rollout_share import planned_rollouts, what_vllm_lacks
from r1sgg_cli.launch.sequences import SequenceTokens, engine_tokens, sequence_tokens, shares_prompts
from r1sgg_cli.launch.shape import ModelShape
from r1sgg_cli.launch.steps import Hours, expected_hours, num_steps, sequences_per_step

BY_SPEED: tuple[Sharding, ...] = ("ddp", "zero2", "zero3", "zero3-offload")
"""What `sharding: auto` tries, the one with the least communication first."""
LEAST_SAVED = 2
"""Sequences of a micro-batch without gradient checkpointing: of one, a 2B model's kernels take longer to launch than to
run."""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A run as its workers will read it, and what is expected of it."""

    run: SFTRun | GRPORun
    preset: Preset
    shape: ModelShape
    tokens: SequenceTokens
    memory: MemoryForecast
    num_rows: int | None
    num_steps: int | None
    hours: Hours | None

    @property
    def accumulation(self) -> int:
        """Micro-batches of one process in one optimizer step."""
        return sequences_per_step(self.run) // (self.run.world_size * self.run.micro_batch)


def plan_training(
    run: SFTRun | GRPORun,
    preset: Preset,
    shape: ModelShape,
    rows: int | None = None,
    *,
    micro_batch: int | None = None,
    alternatives: Sequence[Preset] = (),
) -> TrainingPlan:
    """The plan of `run` on `preset`; `micro_batch` leaves only that one, `alternatives` are presets to name if nothing
    fits. Raises `ConfigError`."""
    preset = preset if run.stage == "grpo" else without_rollouts(preset)
    _insist_on_equal_shares(run, preset)
    _insist_on_weights_that_stay(run, preset)
    _insist_on_whole_four_bits(run, preset)
    _insist_on_cards_with_fp8(preset)
    found = _first_that_fits(run, preset, shape, micro_batch)
    if found is None and (said := what_vllm_lacks(run, preset, shape)):
        raise ConfigError(f"{said}; {_room_for_vllm(run, preset, shape, alternatives)}")
    if found is None:
        raise ConfigError(_what_does_not_fit(run, preset, shape, micro_batch, alternatives))
    planned, memory = found
    steps = num_steps(planned, rows)
    hours = expected_hours(planned, preset, shape.num_parameters, steps)
    return TrainingPlan(planned, preset, shape, sequence_tokens(run, shape), memory, rows, steps, hours)


def without_rollouts(preset: Preset) -> Preset:
    """The preset for work in which nothing is sampled: every GPU is free for it."""
    return preset.model_copy(update={"rollouts": "transformers", "servers": None})


def _insist_on_equal_shares(run: SFTRun | GRPORun, preset: Preset) -> None:
    total, processes = sequences_per_step(run), sum(preset.trainers_per_node)
    if total % processes == 0:
        return
    unit, key = (1, "batch_size") if run.stage == "sft" else (run.recipe.num_generations, "prompts_per_step")
    wanted = total // unit
    fitting = [n for n in range(1, wanted + processes + 1) if n * unit % processes == 0]
    nearest = sorted(sorted(fitting, key=lambda n: abs(n - wanted))[:2])
    settings = " or ".join(f"`--set {key}={n}`" for n in nearest)
    what = "examples" if run.stage == "sft" else f"answers ({wanted} prompts × {unit})"
    raise ConfigError(
        f"a step's {total} {what} cannot be shared equally by the {processes} training processes of preset "
        f"`{preset.name}`; the nearest that can is {settings}, which is another recipe, or a preset of another size"
    )


def _drifts(run: SFTRun | GRPORun, preset: Preset, sharding: Sharding) -> bool:
    """Whether weights that adapters leave alone would change in silence.

    For each synchronisation with vLLM, TRL adds the adapters to them and takes them off again. ZeRO-2 keeps what is
    left of that in bf16, ZeRO-3 throws the gathered weights away, and without DeepSpeed they are float32.
    """
    merges = run.stage == "grpo" and run.recipe.lora is not None and preset.rollouts != "transformers"
    return merges and sharding in ("zero2", "zero2-offload")


def _insist_on_weights_that_stay(run: SFTRun | GRPORun, preset: Preset) -> None:
    if preset.sharding != "auto" and _drifts(run, preset, preset.sharding):
        raise ConfigError(
            f"`sharding: {preset.sharding}` of preset `{preset.name}` would change the frozen weights under adapters a "
            "little at each synchronisation with vLLM; use `--set preset.sharding=zero3` or "
            "`--set preset.rollouts=transformers`"
        )


def _insist_on_whole_four_bits(run: SFTRun | GRPORun, preset: Preset) -> None:
    sharding = "ddp" if preset.sharding == "auto" else preset.sharding
    if run.in_four_bits and (said := refused_with_four_bits(sharding, preset.rollouts)):
        raise ConfigError(said)


def _insist_on_cards_with_fp8(preset: Preset) -> None:
    if preset.precision == "fp8" and (preset.gpu is None or not preset.gpu.fp8):
        has = f"{preset.gpu.name} has none" if preset.gpu else "the CPU has none"
        raise ConfigError(
            f"`precision: fp8` needs cards of compute capability 8.9 or newer (RTX 4090, L40S, H100, H200, GH200), and "
            f"{has}; use `--set preset.precision=bf16`, or say `--set preset.gpu.fp8=true` of a card that has it"
        )


def _first_that_fits(
    run: SFTRun | GRPORun, preset: Preset, shape: ModelShape, micro_batch: int | None
) -> tuple[SFTRun | GRPORun, MemoryForecast] | None:
    if what_vllm_lacks(run, preset, shape) is not None:
        return None
    for sharding in _shardings(run, preset):
        for size, checkpointing in _cuts(run, preset, shape, micro_batch):
            planned = _with_hardware(run, preset, shape, sharding, size, checkpointing)
            memory = forecast_run(planned, preset, shape)
            if fits(memory, preset):
                return planned, memory
    return None


def _shardings(run: SFTRun | GRPORun, preset: Preset) -> tuple[Sharding, ...]:
    alone = sum(preset.trainers_per_node) == 1 or run.in_four_bits
    tried: tuple[Sharding, ...] = ("ddp",) if alone else BY_SPEED
    if preset.precision == "fp8" and not alone:
        tried = ("ddp", "fsdp2")
    if preset.sharding != "auto":
        tried = (preset.sharding,)
    return tuple(sharding for sharding in tried if not _drifts(run, preset, sharding))


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


def _with_hardware(
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


def _room_for_vllm(run: SFTRun | GRPORun, preset: Preset, shape: ModelShape, alternatives: Sequence[Preset]) -> str:
    """What to do for a vLLM that lacks memory."""
    left_to_plan = preset.model_copy(update={"gpu_memory_utilization": None})
    if _is_possible(run, left_to_plan, shape):
        return "leave `gpu_memory_utilization` to the plan"
    return _nearest(run, preset, shape, alternatives)


def server_tokens(plan: TrainingPlan) -> int | None:
    """Room of rollout servers for a prompt and its answer, in tokens; None where there are none."""
    if plan.preset.servers is None or plan.run.stage != "grpo":
        return None
    return engine_tokens(plan.run, plan.shape)


def _what_does_not_fit(
    run: SFTRun | GRPORun, preset: Preset, shape: ModelShape, micro_batch: int | None, alternatives: Sequence[Preset]
) -> str:
    """One line: what it needs at least, what there is, and the nearest that fits."""
    size = micro_batch or 1
    tried = [
        (forecast_run(_with_hardware(run, preset, shape, sharding, size), preset, shape), sharding)
        for sharding in _shardings(run, preset)
    ]
    memory, sharding = min(tried, key=lambda one: one[0].total)
    has = f"{round(preset.gpu.memory_gib if preset.gpu else preset.host_memory_gib, 1):g} GiB"
    needs = f"{memory.total / GIB:.1f} GiB {'on each GPU' if preset.gpu else 'in each process'}"
    if memory.host > FITS_UP_TO * preset.host_memory_gib * GIB:
        needs, has = f"{memory.host / GIB:.0f} GiB of each node's memory", f"{preset.host_memory_gib:g} GiB"
        needs += "" if sharding.endswith("-offload") else f" to {host_memory_is_for(run)}"
    weights = "adapters" if run.recipe.lora else "all weights"
    weights += " on 4-bit weights" if run.in_four_bits else ""
    what = f"{run.stage} of {weights} of a {shape.num_parameters / 1e9:.1f}B model"
    way_out = _nearest(run, preset, shape, alternatives)
    return (
        f"{what} needs at least {needs} ({sharding}, micro-batch {size}), preset `{preset.name}` has {has}; {way_out}"
    )


def _nearest(run: SFTRun | GRPORun, preset: Preset, shape: ModelShape, alternatives: Sequence[Preset]) -> str:
    """What to do: smaller micro-batches, adapters on the same cards, or the smallest preset that holds it all."""
    if _is_possible(run, preset, shape):
        return "leave `--micro-batch` to the plan"
    ways = [*_less_weights(run, preset, shape), *_less_at_once(run, preset, shape)]
    larger = sorted((p for p in alternatives if p.gpu), key=lambda p: (p.num_gpus, p.gpu.memory_gib if p.gpu else 0))
    fitting = next((p for p in larger if _is_possible(run, p, shape)), None)
    if fitting is not None:
        ways.append(f"use `--preset {fitting.name}`")
    return " or ".join(ways) if ways else "no shipped preset holds it; shorten answers or images in the recipe"


def _less_weights(run: SFTRun | GRPORun, preset: Preset, shape: ModelShape) -> Iterator[str]:
    """Adapters on the same cards; where those do not fit either, on weights of 4 bits."""
    own = run.recipe.model_dump()
    for name, quantize in (("lora", None), ("qlora", "nf4")):
        is_that_already = run.recipe.lora is not None and (quantize is None or run.in_four_bits)
        lora = {**(own["lora"] or {}), "quantize": quantize}
        other = {**run.model_dump(), "recipe": {**own, "lora": lora}}
        if not is_that_already and _is_possible(validated(type(run), other), preset, shape):
            what = "train adapters" if run.recipe.lora is None else "keep the weights in 4 bits"
            yield f"{what} (`--recipe {run.stage}-{name}`)"
            return


def _less_at_once(run: SFTRun | GRPORun, preset: Preset, shape: ModelShape) -> Iterator[str]:
    """Fewer prompts, where one process samples the answers to all of its own at once; fewer images of an evaluation."""
    if run.recipe.evaluation and run.recipe.evaluation.images_at_once > 1 and preset.rollouts == "transformers":
        evaluation = {**run.recipe.evaluation.model_dump(), "images_at_once": 1}
        recipe = {**run.recipe.model_dump(), "evaluation": evaluation}
        if _is_possible(validated(type(run), {**run.model_dump(), "recipe": recipe}), preset, shape):
            yield "evaluate one image at a time (`--set evaluation.images_at_once=1`)"
            return
    if run.stage == "grpo" and preset.rollouts == "transformers":
        for share in (2, 4, 8):
            prompts = max(1, run.recipe.prompts_per_step // share)
            recipe = {**run.recipe.model_dump(), "prompts_per_step": prompts}
            if _is_possible(validated(type(run), {**run.model_dump(), "recipe": recipe}), preset, shape):
                yield f"sample fewer answers at once (`--set prompts_per_step={prompts}`, which is another recipe)"
                return


def _is_possible(run: SFTRun | GRPORun, preset: Preset, shape: ModelShape) -> bool:
    preset = preset if run.stage == "grpo" else without_rollouts(preset)
    if sequences_per_step(run) % sum(preset.trainers_per_node):
        return False
    try:
        return _first_that_fits(run, preset, shape, None) is not None
    except ConfigError:  # a recipe that its rollouts do not allow, such as truncated sampling by vLLM
        return False
