"""What a run comes to on a preset: computed, pure, and the same optimizer steps everywhere.

The global batch is the recipe's. A plan chooses how it is cut (training processes, micro-batch, accumulation), how
weights and optimizer are spread, and vLLM's share of memory, so that the forecast fits; what does not fit is refused
with the numbers and the nearest thing that does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from r1sgg_cli.config.few_bits import refused_with_four_bits
from r1sgg_cli.config.hardware import Preset
from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.launch.fitting import drifts, first_that_fits, without_rollouts
from r1sgg_cli.launch.memory import MemoryForecast
from r1sgg_cli.launch.rollout_share import what_vllm_lacks
from r1sgg_cli.launch.sequences import SequenceTokens, engine_tokens, sequence_tokens
from r1sgg_cli.launch.shape import ModelShape
from r1sgg_cli.launch.steps import Hours, expected_hours, num_steps, sequences_per_step
from r1sgg_cli.launch.way_out import room_for_vllm, what_does_not_fit


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
    found = first_that_fits(run, preset, shape, micro_batch)
    if found is None and (said := what_vllm_lacks(run, preset, shape)):
        raise ConfigError(f"{said}; {room_for_vllm(run, preset, shape, alternatives)}")
    if found is None:
        raise ConfigError(what_does_not_fit(run, preset, shape, micro_batch, alternatives))
    planned, memory = found
    steps = num_steps(planned, rows)
    hours = expected_hours(planned, preset, shape.num_parameters, steps)
    return TrainingPlan(planned, preset, shape, sequence_tokens(run, shape), memory, rows, steps, hours)


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


def _insist_on_weights_that_stay(run: SFTRun | GRPORun, preset: Preset) -> None:
    if preset.sharding != "auto" and drifts(run, preset, preset.sharding):
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


def server_tokens(plan: TrainingPlan) -> int | None:
    """Room of rollout servers for a prompt and its answer, in tokens; None where there are none."""
    if plan.preset.servers is None or plan.run.stage != "grpo":
        return None
    return engine_tokens(plan.run, plan.shape)
