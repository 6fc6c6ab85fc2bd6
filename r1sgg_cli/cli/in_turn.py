"""`r1sgg submit --local`: an experiment's stages on this machine, one after the other."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape

from r1sgg_cli.errors import LaunchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from r1sgg_cli.config.experiment import Experiment
    from r1sgg_cli.config.hardware import Preset
    from r1sgg_cli.launch.pipeline import Stage


def run_in_turn(experiment: Experiment, dry_run: bool, yes: bool) -> None:
    """Run what is left of an experiment, or show what would be. Raises `R1SGGError`."""
    from r1sgg_cli.cli.staged import ask, insist_on_data, print_stages, stage_plan
    from r1sgg_cli.launch.pipeline import experiment_stages, record_experiment, unfinished

    stages = experiment_stages(experiment)
    left = unfinished(stages)
    console = Console(highlight=False, stderr=not dry_run)
    plans = [stage_plan(experiment, stage, fetch=not dry_run) for stage in left if stage.name in ("sft", "grpo")]
    print_stages(experiment, stages, left, plans, console, as_jobs=False)
    if dry_run or not left:
        return
    _insist_on_this_machine([plan.preset for plan in plans])
    insist_on_data(experiment, plans)
    ask(yes)
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
