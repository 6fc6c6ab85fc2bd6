"""How `sft` and `grpo` start: a plan that is shown, or one launcher that runs it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape

from r1sgg_cli.errors import ConfigError, LaunchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from r1sgg_cli.cli.planning import Run
    from r1sgg_cli.config.hardware import Preset
    from r1sgg_cli.config.schema import GRPORun, SFTRun
    from r1sgg_cli.launch.launcher import Launcher
    from r1sgg_cli.launch.machine import Machine
    from r1sgg_cli.launch.plan import TrainingPlan


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
    from r1sgg_cli.cli.placing import resolve_preset, split_overrides
    from r1sgg_cli.cli.planning import plan_run
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


def _show(plan: TrainingPlan, preset: Preset, machine: Machine, launcher: Launcher | None) -> None:
    """What would be started, without touching anything."""
    from r1sgg_cli.cli.placing import launcher_to_show
    from r1sgg_cli.cli.planning import training_job, what_is_missing
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


def _start(
    plan: TrainingPlan, launcher: Launcher, train: Callable[[], Callable[[Any], None]], console: Console
) -> None:
    from r1sgg_cli.cli.placing import fetch_offline
    from r1sgg_cli.cli.planning import datasets_of, save_planned, training_job, watched, what_is_missing
    from r1sgg_cli.config.record import insist_on_same_run
    from r1sgg_cli.launch import dispatch
    from r1sgg_cli.launch.pipeline import MODEL_FINISHED

    for said in what_is_missing(plan):
        raise ConfigError(said)
    if launcher == "here":
        train()(watched(plan))
        return
    _insist_on_data(plan.run)
    if insist_on_same_run(plan.run, plan.run.out) and (plan.run.out / MODEL_FINISHED).exists():
        console.print(f"already trained: {escape(str(plan.run.out))}")
        return
    _insist_on_free_folder(plan.run.out, launcher)
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


def _insist_on_data(run: SFTRun | GRPORun) -> None:
    """What workers would stumble over is said before they start. Raises `DataError`."""
    from r1sgg_cli.cli.planning import insist_on_statistics
    from r1sgg_cli.launch.steps import insist_on_held_out, insist_on_split

    insist_on_split(run.dataset, run.split)
    insist_on_held_out(run)
    if run.stage == "grpo":
        insist_on_statistics(run.recipe, run.dataset)


def _insist_on_free_folder(out: Path, launcher: Launcher) -> None:
    """Refuse a folder in which a training runs, or waits to. Raises `LaunchError`."""
    from r1sgg_cli.files import is_locked
    from r1sgg_cli.launch.dispatch import insist_on_no_job

    if is_locked(out):
        raise LaunchError(f"another r1sgg trains in `{out}` on this machine; wait for it, or give another --out")
    if launcher == "slurm":
        insist_on_no_job(out)  # which would find another run in the folder than it was submitted for


def _local_torchrun(plan: TrainingPlan) -> list[str]:
    from r1sgg_cli.launch.dispatch import bin_dir
    from r1sgg_cli.launch.torchrun import torchrun_argv

    command = ("worker", str(plan.run.out.absolute()))
    return torchrun_argv(command, plan.run.world_size, torchrun=str(bin_dir() / "torchrun"))
