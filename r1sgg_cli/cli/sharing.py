"""How `infer` is started: as workers that share the images of a split, one process and GPU each."""

from __future__ import annotations

import json
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
    "push_claimed": ("--push-claimed", "--no-push-claimed"),
}


def is_worker(preset_name: str | None, for_preset: Sequence[str], launcher: Launcher | None) -> bool:
    """Whether this process is one of those that a launcher starts.

    Each is told `--launcher here` and no preset: it answers on one card, however many its machine has.
    """
    return launcher == "here" and preset_name is None and not for_preset


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
    from r1sgg_cli.cli.placing import launcher_to_show, resolve_preset
    from r1sgg_cli.launch.fitting import without_rollouts
    from r1sgg_cli.launch.launcher import choose_launcher
    from r1sgg_cli.launch.machine import look_at_machine

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
    is_left = chosen != "here" and not is_answered(out, asked)
    if is_left:
        _insist_on_network(asked, preset)
    command = infer_command(model, out, {**asked, "push_claimed": asked["push_to_hub"] and True})
    if dry_run:
        _show(command, out, preset, chosen, console)
    elif is_left:
        _launch(model, command, out, asked, preset, chosen, console)
    return dry_run or is_left


def is_answered(out: Path, asked: Mapping[str, Any]) -> bool:
    """Whether a folder has an answer for as many images as are asked for; False where that number is not known."""
    from r1sgg_cli.launch.pipeline import ANSWERED

    try:
        num_answered = json.loads((out / ANSWERED).read_text(encoding="utf-8"))["images"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(num_answered == num_asked(asked))


def num_asked(asked: Mapping[str, Any]) -> int | None:
    """How many images are asked for, at most; None where nothing says it without reading them."""
    from r1sgg_cli.launch.steps import num_rows

    known = (asked["limit"], None if asked["images"] else num_rows(asked["dataset"], asked["split"]))
    return min((number for number in known if number is not None), default=None)


def _insist_on_network(asked: Mapping[str, Any], preset: Preset) -> None:
    from r1sgg_cli.errors import ConfigError

    if asked["push_to_hub"] and preset.environment.offline:
        raise ConfigError(
            f"`--push-to-hub`: the nodes of `{preset.name}` are offline; leave it out, and give it with "
            "`--launcher here` once all is answered"
        )


def _launch(
    model: str,
    command: tuple[str, ...],
    out: Path,
    asked: Mapping[str, Any],
    preset: Preset,
    launcher: Launcher,
    console: Console,
) -> None:
    """Look at what workers would stumble over, then start them."""
    from r1sgg_cli.cli.placing import fetch_offline
    from r1sgg_cli.launch.steps import insist_on_split
    from r1sgg_cli.models.adapter_folder import base_of

    datasets = [] if asked["images"] else [(asked["dataset"], asked["split"])]
    for dataset in datasets:
        insist_on_split(*dataset)
    fetch_offline(preset, [base_of(model)], datasets, console)
    if asked["push_to_hub"]:
        from r1sgg_cli.inference.hub import claim_repository
        from r1sgg_cli.inference.push_once import forget_push

        claim_repository(asked["push_to_hub"])
        forget_push(out)
    _start(command, out, preset, launcher, console)


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
    from r1sgg_cli.cli.placing import command_job

    return command_job("infer", "array", command, out, preset, num_tasks=num_workers(preset))


def _show(command: tuple[str, ...], out: Path, preset: Preset, launcher: Launcher, console: Console) -> None:
    from r1sgg_cli.launch.sbatch import render_sbatch

    if launcher == "here":
        console.print("it would answer in this process")
    elif launcher == "torchrun":
        from r1sgg_cli.launch.local_workers import worker_argv

        for own in _variables(preset):
            argv = ["env", *(f"{name}={value}" for name, value in own.items()), *worker_argv(command)]
            console.print(f"it would run: {escape(shlex.join(argv))}")
    else:
        typer.echo(render_sbatch(inference_job(command, out, preset)))


def _start(command: tuple[str, ...], out: Path, preset: Preset, launcher: Launcher, console: Console) -> None:
    from r1sgg_cli.config.record import LAUNCHER_FILES
    from r1sgg_cli.files import insist_on_own_folder
    from r1sgg_cli.launch import dispatch
    from r1sgg_cli.launch.pipeline import ANSWERS_RECORD

    insist_on_own_folder(out, ANSWERS_RECORD, LAUNCHER_FILES)
    if launcher == "torchrun":
        _run_here(command, out, preset, console)
        return
    job = inference_job(command, out, preset)
    if launcher == "allocation":
        if dispatch.run_in_allocation(job):
            raise typer.Exit(1)
        return
    submitted = dispatch.submit_job(job)
    console.print(f"submitted as job {submitted.job_id}; `r1sgg status {escape(str(out))}` follows it")


def _run_here(command: tuple[str, ...], out: Path, preset: Preset, console: Console) -> None:
    """Run the workers on this machine. Raises `LaunchError` where none of them came to the end."""
    from r1sgg_cli.errors import LaunchError
    from r1sgg_cli.launch.local_workers import run_workers, worker_argv

    def say(ending: str) -> None:
        console.print(f"[yellow]{escape(ending)}[/]")

    codes = run_workers(worker_argv(command), os.environ, _variables(preset), out, say)
    if all(codes):  # a worker ends well once every image has an answer, by whomever
        raise LaunchError(
            f"all {len(codes)} workers ended before they were done; the causes stand above: mend them, and the same "
            "command goes on with the images that are left"
        )


def _variables(preset: Preset) -> list[dict[str, str]]:
    from r1sgg_cli.launch.local_workers import worker_variables

    num_cpus = len(os.sched_getaffinity(0))
    return worker_variables(num_workers(preset), os.environ, num_cpus, have_cards=bool(preset.gpu))


def _print_plan(model: str, asked: Mapping[str, Any], preset: Preset, console: Console) -> None:
    from r1sgg_cli.counted import counted
    from r1sgg_cli.inference.room import SHORT_TEXT_TOKENS, TRANSFORMERS_BATCH
    from r1sgg_cli.launch.architectures import parse_shape
    from r1sgg_cli.launch.config_json import load_config
    from r1sgg_cli.launch.memory import GIB
    from r1sgg_cli.models.adapter_folder import base_of

    loaded = load_config(base_of(model), fetch=False)
    workers = num_workers(preset)
    rows = num_asked(asked)
    each = f", about {-(-rows // workers):,} images each" if rows else ""
    console.print(f"plan: {counted(workers, 'worker')}{each}, on {escape(preset.name)} ({escape(preset.description)})")
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
