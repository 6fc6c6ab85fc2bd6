"""What `sft` and `grpo` share: options → run and plan → one launcher."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape

from r1sgg_cli.errors import ConfigError, LaunchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from r1sgg_cli.config.hardware import Preset
    from r1sgg_cli.config.schema import GRPORecipe, GRPORun, SFTRun
    from r1sgg_cli.launch.job import Job, JobKind
    from r1sgg_cli.launch.launcher import Launcher
    from r1sgg_cli.launch.machine import Machine
    from r1sgg_cli.launch.plan import TrainingPlan

    Run = TypeVar("Run", bound=SFTRun | GRPORun)

PRESET_PREFIX = "preset."


def split_overrides(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """`--set` for the recipe, and for the preset (`preset.KEY=VALUE`) less its prefix."""
    own = [one.removeprefix(PRESET_PREFIX) for one in overrides if one.startswith(PRESET_PREFIX)]
    return [one for one in overrides if not one.startswith(PRESET_PREFIX)], own


def resolve_preset(name: str | None, overrides: Sequence[str], machine: Machine) -> Preset:
    """The preset of that name, or the one that describes this machine, with overrides. Raises `ConfigError`."""
    from r1sgg_cli.config.hardware import Preset
    from r1sgg_cli.config.layers import merge, parse_overrides, validated
    from r1sgg_cli.config.presets import load_preset, preset_folders
    from r1sgg_cli.launch.machine import local_preset

    over = parse_overrides(overrides)
    if name is not None:
        return load_preset(name, preset_folders(Path.home(), Path.cwd()), over, PRESET_PREFIX)
    return validated(Preset, merge(local_preset(machine).model_dump(), over), PRESET_PREFIX)


def launch_training(
    kind: type[Run],
    train: Callable[[], Callable[[Run], None]],
    *,
    recipe: str | None,
    overrides: Sequence[str],
    preset: str | None,
    launcher: Launcher | None,
    dry_run: bool,
    micro_batch: int | None,
    precision: str | None,
    **options: Any,
) -> None:
    """Plan a training and start it; `train` imports and returns what trains in this process."""
    from r1sgg_cli.cli.plans import evaluation_of, print_plan
    from r1sgg_cli.launch.launcher import choose_launcher
    from r1sgg_cli.launch.machine import look_at_machine

    machine = look_at_machine(os.environ)
    for_recipe, for_preset = split_overrides(overrides)
    said = [f"precision={precision}"] if precision is not None else []
    resolved = resolve_preset(preset, [*for_preset, *said], machine)
    plan = plan_run(kind, recipe, for_recipe, resolved, micro_batch=micro_batch, fetch=not dry_run, **options)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    if dry_run:
        print_plan(plan, Console(highlight=False))
        _show(plan, resolved, machine, launcher)
        return
    chosen = choose_launcher(plan.preset, machine, launcher)
    if preset is not None or chosen != "here":
        print_plan(plan, console)
    elif plan.run.recipe.evaluation:
        console.print(f"evaluation: {escape(evaluation_of(plan))}")
    _start(plan, chosen, train, console)


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
            _insist_on_statistics(run.recipe, run.dataset)
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


def _insist_on_statistics(recipe: GRPORecipe, dataset: str) -> None:
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


def command_job(name: str, kind: JobKind, command: tuple[str, ...], folder: Path, preset: Preset, **more: Any) -> Job:
    """A Slurm job that runs a command of `r1sgg` from this folder, in this environment."""
    from r1sgg_cli.launch.dispatch import bin_dir
    from r1sgg_cli.launch.hub_folders import hub_folders
    from r1sgg_cli.launch.job import Job

    return Job(
        name=name,
        kind=kind,
        command=command,
        folder=folder.absolute(),
        work_dir=Path.cwd(),
        preset=preset,
        bin_dir=bin_dir(),
        hub_folders=hub_folders(os.environ),
        **more,
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


def _show(plan: TrainingPlan, preset: Preset, machine: Machine, launcher: Launcher | None) -> None:
    """What would be started, without touching anything."""
    from r1sgg_cli.launch.sbatch import render_sbatch

    console = Console(soft_wrap=True, highlight=False)
    chosen = launcher_to_show(plan.preset, machine, launcher, console)
    for said in what_is_missing(plan):
        console.print(f"[yellow]here this would be refused:[/] {escape(said)}")
    if chosen == "here":
        console.print("it would train in this process")
    elif chosen == "torchrun":
        import shlex

        console.print(f"it would run: {escape(shlex.join(_local_torchrun(plan)))}")
    else:
        console.print(f"\n[bold]{escape(str(plan.run.out / 'job.sh'))}[/]")
        typer.echo(render_sbatch(training_job(plan)))


def launcher_to_show(preset: Preset, machine: Machine, wanted: Launcher | None, console: Console) -> Launcher:
    """Where it would start; what this machine can start nowhere is shown as the job that it is on a cluster."""
    from r1sgg_cli.launch.launcher import choose_launcher

    try:
        return choose_launcher(preset, machine, wanted)
    except ConfigError as error:
        if wanted is not None:
            raise
        console.print(f"[yellow]here this would be refused:[/] {escape(str(error))}")
        return "slurm"


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


def _start(
    plan: TrainingPlan, launcher: Launcher, train: Callable[[], Callable[[Any], None]], console: Console
) -> None:
    from r1sgg_cli.config.record import insist_on_same_run
    from r1sgg_cli.files import is_locked
    from r1sgg_cli.launch import dispatch
    from r1sgg_cli.launch.pipeline import MODEL_FINISHED
    from r1sgg_cli.launch.steps import insist_on_held_out, insist_on_split

    for said in what_is_missing(plan):
        raise ConfigError(said)
    if launcher == "here":
        train()(watched(plan))
        return
    insist_on_split(plan.run.dataset, plan.run.split)
    insist_on_held_out(plan.run)
    if plan.run.stage == "grpo":
        _insist_on_statistics(plan.run.recipe, plan.run.dataset)
    if insist_on_same_run(plan.run, plan.run.out) and (plan.run.out / MODEL_FINISHED).exists():
        console.print(f"already trained: {escape(str(plan.run.out))}")
        return
    if is_locked(plan.run.out):
        raise LaunchError(
            f"another r1sgg trains in `{plan.run.out}` on this machine; wait for it, or give another --out"
        )
    if launcher == "slurm":
        dispatch.insist_on_no_job(plan.run.out)  # which would find another run in the folder than it was submitted for
    fetch_offline(plan.preset, [plan.run.model], datasets_of(plan.run), console)
    job = training_job(plan)
    save_planned(plan, job)
    if launcher == "slurm":
        submitted = dispatch.submit_job(job)
        console.print(f"submitted as job {submitted.job_id}; `r1sgg status {escape(str(plan.run.out))}` follows it")
        if submitted.expected:
            console.print(f"[dim]{escape(submitted.expected)}[/]")
        return
    if launcher == "allocation":
        code = dispatch.run_in_allocation(job)
    else:
        code = dispatch.run_torchrun(_local_torchrun(plan), os.environ)
    if code:
        raise LaunchError(
            f"the training ended with exit code {code}; the cause stands above: mend it, and the same command continues"
        )


def _local_torchrun(plan: TrainingPlan) -> list[str]:
    from r1sgg_cli.launch.dispatch import bin_dir
    from r1sgg_cli.launch.torchrun import torchrun_argv

    command = ("worker", str(plan.run.out.absolute()))
    return torchrun_argv(command, plan.run.world_size, torchrun=str(bin_dir() / "torchrun"))


def fetch_offline(
    preset: Preset, models: Sequence[str], datasets: Sequence[tuple[str, str | None]], console: Console
) -> None:
    """Where compute nodes have no network: bring what is on the hub into its cache now. Raises `R1SGGError`.

    `datasets` are names with their splits. A folder is there already, or is made by a stage before.
    """
    if not preset.environment.offline:
        return
    from r1sgg_cli.data.rows import load_rows
    from r1sgg_cli.files import missing_local
    from r1sgg_cli.models.checkpoint import fetch_checkpoint

    console.print("compute nodes are offline: fetching models and data")
    for model in dict.fromkeys(models):
        if not Path(model).exists() and missing_local(model) is None:
            fetch_checkpoint(model)
    for dataset, split in dict.fromkeys(datasets):
        if not Path(dataset).exists() and missing_local(dataset) is None:
            load_rows(dataset, split)
