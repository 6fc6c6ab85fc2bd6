"""`r1sgg submit`."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from r1sgg_cli.errors import ConfigError, LaunchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from r1sgg_cli.config.experiment import Experiment
    from r1sgg_cli.config.hardware import Preset
    from r1sgg_cli.launch.job import Job, JobKind
    from r1sgg_cli.launch.pipeline import Stage
    from r1sgg_cli.launch.plan import TrainingPlan

ONE_STAGE = ("sft", "grpo", "infer")
"""Commands that submit themselves with `--launcher slurm`."""


def submit(
    stage: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STAGE …]", help="`sft`, `grpo` or `infer` with its options, to submit that alone."),
    ] = None,
    slurm: Annotated[bool, typer.Option("--slurm", help="As a chain of Slurm jobs.")] = False,
    local: Annotated[bool, typer.Option("--local", help="On this machine, one stage after the other.")] = False,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The experiment; `r1sgg.yaml` here, or the paper's R1-SGG-Zero 2B."),
    ] = None,
    preset: Annotated[str | None, typer.Option("--preset", "-p", help="Instead of the experiment's presets.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show plans and scripts, touch nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Run a whole experiment: prepare, sft, grpo, infer, gather, eval, as far as `r1sgg.yaml` names them.

    Each stage is a job that waits for the one before it; stages that are finished are left out, and the same command
    continues. Everything stands in the experiment's folder: `r1sgg status` shows it, `r1sgg cancel` ends it.

    Example: r1sgg submit --slurm --dry-run
    """
    if slurm == local:
        raise ConfigError("say where: `r1sgg submit --slurm` or `r1sgg submit --local`")
    if stage:
        if config is not None or preset is not None:
            raise ConfigError(
                f"`--config` and `--preset` before `{stage[0]}` are of a whole experiment; give its options after it"
            )
        _submit_one(stage, slurm, dry_run)
        return
    experiment = _load(config, preset)
    (_run_slurm if slurm else _run_local)(experiment, dry_run, yes)


def _submit_one(stage: list[str], slurm: bool, dry_run: bool) -> None:
    from r1sgg_cli.cli.app import app

    if stage[0] not in ONE_STAGE:
        raise ConfigError(
            f"`r1sgg submit --slurm` takes one of {', '.join(ONE_STAGE)} with its options, not `{stage[0]}`; "
            "without a stage it runs the whole experiment"
        )
    if not slurm:
        raise ConfigError(f"one stage here is a command of its own: `r1sgg {stage[0]}` with its options")
    code = app([*stage, "--launcher", "slurm", *(["--dry-run"] if dry_run else [])], standalone_mode=False)
    if code:
        raise typer.Exit(code)


def _load(config: Path | None, preset: str | None) -> Experiment:
    from r1sgg_cli.config.experiment import EXPERIMENT_FILE, load_experiment

    beside = Path(EXPERIMENT_FILE)
    experiment = load_experiment(config or (beside if beside.is_file() else None))
    if preset is None:
        return experiment
    stages = {
        name: stage.model_copy(update={"preset": None})
        for name in ("sft", "grpo", "infer")
        if (stage := getattr(experiment, name)) is not None
    }
    return experiment.model_copy(update={"preset": preset, **stages})


# ---- Slurm


def _run_slurm(experiment: Experiment, dry_run: bool, yes: bool) -> None:
    from r1sgg_cli.launch.pipeline import experiment_stages, unfinished
    from r1sgg_cli.launch.slurm import is_available

    stages = experiment_stages(experiment)
    left = unfinished(stages)
    console = Console(highlight=False)
    planned = [_job(experiment, stage, fetch=not dry_run) for stage in left]
    _print_stages(experiment, stages, left, [plan for _, plan in planned], console, as_jobs=True)
    if not left:
        return
    if dry_run:
        _print_scripts([job for job, _ in planned], console)
        return
    if not is_available():
        raise LaunchError("there is no `sbatch` on the PATH; run this on a cluster's login node, or `--local`")
    _ask(yes)
    _submit_chain(experiment, planned, console)


def _job(experiment: Experiment, stage: Stage, *, fetch: bool) -> tuple[Job, TrainingPlan | None]:
    """The job of a stage, and the plan of a training."""
    from r1sgg_cli.cli.launching import command_job, training_job

    mounts = (experiment.out.absolute(),)  # a container sees what the stages before have left
    if stage.name in ("sft", "grpo"):
        plan = _plan(experiment, stage, fetch=fetch)
        return replace(training_job(plan, stage.name), mounts=mounts), plan
    from r1sgg_cli.launch.pipeline import job_folder

    preset = _preset(experiment, stage)
    kind: JobKind = "array" if stage.name == "infer" else "single"
    command = (*stage.command, *(("--launcher", "here") if stage.name == "infer" else ()))
    folder = job_folder(experiment, stage.name)
    return command_job(stage.name, kind, command, folder, preset, num_tasks=stage.num_tasks, mounts=mounts), None


def _preset(experiment: Experiment, stage: Stage) -> Preset:
    from r1sgg_cli.config.presets import load_preset, preset_folders

    own = getattr(getattr(experiment, stage.name, None), "preset", None)
    folders = preset_folders(Path.home(), Path.cwd())
    return load_preset(own or experiment.preset, folders, experiment.hardware_overrides)


def _plan(experiment: Experiment, stage: Stage, *, fetch: bool) -> TrainingPlan:
    from r1sgg_cli.cli.launching import plan_run
    from r1sgg_cli.config.schema import GRPORun, SFTRun
    from r1sgg_cli.launch.pipeline import data_folder, model_of, recipe_overrides

    own = experiment.sft if stage.name == "sft" else experiment.grpo
    assert own is not None
    kind: type[SFTRun | GRPORun] = SFTRun if stage.name == "sft" else GRPORun
    return plan_run(
        kind,
        own.recipe,
        recipe_overrides(own.set),
        _preset(experiment, stage),
        micro_batch=None,
        fetch=fetch,
        shape_of=experiment.model,
        model=model_of(experiment, stage.name),
        dataset=data_folder(experiment),
        split=experiment.split,
        vocabulary=experiment.vocabulary,
        out=experiment.out / stage.name,
        seed=experiment.seed,
        report_to=experiment.report_to,
    )


def _submit_chain(experiment: Experiment, planned: Sequence[tuple[Job, TrainingPlan | None]], console: Console) -> None:
    """Submit each job after the one before it; all of them are queued, or none stays."""
    from r1sgg_cli.cli.launching import datasets_of, fetch_offline, save_planned, what_is_missing
    from r1sgg_cli.launch.dispatch import insist_on_no_job, submit_after
    from r1sgg_cli.launch.pipeline import data_folder, record_experiment, tested_data

    for _, plan in planned:
        for said in what_is_missing(plan) if plan else []:
            raise ConfigError(said)
    insist_on_no_job(experiment.out)
    plans = [plan for _, plan in planned if plan is not None]
    _insist_on_data(experiment, plans)
    record_experiment(experiment)
    datasets = [(data_folder(experiment), experiment.split), (tested_data(experiment), experiment.test_split)]
    datasets += [one for plan in plans for one in datasets_of(plan.run)]
    for preset in {job.preset.name: job.preset for job, _ in planned}.values():
        fetch_offline(preset, [experiment.model], datasets, console)
    for job, plan in planned:
        if plan is not None:
            save_planned(plan, job)
    submitted = submit_after([job for job, _ in planned], experiment.out)
    for one in submitted:
        console.print(f"{one.name}: job {one.job_id}")
    console.print(f"`r1sgg status {escape(str(experiment.out))}` follows them")


def _insist_on_data(experiment: Experiment, plans: Sequence[TrainingPlan]) -> None:
    """What the chain reads and does not make itself is there. Raises `DataError`."""
    from r1sgg_cli.launch.pipeline import data_folder, tested_data
    from r1sgg_cli.launch.steps import insist_on_held_out, insist_on_split

    if experiment.prepare is not None:
        return
    insist_on_split(data_folder(experiment), experiment.split)
    for plan in plans:
        insist_on_held_out(plan.run)
    if experiment.infer is not None:
        insist_on_split(tested_data(experiment), experiment.test_split)


# ---- here


def _run_local(experiment: Experiment, dry_run: bool, yes: bool) -> None:
    from r1sgg_cli.launch.pipeline import experiment_stages, record_experiment, unfinished

    stages = experiment_stages(experiment)
    left = unfinished(stages)
    console = Console(highlight=False, stderr=not dry_run)
    plans = [_plan(experiment, stage, fetch=not dry_run) if stage.name in ("sft", "grpo") else None for stage in left]
    _print_stages(experiment, stages, left, plans, console, as_jobs=False)
    if dry_run or not left:
        return
    trainings = [plan for plan in plans if plan is not None]
    _insist_on_this_machine([plan.preset for plan in trainings])
    _insist_on_data(experiment, trainings)
    _ask(yes)
    record_experiment(experiment)
    for stage in left:
        command = ["r1sgg", *stage.command]
        console.print(f"[bold cyan]$ {escape(shlex.join(command))}[/]", soft_wrap=True)
        code = _run_stage(experiment, stage)
        if code or not stage.is_finished:
            ended = f"failed with exit code {code}" if code else "ended without its result"
            raise LaunchError(
                f"stage `{stage.name}` {ended}; its messages are in `{_log(experiment, stage)}`: "
                "mend the cause, and the same command continues"
            )


def _insist_on_this_machine(presets: Sequence[Preset]) -> None:
    """Refuse presets that would go to a queue: the next stage would begin without the model of the one before."""
    from r1sgg_cli.launch.launcher import choose_launcher
    from r1sgg_cli.launch.machine import look_at_machine

    machine = look_at_machine(os.environ)
    for preset in presets:
        if choose_launcher(preset, machine) not in ("here", "torchrun"):
            raise LaunchError(
                f"preset `{preset.name}` does not run on this machine; `--slurm` submits it, "
                "`--preset` names one that does"
            )


def _log(experiment: Experiment, stage: Stage) -> Path:
    from r1sgg_cli.launch.job import LOGS
    from r1sgg_cli.launch.pipeline import job_folder

    return job_folder(experiment, stage.name) / LOGS / "local.out"


def _run_stage(experiment: Experiment, stage: Stage) -> int:
    """Run one stage's command; what it says goes to the terminal and to its log."""
    from r1sgg_cli.launch.children import run_logged

    log = _log(experiment, stage)
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "r1sgg_cli", *stage.command]
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return run_logged(argv, environ, log, lambda said: typer.echo(said, nl=False, err=True))


# ---- what is shown


def _print_stages(
    experiment: Experiment,
    stages: Sequence[Stage],
    left: Sequence[Stage],
    plans: Sequence[TrainingPlan | None],
    console: Console,
    *,
    as_jobs: bool,
) -> None:
    from r1sgg_cli.cli.plans import print_plan

    table = Table("stage", "what runs", "", title=f"experiment in {escape(str(experiment.out))}", title_justify="left")
    for stage in stages:
        tasks = f" (array of {stage.num_tasks})" if as_jobs and stage.num_tasks > 1 else ""
        state = "to do" if stage in left else "finished"
        table.add_row(stage.name, escape(shlex.join(("r1sgg", *stage.command))) + tasks, state)
    console.print(table)
    for plan in plans:
        if plan is not None:
            print_plan(plan, console)
    if not left:
        console.print("every stage is finished")


def _print_scripts(jobs: Sequence[Job], console: Console) -> None:
    from r1sgg_cli.launch.sbatch import render_sbatch

    for job in jobs:
        console.print(f"\n[bold]{escape(str(job.folder / 'job.sh'))}[/]", soft_wrap=True)
        typer.echo(render_sbatch(job))


def _ask(yes: bool) -> None:
    if not yes and sys.stdin.isatty() and sys.stdout.isatty() and not typer.confirm("start?"):
        raise typer.Exit
