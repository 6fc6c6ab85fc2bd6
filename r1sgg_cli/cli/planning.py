"""A training as it is planned: options → run and plan, the job that it may be, and what its workers read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from r1sgg_cli.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from r1sgg_cli.config.hardware import Preset
    from r1sgg_cli.config.schema import GRPORecipe, GRPORun, SFTRun
    from r1sgg_cli.launch.job import Job
    from r1sgg_cli.launch.plan import TrainingPlan

    Run = TypeVar("Run", bound=SFTRun | GRPORun)


def plan_run(
    kind: type[Run],
    recipe: str | None,
    overrides: Sequence[str],
    preset: Preset,
    *,
    micro_batch: int | None,
    fetch: bool,
    shape_of: str | None = None,
    **options: Any,
) -> TrainingPlan:
    """The plan of a run, everything checked that can be without loading a model. Raises `R1SGGError`.

    `shape_of` names the model to forecast with where the run's own is not there yet.
    """
    from r1sgg_cli.config.held_out import held_out_split
    from r1sgg_cli.config.layers import SHIPPED
    from r1sgg_cli.config.presets import known_presets, load_preset
    from r1sgg_cli.config.recipes import resolve_run
    from r1sgg_cli.config.schema import GRPORecipe
    from r1sgg_cli.config.trainer_options import check_trainer_options
    from r1sgg_cli.launch.architectures import insist_on_trainable, parse_shape
    from r1sgg_cli.launch.config_json import load_config
    from r1sgg_cli.launch.plan import plan_training
    from r1sgg_cli.launch.steps import num_rows

    run = resolve_run(kind, recipe, overrides, **options, micro_batch=1, precision=preset.precision)
    check_trainer_options("SFTConfig" if run.stage == "sft" else "GRPOConfig", run.recipe.trainer)
    _insist_on_loggers(run.report_to)
    held_out_split(run)
    if isinstance(run.recipe, GRPORecipe):
        from r1sgg_cli.config.reward_names import check_rewards

        check_rewards(run.recipe)
        if fetch and Path(run.dataset).is_dir():  # or a stage before makes it
            insist_on_statistics(run.recipe, run.dataset)
    model = shape_of or run.model
    loaded = load_config(model, fetch=fetch)
    if loaded is None:
        raise ConfigError(
            f"nothing here says how large `{model}` is, and `--dry-run` fetches nothing; name a checkpoint's folder, "
            f"or fetch it once: `hf download {model} config.json`"
        )
    shape = parse_shape(loaded[0], model)
    by_vllm = run.stage == "grpo" and preset.rollouts != "transformers"
    insist_on_trainable(str(loaded[0]["model_type"]), model, by_vllm=by_vllm)
    folders = [folder for folder in SHIPPED if folder.is_dir()]
    shipped = [load_preset(name, folders) for name in known_presets(folders)]
    rows = num_rows(run.dataset, run.split)
    return plan_training(run, preset, shape, rows, micro_batch=micro_batch, alternatives=shipped)


def insist_on_statistics(recipe: GRPORecipe, dataset: str) -> None:
    """Refuse rewards that weigh by what the data set has not counted. Raises `DataError`."""
    from r1sgg_cli.config.reward_names import needs_statistics
    from r1sgg_cli.data.statistics import load_train_statistics

    if needs_statistics(recipe.rewards):
        load_train_statistics(dataset)


def _insist_on_loggers(report_to: Sequence[str]) -> None:
    import importlib.util

    for name in report_to:
        if importlib.util.find_spec(name) is None:
            raise ConfigError(f"`--report-to {name}`: `{name}` is not installed; `uv sync --extra {name}` installs it")


def training_job(plan: TrainingPlan, name: str | None = None) -> Job:
    """The Slurm job of a planned training."""
    from r1sgg_cli.cli.placing import command_job
    from r1sgg_cli.launch.pipeline import MODEL_FINISHED
    from r1sgg_cli.launch.plan import server_tokens

    out = plan.run.out.absolute()
    return command_job(
        name or plan.run.stage,
        "torchrun",
        ("worker", str(out)),
        out,
        plan.preset,
        finished_file=out / MODEL_FINISHED,
        model=plan.run.model,
        max_model_len=server_tokens(plan),
        max_pixels=plan.run.recipe.max_pixels,
    )


def save_planned(plan: TrainingPlan, job: Job) -> None:
    """Write what the workers read."""
    from r1sgg_cli.config.record import insist_on_same_run, save_launch
    from r1sgg_cli.launch.dispatch import insist_on_own_run

    insist_on_own_run(plan.run.out)
    insist_on_same_run(plan.run, plan.run.out)
    save_launch(watched(plan).model_copy(update={"stop_file": job.stop_file}), plan.run.out, plan.preset.name)


def datasets_of(run: SFTRun | GRPORun) -> list[tuple[str, str | None]]:
    """What a run reads, with its splits: what it is trained on, and what it is evaluated on."""
    from r1sgg_cli.config.held_out import held_out_split

    held_out = held_out_split(run)
    return [(run.dataset, run.split), *([(held_out.dataset, held_out.split)] if held_out else [])]


def watched(plan: TrainingPlan) -> SFTRun | GRPORun:
    """The run with the preset's patience for a step that does not end."""
    return plan.run.model_copy(update={"step_timeout_minutes": plan.preset.step_timeout_minutes})


def what_is_missing(plan: TrainingPlan) -> list[str]:
    """Packages that the plan needs and this environment lacks; a container or another environment has its own."""
    import importlib.util

    environment = plan.preset.environment
    if environment.container is not None or environment.activate is not None:
        return []
    needed = {"deepspeed": plan.run.sharding.startswith("zero")}
    needed["vllm"] = plan.run.stage == "grpo" and plan.run.rollouts.engine != "transformers"
    needed["bitsandbytes"], needed["torchao"] = plan.run.in_four_bits, plan.run.precision == "fp8"
    extras = {"bitsandbytes": "qlora", "torchao": "fp8"}
    hints = {
        "deepspeed": "or `--set preset.sharding=ddp` where it fits",
        "vllm": "or `--set preset.rollouts=transformers` to sample with transformers, which is far slower",
        "bitsandbytes": "or `--set lora.quantize=null` where 16 bits fit",
        "torchao": "or `--set preset.precision=bf16`",
    }
    return [
        f"the plan needs `{name}`, which is not installed: `uv sync --extra {extras.get(name, name)}`, {hints[name]}"
        for name, is_needed in needed.items()
        if is_needed and importlib.util.find_spec(name) is None
    ]
