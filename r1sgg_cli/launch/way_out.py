"""What to say of a run that fits no cut of a preset: the numbers, and the nearest thing that does."""

from collections.abc import Iterator, Sequence

from r1sgg_cli.config.hardware import Preset
from r1sgg_cli.config.layers import validated
from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.launch.fitting import first_that_fits, shardings_to_try, with_hardware, without_rollouts
from r1sgg_cli.launch.forecast import FITS_UP_TO, forecast_run, host_memory_is_for
from r1sgg_cli.launch.memory import GIB
from r1sgg_cli.launch.shape import ModelShape
from r1sgg_cli.launch.steps import sequences_per_step


def room_for_vllm(run: SFTRun | GRPORun, preset: Preset, shape: ModelShape, alternatives: Sequence[Preset]) -> str:
    """What to do for a vLLM that lacks memory."""
    left_to_plan = preset.model_copy(update={"gpu_memory_utilization": None})
    if _is_possible(run, left_to_plan, shape):
        return "leave `gpu_memory_utilization` to the plan"
    return _nearest(run, preset, shape, alternatives)


def what_does_not_fit(
    run: SFTRun | GRPORun, preset: Preset, shape: ModelShape, micro_batch: int | None, alternatives: Sequence[Preset]
) -> str:
    """One line: what it needs at least, what there is, and the nearest that fits."""
    size = micro_batch or 1
    tried = [
        (forecast_run(with_hardware(run, preset, shape, sharding, size), preset, shape), sharding)
        for sharding in shardings_to_try(run, preset)
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
        return first_that_fits(run, preset, shape, None) is not None
    except ConfigError:  # a recipe that its rollouts do not allow, such as truncated sampling by vLLM
        return False
