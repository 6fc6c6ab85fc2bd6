"""`r1sgg submit --slurm`: an experiment as jobs, each of which waits for the one before it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape

from r1sgg_cli.errors import ConfigError, LaunchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from r1sgg_cli.config.experiment import Experiment
    from r1sgg_cli.launch.job import Job, JobKind
    from r1sgg_cli.launch.pipeline import Stage
    from r1sgg_cli.launch.plan import TrainingPlan


def run_as_jobs(experiment: Experiment, dry_run: bool, yes: bool) -> None:
    """Submit what is left of an experiment, or show what would be. Raises `R1SGGError`."""
    from r1sgg_cli.cli.staged import ask, print_stages
    from r1sgg_cli.launch.pipeline import experiment_stages, unfinished
    from r1sgg_cli.launch.slurm import is_available

    stages = experiment_stages(experiment)
    left = unfinished(stages)
    console = Console(highlight=False)
    planned = [_job(experiment, stage, fetch=not dry_run) for stage in left]
    print_stages(experiment, stages, left, [plan for _, plan in planned if plan], console, as_jobs=True)
    if not left:
        return
    if dry_run:
        _print_scripts([job for job, _ in planned], console)
        return
    if not is_available():
        raise LaunchError("there is no `sbatch` on the PATH; run this on a cluster's login node, or `--local`")
    ask(yes)
    _submit_chain(experiment, planned, console)


def _job(experiment: Experiment, stage: Stage, *, fetch: bool) -> tuple[Job, TrainingPlan | None]:
    """The job of a stage, and the plan of a training."""
    from r1sgg_cli.cli.placing import command_job
    from r1sgg_cli.cli.planning import training_job
    from r1sgg_cli.cli.staged import stage_plan, stage_preset

    mounts = (experiment.out.absolute(),)  # a container sees what the stages before have left
    if stage.name in ("sft", "grpo"):
        plan = stage_plan(experiment, stage, fetch=fetch)
        return replace(training_job(plan, stage.name), mounts=mounts), plan
    from r1sgg_cli.launch.pipeline import job_folder

    preset = stage_preset(experiment, stage)
    kind: JobKind = "array" if stage.name == "infer" else "single"
    command = (*stage.command, *(("--launcher", "here") if stage.name == "infer" else ()))
    folder = job_folder(experiment, stage.name)
    return command_job(stage.name, kind, command, folder, preset, num_tasks=stage.num_tasks, mounts=mounts), None


def _submit_chain(experiment: Experiment, planned: Sequence[tuple[Job, TrainingPlan | None]], console: Console) -> None:
    """Submit each job after the one before it; all of them are queued, or none stays."""
    from r1sgg_cli.cli.placing import fetch_offline
    from r1sgg_cli.cli.planning import datasets_of, save_planned, what_is_missing
    from r1sgg_cli.cli.staged import insist_on_data
    from r1sgg_cli.launch.dispatch import insist_on_no_job, submit_after
    from r1sgg_cli.launch.pipeline import data_folder, record_experiment, tested_data

    for _, plan in planned:
        for said in what_is_missing(plan) if plan else []:
            raise ConfigError(said)
    insist_on_no_job(experiment.out)
    plans = [plan for _, plan in planned if plan is not None]
    insist_on_data(experiment, plans)
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


def _print_scripts(jobs: Sequence[Job], console: Console) -> None:
    from r1sgg_cli.launch.sbatch import render_sbatch

    for job in jobs:
        console.print(f"\n[bold]{escape(str(job.folder / 'job.sh'))}[/]", soft_wrap=True)
        typer.echo(render_sbatch(job))
