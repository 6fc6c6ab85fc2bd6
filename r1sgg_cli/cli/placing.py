"""Where a command runs that a launcher may start: its preset, its job, and what is fetched before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from r1sgg_cli.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from r1sgg_cli.config.hardware import Preset
    from r1sgg_cli.launch.job import Job, JobKind
    from r1sgg_cli.launch.launcher import Launcher
    from r1sgg_cli.launch.machine import Machine

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


def fetch_offline(
    preset: Preset, models: Sequence[str], datasets: Sequence[tuple[str, str | None]], console: Console
) -> None:
    """Where compute nodes have no network: bring what is on the hub into its cache now. Raises `R1SGGError`.

    `datasets` are names with their splits. A folder is there already, or is made by a stage before.
    """
    if not preset.environment.offline:
        return
    from r1sgg_cli.data.rows import load_rows
    from r1sgg_cli.models.checkpoint import fetch_checkpoint
    from r1sgg_cli.typed_names import missing_local

    console.print("compute nodes are offline: fetching models and data")
    for model in dict.fromkeys(models):
        if not Path(model).exists() and missing_local(model) is None:
            fetch_checkpoint(model)
    for dataset, split in dict.fromkeys(datasets):
        if not Path(dataset).exists() and missing_local(dataset) is None:
            load_rows(dataset, split)
