"""How `infer` is started: as workers that share the images of a split, one process and GPU each."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from r1sgg_cli.config.hardware import Preset
    from r1sgg_cli.launch.job import Job
    from r1sgg_cli.launch.launcher import Launcher

_SWITCHES = {
    "predefined_categories": ("--predefined-cats", "--open-cats"),
    "think": ("--grpo", "--no-grpo"),
    "structured": ("--structured", "--free"),
}


def is_worker(preset_name: str | None, for_preset: Sequence[str], launcher: Launcher | None) -> bool:
    """Whether this process is one of those that a launcher starts; under torchrun it takes its own card.

    Each is told `--launcher here` and no preset: it answers on one card, however many its machine has.
    """
    if launcher != "here" or preset_name is not None or for_preset:
        return False
    if "LOCAL_RANK" in os.environ:
        _take_own_card(int(os.environ["LOCAL_RANK"]))
    return True


def _take_own_card(local_rank: int) -> None:
    """Of the cards that torchrun shows all its processes, leave this one its own; torch is not imported yet."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    cards = visible.split(",") if visible else []
    os.environ["CUDA_VISIBLE_DEVICES"] = cards[local_rank] if local_rank < len(cards) else str(local_rank)


def launch_inference(
    model: str,
    out: Path,
    asked: Mapping[str, Any],
    preset_name: str | None,
    for_preset: Sequence[str],
    launcher: Launcher | None,
    *,
    dry_run: bool,
) -> bool:
    """Start the workers elsewhere or show what would be; False where this process is to answer by itself."""
    from r1sgg_cli.cli.launching import fetch_offline, launcher_to_show, resolve_preset
    from r1sgg_cli.launch.launcher import choose_launcher
    from r1sgg_cli.launch.machine import look_at_machine
    from r1sgg_cli.launch.pipeline import ANSWERED
    from r1sgg_cli.launch.plan import without_rollouts
    from r1sgg_cli.launch.steps import insist_on_split
    from r1sgg_cli.models.adapter_folder import base_of

    console = Console(stderr=not dry_run, soft_wrap=True, highlight=False)
    machine = look_at_machine(os.environ)
    preset = without_rollouts(resolve_preset(preset_name, for_preset, machine))
    chosen: Launcher
    if dry_run:
        chosen = launcher_to_show(preset, machine, launcher, console)
    else:
        chosen = choose_launcher(preset, machine, launcher)
    if dry_run or chosen != "here":
        _print_plan(model, asked, preset, console)
    command = infer_command(model, out, asked)
    if dry_run:
        _show(command, out, preset, chosen, console)
        return True
    if chosen == "here" or (out / ANSWERED).exists():  # it says that all is answered, or by what other run
        return False
    datasets = [] if asked["images"] else [(asked["dataset"], asked["split"])]
    for dataset in datasets:
        insist_on_split(*dataset)
    fetch_offline(preset, [base_of(model)], datasets, console)
    code = _start(command, out, preset, chosen, console)
    if code:
        raise typer.Exit(1)
    return True


def infer_command(model: str, out: Path, asked: Mapping[str, Any]) -> tuple[str, ...]:
    """The command of one worker."""
    argv = ["infer", model, str(out)]
    for key, value in asked.items():
        if value is None or (key == "dataset" and asked["images"]):
            continue
        if key in _SWITCHES:
            argv.append(_SWITCHES[key][0 if value else 1])
        else:
            argv += [f"--{key.replace('_', '-')}", str(value)]
    return (*argv, "--launcher", "here")


def num_workers(preset: Preset) -> int:
    """One for each GPU, or each process of a CPU."""
    return preset.num_gpus or preset.processes_per_node


def inference_job(command: tuple[str, ...], out: Path, preset: Preset) -> Job:
    """The array of jobs, in the folder of the answers."""
    from r1sgg_cli.cli.launching import command_job

    return command_job("infer", "array", command, out, preset, num_tasks=num_workers(preset))


def _torchrun(command: tuple[str, ...], preset: Preset) -> list[str]:
    from r1sgg_cli.launch.dispatch import bin_dir
    from r1sgg_cli.launch.torchrun import torchrun_argv

    return torchrun_argv(command, num_workers(preset), torchrun=str(bin_dir() / "torchrun"))


def _show(command: tuple[str, ...], out: Path, preset: Preset, launcher: Launcher, console: Console) -> None:
    from r1sgg_cli.launch.sbatch import render_sbatch

    if launcher == "here":
        console.print("it would answer in this process")
    elif launcher == "torchrun":
        console.print(f"it would run: {escape(shlex.join(_torchrun(command, preset)))}")
    else:
        typer.echo(render_sbatch(inference_job(command, out, preset)))


def _start(command: tuple[str, ...], out: Path, preset: Preset, launcher: Launcher, console: Console) -> int:
    from r1sgg_cli.config.record import LAUNCHER_FILES
    from r1sgg_cli.files import insist_on_own_folder
    from r1sgg_cli.launch import dispatch
    from r1sgg_cli.launch.pipeline import ANSWERS_RECORD

    insist_on_own_folder(out, ANSWERS_RECORD, LAUNCHER_FILES)
    if launcher == "torchrun":
        return dispatch.run_torchrun(_torchrun(command, preset), os.environ)
    job = inference_job(command, out, preset)
    if launcher == "allocation":
        return dispatch.run_in_allocation(job)
    submitted = dispatch.submit_job(job)
    console.print(f"submitted as job {submitted.job_id}; `r1sgg status {escape(str(out))}` follows it")
    return 0


def _print_plan(model: str, asked: Mapping[str, Any], preset: Preset, console: Console) -> None:
    from r1sgg_cli.inference.room import SHORT_TEXT_TOKENS, TRANSFORMERS_BATCH
    from r1sgg_cli.launch.architectures import parse_shape
    from r1sgg_cli.launch.config_json import load_config
    from r1sgg_cli.launch.memory import GIB
    from r1sgg_cli.launch.steps import num_rows
    from r1sgg_cli.models.adapter_folder import base_of

    loaded = load_config(base_of(model), fetch=False)
    workers = num_workers(preset)
    known = (asked["limit"], None if asked["images"] else num_rows(asked["dataset"], asked["split"]))
    rows = min((number for number in known if number is not None), default=None)
    each = f", about {-(-rows // workers):,} images each" if rows else ""
    console.print(
        f"plan: {workers} worker{'s' * (workers > 1)}{each}, on {escape(preset.name)} ({escape(preset.description)})"
    )
    if loaded is None:
        return
    shape = parse_shape(loaded[0], model)
    width = 2 if preset.gpu else 4
    weights = width * shape.num_parameters / GIB
    longest = asked["max_new_tokens"] + SHORT_TEXT_TOKENS
    at_once = asked["batch_size"] or TRANSFORMERS_BATCH
    cache = width * shape.kv_elements_per_token * at_once * longest / GIB
    may_be_vllm = preset.gpu and asked.get("engine") != "transformers"
    has = f" of {round(preset.gpu.memory_gib, 1):g}" if preset.gpu else ""
    console.print(
        f"memory: {weights + cache:.1f}{has} GiB a worker: weights {weights:.1f}, keys and values of "
        f"{at_once} answers {cache:.1f}{'; vLLM fills the card with more of them' if may_be_vllm else ''}"
    )
