"""How `infer` is shared out: by parts of the split, one process and GPU each."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape

from r1sgg_cli.errors import ConfigError

if TYPE_CHECKING:
    from r1sgg_cli.config.hardware import Preset
    from r1sgg_cli.launch.job import Job
    from r1sgg_cli.launch.launcher import Launcher

_SWITCHES = {"predefined_categories": ("--predefined-cats", "--open-cats"), "think": ("--grpo", "--no-grpo")}


def chosen_part(part: str | None, launcher: Launcher | None) -> tuple[int, int] | None:
    """Index and number of parts: as named, or as torchrun numbers its processes. Raises `ConfigError`."""
    if part is None:
        ranks = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
        if launcher != "here" or None in ranks:
            return None
        part = "/".join(str(rank) for rank in ranks)
        _take_own_card()
    elif launcher not in (None, "here"):
        raise ConfigError(
            f"`--part {part}` is answered here; leave it out and `--launcher {launcher}` starts all parts"
        )
    found = re.fullmatch(r"(\d+)/(\d+)", part)
    if found is None or int(found[1]) >= int(found[2]):
        raise ConfigError(f"`--part {part}` is not I/N with I from 0 to N - 1, as in `--part 0/4`")
    return int(found[1]), int(found[2])


def _take_own_card() -> None:
    """Of the cards that torchrun shows all its processes, leave this one its own; torch is not imported yet."""
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
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
    share: tuple[int, int] | None,
    dry_run: bool,
) -> bool:
    """Start the parts elsewhere or show what would be; False where this process is to answer by itself."""
    from r1sgg_cli.cli.launching import fetch_offline, launcher_to_show, resolve_preset
    from r1sgg_cli.launch.launcher import choose_launcher
    from r1sgg_cli.launch.machine import look_at_machine
    from r1sgg_cli.launch.pipeline import ANSWERED
    from r1sgg_cli.launch.plan import without_rollouts
    from r1sgg_cli.launch.steps import insist_on_split
    from r1sgg_cli.models.adapter_folder import base_of

    console = Console(stderr=not dry_run, soft_wrap=True, highlight=False)
    if share is not None:
        if dry_run:
            console.print(f"it would answer part {share[0]}/{share[1]} in this process")
        return dry_run
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
    insist_on_split(asked["dataset"], asked["split"])
    fetch_offline(preset, [base_of(model)], [(asked["dataset"], asked["split"])], console)
    code = _start(command, out, preset, chosen, console)
    if code:
        raise typer.Exit(1)
    return True


def infer_command(model: str, out: Path, asked: Mapping[str, Any]) -> tuple[str, ...]:
    """The command of one part, without its number."""
    argv = ["infer", model, str(out)]
    for key, value in asked.items():
        if value is None:
            continue
        if key in _SWITCHES:
            argv.append(_SWITCHES[key][0 if value else 1])
        else:
            argv += [f"--{key.replace('_', '-')}", str(value)]
    return (*argv, "--launcher", "here")


def num_parts(preset: Preset) -> int:
    """One for each GPU, or each process of a CPU."""
    return preset.num_gpus or preset.processes_per_node


def inference_job(command: tuple[str, ...], out: Path, preset: Preset, parts: int) -> Job:
    """The array of jobs, in the folder of the answers."""
    from r1sgg_cli.cli.launching import command_job

    return command_job("infer", "array", command, out, preset, num_tasks=parts)


def _torchrun(command: tuple[str, ...], preset: Preset) -> list[str]:
    from r1sgg_cli.launch.dispatch import bin_dir
    from r1sgg_cli.launch.torchrun import torchrun_argv

    return torchrun_argv(command, num_parts(preset), torchrun=str(bin_dir() / "torchrun"))


def _show(command: tuple[str, ...], out: Path, preset: Preset, launcher: Launcher, console: Console) -> None:
    from r1sgg_cli.launch.sbatch import render_sbatch

    if launcher == "here":
        console.print("it would answer in this process")
    elif launcher == "torchrun":
        console.print(f"it would run: {escape(shlex.join(_torchrun(command, preset)))}")
    else:
        typer.echo(render_sbatch(inference_job(command, out, preset, num_parts(preset))))


def _start(command: tuple[str, ...], out: Path, preset: Preset, launcher: Launcher, console: Console) -> int:
    from r1sgg_cli.config.record import LAUNCHER_FILES
    from r1sgg_cli.files import insist_on_own_folder
    from r1sgg_cli.launch import dispatch
    from r1sgg_cli.launch.pipeline import ANSWERS_RECORD

    insist_on_own_folder(out, ANSWERS_RECORD, LAUNCHER_FILES)
    if launcher == "torchrun":
        return dispatch.run_torchrun(_torchrun(command, preset), os.environ)
    job = inference_job(command, out, preset, num_parts(preset))
    if launcher == "allocation":
        return dispatch.run_in_allocation(job)
    submitted = dispatch.submit_job(job)
    console.print(f"submitted as job {submitted.job_id}; `r1sgg status {escape(str(out))}` follows it")
    return 0


def _print_plan(model: str, asked: Mapping[str, Any], preset: Preset, console: Console) -> None:
    from r1sgg_cli.launch.architectures import parse_shape
    from r1sgg_cli.launch.config_json import load_config
    from r1sgg_cli.launch.memory import GIB
    from r1sgg_cli.launch.steps import num_rows
    from r1sgg_cli.models.adapter_folder import base_of

    loaded = load_config(base_of(model), fetch=False)
    parts = num_parts(preset)
    known = (asked["limit"], num_rows(asked["dataset"], asked["split"]))
    rows = min((number for number in known if number is not None), default=None)
    each = f", about {-(-rows // parts):,} images each" if rows else ""
    console.print(
        f"plan: {parts} part{'s' * (parts > 1)}{each}, on {escape(preset.name)} ({escape(preset.description)})"
    )
    if loaded is None:
        return
    shape = parse_shape(loaded[0], model)
    width = 2 if preset.gpu else 4
    weights = width * shape.num_parameters / GIB
    longest = asked["max_new_tokens"] + 2048  # a prompt with its image and the categories
    at_once = asked["batch_size"] or 8  # transformers' own number
    cache = width * shape.kv_elements_per_token * at_once * longest / GIB
    may_be_vllm = preset.gpu and asked["engine"] != "transformers"
    has = f" of {round(preset.gpu.memory_gib, 1):g}" if preset.gpu else ""
    console.print(
        f"memory: {weights + cache:.1f}{has} GiB a part: weights {weights:.1f}, keys and values of "
        f"{at_once} answers {cache:.1f}{'; vLLM fills the card with more of them' if may_be_vllm else ''}"
    )
