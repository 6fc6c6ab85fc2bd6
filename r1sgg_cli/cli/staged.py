"""An experiment's stages as `submit` plans and shows them, wherever they run."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from r1sgg_cli.config.experiment import Experiment
    from r1sgg_cli.config.hardware import Preset
    from r1sgg_cli.launch.pipeline import Stage
    from r1sgg_cli.launch.plan import TrainingPlan


def stage_preset(experiment: Experiment, stage: Stage) -> Preset:
    """The stage's own preset or the experiment's, with the experiment's hardware. Raises `ConfigError`."""
    from r1sgg_cli.config.presets import load_preset, preset_folders

    own = getattr(getattr(experiment, stage.name, None), "preset", None)
    folders = preset_folders(Path.home(), Path.cwd())
    return load_preset(own or experiment.preset, folders, experiment.hardware_overrides)


def stage_plan(experiment: Experiment, stage: Stage, *, fetch: bool) -> TrainingPlan:
    """The plan of a training among the stages. Raises `R1SGGError`."""
    from r1sgg_cli.cli.planning import plan_run
    from r1sgg_cli.config.schema import GRPORun, SFTRun
    from r1sgg_cli.launch.pipeline import data_folder, model_of, recipe_overrides

    own = experiment.sft if stage.name == "sft" else experiment.grpo
    assert own is not None
    kind: type[SFTRun | GRPORun] = SFTRun if stage.name == "sft" else GRPORun
    return plan_run(
        kind,
        own.recipe,
        recipe_overrides(own.set),
        stage_preset(experiment, stage),
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


def insist_on_data(experiment: Experiment, plans: Sequence[TrainingPlan]) -> None:
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


def print_stages(
    experiment: Experiment,
    stages: Sequence[Stage],
    left: Sequence[Stage],
    plans: Sequence[TrainingPlan],
    console: Console,
    *,
    as_jobs: bool,
) -> None:
    """What each stage runs and whether it is finished, and below the plans of the trainings that are left."""
    from r1sgg_cli.cli.plans import print_plan

    table = Table("stage", "what runs", "", title=f"experiment in {escape(str(experiment.out))}", title_justify="left")
    for stage in stages:
        tasks = f" (array of {stage.num_tasks})" if as_jobs and stage.num_tasks > 1 else ""
        state = "to do" if stage in left else "finished"
        table.add_row(stage.name, escape(shlex.join(("r1sgg", *stage.command))) + tasks, state)
    console.print(table)
    for plan in plans:
        print_plan(plan, console)
    if not left:
        console.print("every stage is finished")


def ask(yes: bool) -> None:
    """Let whoever sits at a terminal say whether it starts. Raises `typer.Exit`."""
    if not yes and sys.stdin.isatty() and sys.stdout.isatty() and not typer.confirm("start?"):
        raise typer.Exit
