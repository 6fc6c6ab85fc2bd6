"""The memory that a run needs on a preset, at its longest sequences, and whether it is there."""

from r1sgg_cli.config.hardware import Preset
from r1sgg_cli.config.schema import GRPORecipe, GRPORun, SFTRun
from r1sgg_cli.launch.memory import GIB, MemoryForecast, forecast_training
from r1sgg_cli.launch.sequences import sequence_tokens, shared_rows
from r1sgg_cli.launch.shape import ModelShape
from r1sgg_cli.launch.steps import sequences_per_step
from r1sgg_cli.launch.workload import Device, RolloutLoad, Spread, TrainingStep

FITS_UP_TO = 0.95
"""Of a card's memory: allocators leave gaps."""


def forecast_run(run: SFTRun | GRPORun, preset: Preset, shape: ModelShape) -> MemoryForecast:
    """Memory of one training process at the run's longest sequences."""
    recipe, tokens = run.recipe, sequence_tokens(run, shape)
    num_rows, answers_per_row = shared_rows(run, shape)
    step = TrainingStep(
        stage=run.stage,
        micro_batch=run.micro_batch,
        prompt_tokens=tokens.prompt + tokens.image,
        completion_tokens=tokens.answer,
        image_tokens=tokens.image,
        precision=run.precision,
        lora_rank=recipe.lora.rank if recipe.lora else None,
        frozen_in_bf16=run.frozen_in_bf16,
        in_four_bits=run.in_four_bits,
        gradient_checkpointing=bool(recipe.trainer.get("gradient_checkpointing", run.gradient_checkpointing)),
        freeze_vision=recipe.freeze_vision,
        num_shared_rows=num_rows,
        answers_per_row=answers_per_row,
        has_reference=isinstance(recipe, GRPORecipe) and recipe.beta > 0 and recipe.lora is None,
    )
    spread = Spread(sharding=run.sharding, world_size=run.world_size, processes_per_node=max(preset.trainers_per_node))
    device: Device = "cpu" if preset.gpu is None else "cuda"
    return forecast_training(shape, step, spread, _rollout_load(run, preset), device)


def _rollout_load(run: SFTRun | GRPORun, preset: Preset) -> RolloutLoad | None:
    """What samples a step's answers, or, where transformers does, an evaluation's if those are more."""
    at_once = run.recipe.evaluation.images_at_once if run.recipe.evaluation else 0
    if not isinstance(run, GRPORun):
        return RolloutLoad(num_sequences=at_once) if at_once else None
    if run.rollouts.engine == "server":
        return None
    share = sequences_per_step(run) // run.world_size
    if run.rollouts.engine == "transformers":
        return RolloutLoad(num_sequences=max(share, at_once))
    if preset.gpu is None:
        return RolloutLoad(num_sequences=share)
    taken = round(run.rollouts.gpu_memory_utilization * preset.gpu.memory_gib * GIB)
    return RolloutLoad(num_sequences=share, vllm_bytes=taken)


def fits(memory: MemoryForecast, preset: Preset) -> bool:
    """Whether a preset's cards, and its hosts, have so much memory."""
    host = preset.host_memory_gib * GIB
    if preset.gpu is None:
        return memory.total * sum(preset.trainers_per_node) <= host
    return memory.total <= FITS_UP_TO * preset.gpu.memory_gib * GIB and memory.host <= FITS_UP_TO * host


def host_memory_is_for(run: SFTRun | GRPORun) -> str:
    """What a node's memory is needed for besides what is offloaded."""
    return "load its weights" if run.recipe.lora is None else "load its weights and merge its adapters"
