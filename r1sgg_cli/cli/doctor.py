"""`r1sgg doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from r1sgg_cli.cli.options import MODEL_HELP
from r1sgg_cli.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from r1sgg_cli.config.hardware import Preset
    from r1sgg_cli.config.schema import Precision
    from r1sgg_cli.launch.finding import Finding
    from r1sgg_cli.launch.memory import MemoryForecast
    from r1sgg_cli.launch.shape import ModelShape
    from r1sgg_cli.launch.workload import Device, TrainingStep
    from r1sgg_cli.training.measure import MeasuredMemory

MEASURED_MODEL = "Qwen/Qwen2-VL-2B-Instruct"
TYPICAL_PROMPT_TOKENS, TYPICAL_ANSWER_TOKENS = 300, 600
"""Text of a prompt and of a fine-tuning answer, about as long as VG150's are."""
STYLES = {"ok": "green", "note": "yellow", "missing": "bold red", "wrong": "bold red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as JSON.")] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Instead, compare the memory forecast with what steps really take.")
    ] = False,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help=f"Whose shape is measured. {MODEL_HELP}", show_default=False)
    ] = None,
) -> None:
    """Check what this machine has against what r1sgg needs, and say how to mend what is missing.

    Python and packages, GPUs and drivers, vLLM, DeepSpeed, Slurm, hub cache, disks. Exit code 1 where something that
    is needed is missing or wrong; a note leaves it at 0.

    With --measure: random weights of a model's shape, Qwen2-VL-2B's when no other is named, take training steps here.

    Example: r1sgg doctor
    """
    import json
    import os
    from dataclasses import asdict

    from r1sgg_cli.launch.doctor import examine

    if measure:
        _measure(model or MEASURED_MODEL, as_json)
        return
    if model:
        raise ConfigError("`--model` says whose steps are measured; add `--measure`")
    findings = examine(os.environ, Path.cwd())
    shown = list(findings) if as_json else _show(findings)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in shown], indent=1))
    if any(finding.is_fault for finding in shown):
        raise typer.Exit(1)


def _show(findings: Iterator[Finding]) -> list[Finding]:
    """A table that grows as checks end."""
    console = Console()
    table = Table("check", "", "what is here, and what mends it")
    shown: list[Finding] = []
    with Live(table, console=console, transient=True):
        for finding in findings:
            shown.append(finding)
            mend = f"\n[bold]{escape(finding.remedy)}[/]" if finding.remedy else ""
            table.add_row(finding.name, f"[{STYLES[finding.state]}]{finding.state}[/]", escape(finding.detail) + mend)
    console.print(table)
    return shown


def _measure(model: str, as_json: bool) -> None:
    """Forecast and fact of the steps that this machine holds. Raises `ConfigError`, `ModelError`."""
    import gc
    import os

    from r1sgg_cli.errors import ModelError
    from r1sgg_cli.launch.architectures import parse_shape
    from r1sgg_cli.launch.config_json import load_config
    from r1sgg_cli.launch.machine import local_preset, look_at_machine

    found = load_config(model, fetch=True)
    if found is None:
        raise ModelError(f"nothing is known of `{model}`; give a checkpoint's folder, or a name on the hub")
    config, _ = found
    preset = local_preset(look_at_machine(os.environ))
    fitting = _fitting_steps(parse_shape(config, model), preset, model)
    from r1sgg_cli.training.measure import measure_step

    compared = []
    for step, forecast in fitting:
        gc.collect()  # the model of the step before may hang in a cycle, and would be counted
        with Console(stderr=True).status(f"measuring {_name(step)}"):
            compared.append((step, _parts(forecast, measure_step(config, step, _device(preset)))))
    _print_compared(compared, f"{model} on {preset.description}", as_json)


def _device(preset: Preset) -> Device:
    return "cuda" if preset.gpu else "cpu"


def _fitting_steps(shape: ModelShape, preset: Preset, model: str) -> list[tuple[TrainingStep, MemoryForecast]]:
    """The steps that this machine holds by forecast. Raises `ConfigError` where it holds none."""
    from r1sgg_cli.launch.machine import free_memory_gib
    from r1sgg_cli.launch.memory import GIB, forecast_training

    # The profiler that follows each allocation on a CPU needs room itself: half of the memory was seen to be too much.
    room_gib = preset.gpu.memory_gib if preset.gpu else free_memory_gib() / 3
    steps = _steps(shape, preset.precision)
    forecasts = [(step, forecast_training(shape, step, device=_device(preset))) for step in steps]
    fitting = [(step, forecast) for step, forecast in forecasts if forecast.total <= room_gib * GIB]
    if not fitting:
        least_gib = min(forecast.total for _, forecast in forecasts) / GIB
        raise ConfigError(
            f"a step of `{model}` takes {least_gib:.1f} GiB by forecast, and {room_gib:.1f} may be taken here; "
            "name a smaller one with `--model`, such as one that `r1sgg tiny` writes"
        )
    return fitting


def _print_compared(
    compared: Sequence[tuple[TrainingStep, list[tuple[str, int, int]]]], title: str, as_json: bool
) -> None:
    """Each part's forecast and fact, as tables or for a program."""
    import json

    if as_json:
        rows = [
            {"step": _name(step), "part": part, "forecast": a, "fact": b}
            for step, parts in compared
            for part, a, b in parts
        ]
        typer.echo(json.dumps(rows, indent=1))
        return
    for step, parts in compared:
        Console().print(_comparison(f"{title}: {_name(step)}", parts))


def _steps(shape: ModelShape, precision: Precision) -> list[TrainingStep]:
    """Fine-tuning and GRPO of all weights, and fine-tuning of adapters, as the published recipes make them."""
    from r1sgg_cli.config.schema import GRPORecipe, Lora, SFTRecipe
    from r1sgg_cli.launch.sequences import shares_prompts
    from r1sgg_cli.launch.workload import TrainingStep

    def step(recipe: SFTRecipe | GRPORecipe, **own: Any) -> TrainingStep:
        image = shape.image_tokens(recipe.max_pixels)
        prompt = TYPICAL_PROMPT_TOKENS + image
        return TrainingStep(prompt_tokens=prompt, image_tokens=image, precision=precision, **own)

    sft = {"stage": "sft", "micro_batch": 1, "completion_tokens": TYPICAL_ANSWER_TOKENS}
    grpo = GRPORecipe()
    # Two answers to one prompt.
    rows = {"num_shared_rows": 1, "answers_per_row": 2} if shares_prompts(shape) else {}
    return [
        step(SFTRecipe(), **sft),
        step(grpo, stage="grpo", micro_batch=2, completion_tokens=grpo.max_new_tokens, **rows),
        step(SFTRecipe(), **sft, lora_rank=Lora().rank),
    ]


def _name(step: TrainingStep) -> str:
    trained = f"adapters of rank {step.lora_rank}" if step.lora_rank else "all weights"
    return f"{step.stage}, {trained}, {step.precision}, micro-batch {step.micro_batch}"


def _parts(forecast: MemoryForecast, measured: MeasuredMemory) -> list[tuple[str, int, int]]:
    """Forecast and fact of each part that the allocator counts: the driver's and fragments are left out."""
    transient = forecast.activations + forecast.logits + forecast.vision
    parts = [
        ("weights", forecast.weights, measured.weights),
        ("gradients", forecast.gradients, measured.gradients),
        ("optimizer", forecast.optimizer, measured.optimizer),
        ("comes and goes", transient, measured.transient),
    ]
    return [*parts, ("total", sum(part[1] for part in parts), measured.total)]


def _comparison(title: str, parts: list[tuple[str, int, int]]) -> Table:
    table = Table("part", title=title, caption="of the allocator; CUDA's context and fragments come on top")
    for column in ("forecast MiB", "fact MiB", "difference"):
        table.add_column(column, justify="right", no_wrap=True)
    for part, forecast, fact in parts:
        difference = f"{forecast / fact - 1:+.1%}" if fact else "–"
        table.add_row(part, f"{forecast / 2**20:,.1f}", f"{fact / 2**20:,.1f}", difference)
    return table
