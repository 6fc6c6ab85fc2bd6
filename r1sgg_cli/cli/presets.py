"""`r1sgg presets`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from r1sgg_cli.config.hardware import Preset

SIZES = ("Qwen/Qwen2-VL-2B-Instruct", "Qwen/Qwen2-VL-7B-Instruct")
"""The paper's models, for which a preset says what becomes of them on it."""


def presets(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A preset, to see all of it.")] = None,
) -> None:
    """List the GPU profiles, or explain one: its fields, and how the paper's models train on it.

    Your own stand in ~/.config/r1sgg/presets or beside `r1sgg.yaml`. A file of a shipped name adds to it; another says
    `extends: a100-16x` and what is different.

    Example: r1sgg presets a100-16x
    """
    from r1sgg_cli.config.presets import known_presets, load_preset, preset_folders

    folders = preset_folders(Path.home(), Path.cwd())
    if name is None:
        _print_list([load_preset(known, folders) for known in known_presets(folders)])
    else:
        _print_one(load_preset(name, folders), folders)


def _print_list(found: Sequence[Preset]) -> None:
    table = Table("preset", "GPUs", "GiB each", "rollouts", "what it is")
    for preset in sorted(found, key=lambda one: (one.num_gpus, one.name)):
        memory = f"{preset.gpu.memory_gib:g}" if preset.gpu else "–"
        gpus = f"{preset.num_nodes} × {preset.gpus_per_node}" if preset.gpu else "–"
        table.add_row(escape(preset.name), gpus, memory, preset.rollouts, escape(preset.description))
    console = Console()
    console.print(table)
    console.print("`r1sgg presets NAME` explains one; your own stand in ~/.config/r1sgg/presets or beside r1sgg.yaml")


def _print_one(preset: Preset, folders: Sequence[Path]) -> None:
    from r1sgg_cli.config.layers import SHIPPED
    from r1sgg_cli.config.presets import known_presets, load_preset
    from r1sgg_cli.config.yaml import dump_yaml

    console = Console(soft_wrap=True, highlight=False)
    paths = [folder / f"{preset.name}.yaml" for folder in folders]
    for path in paths:
        if path.is_file():
            console.print(f"[dim]{escape(str(path))}[/]")
    console.print(escape(dump_yaml(preset.model_dump(mode="json"))))
    shipped = [folder for folder in SHIPPED if folder.is_dir()]
    others = [load_preset(name, shipped) for name in known_presets(shipped) if name != preset.name]
    refused: dict[str, list[str]] = {}
    each = f"GiB per {'GPU' if preset.gpu else 'process'}"
    table = Table("model", "training", "shards", "micro-batch", each, title="the published recipes on it")
    for model in SIZES:
        for stage in ("sft", "grpo"):
            row = _row(preset, model, stage, others)
            if len(row) == len(table.columns):
                table.add_row(*row)
            else:
                refused.setdefault(row[1], []).append(row[0])
    if table.rows:
        Console().print(table)
    for why, what in refused.items():
        console.print(f"[yellow]not on it:[/] {' and '.join(what)}: {why}")


def _row(preset: Preset, model: str, stage: str, others: Sequence[Preset]) -> tuple[str, ...]:
    """The table's row, or what was refused and why."""
    from r1sgg_cli.config.recipes import resolve_run
    from r1sgg_cli.config.schema import GRPORun, SFTRun
    from r1sgg_cli.errors import ConfigError
    from r1sgg_cli.launch.architectures import parse_shape
    from r1sgg_cli.launch.config_json import load_config
    from r1sgg_cli.launch.memory import GIB
    from r1sgg_cli.launch.plan import plan_training

    named = model.split("/")[1]
    given: dict[str, Any] = {"model": model, "dataset": "", "out": Path(), "precision": preset.precision}
    kind: type[SFTRun | GRPORun] = SFTRun if stage == "sft" else GRPORun
    run = resolve_run(kind, None, (), **given, micro_batch=1)
    loaded = load_config(model, fetch=False)
    assert loaded is not None, f"{model} is one of the shapes that are shipped"
    try:
        plan = plan_training(run, preset, parse_shape(loaded[0], model), alternatives=others)
    except ConfigError as error:
        return f"{stage} of {named}", escape(str(error))
    return named, stage, plan.run.sharding, str(plan.run.micro_batch), f"{plan.memory.total / GIB:.1f}"
