"""`r1sgg submit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from r1sgg_cli.errors import ConfigError

if TYPE_CHECKING:
    from r1sgg_cli.config.experiment import Experiment

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
    from r1sgg_cli.cli.chaining import run_as_jobs
    from r1sgg_cli.cli.in_turn import run_in_turn

    (run_as_jobs if slurm else run_in_turn)(_load(config, preset), dry_run, yes)


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
