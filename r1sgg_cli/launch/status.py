"""How far runs and experiments are, from their folders and the queue."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1sgg_cli.config.experiment import Experiment, load_experiment
from r1sgg_cli.config.record import LAUNCH_FILE, RUN_FILE
from r1sgg_cli.errors import LaunchError
from r1sgg_cli.launch.dispatch import Submitted, load_submitted
from r1sgg_cli.launch.job import LOGS
from r1sgg_cli.launch.pipeline import MODEL_FINISHED, RECORD, Stage, experiment_stages, job_folder
from r1sgg_cli.launch.slurm import JobState, job_states

METRICS = "metrics.jsonl"
WATCHED = ("reward", "loss")
FAILED = frozenset({"FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE"})
"""Slurm's words for a job that ended otherwise than it should."""
RECENT = 20
"""Logged steps from which the time left is told."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is."""

    step: int
    max_steps: int | None
    watched: tuple[str, float] | None
    """The last reward, or loss."""
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One line: a run, or a stage of an experiment."""

    name: str
    folder: Path
    state: str
    """`finished`, `waiting`, the queue's word, or `stopped`."""
    job_id: int | None = None
    progress: Progress | None = None
    note: str = ""


def status_of(folder: Path) -> list[StageStatus]:
    """The stages of an experiment, or the one line of a run. Raises `LaunchError` for a folder that is neither."""
    if (folder / RECORD).is_file():
        return _experiment_status(folder)
    if (folder / RUN_FILE).is_file() or (folder / LAUNCH_FILE).is_file():
        submitted = load_submitted(folder)
        states = job_states([job.job_id for job in submitted]) if submitted else {}
        return [_run_status(folder, folder.name, submitted[-1] if submitted else None, states)]
    raise LaunchError(
        f"`{folder}` holds no run and no experiment; `r1sgg status` without a folder lists those in runs/"
    )


def known_runs(parent: Path) -> list[Path]:
    """The runs and experiments in a folder, the one that was touched last first."""
    found = [path.parent for name in (RECORD, RUN_FILE, LAUNCH_FILE) for path in parent.glob(f"*/{name}")]
    return sorted(set(found), key=lambda path: path.stat().st_mtime, reverse=True)


def is_over(state: str) -> bool:
    """Whether nothing will change by itself."""
    return state in ("finished", "stopped", "failed", "cancelled", "not started")


def _experiment_status(folder: Path) -> list[StageStatus]:
    experiment = load_experiment(folder / RECORD)
    submitted = {job.name: job for job in load_submitted(folder)}  # the last of each name
    states = job_states([job.job_id for job in submitted.values()]) if submitted else {}
    return [
        _stage_status(experiment, stage, submitted.get(stage.name), states) for stage in experiment_stages(experiment)
    ]


def _stage_status(
    experiment: Experiment, stage: Stage, submitted: Submitted | None, states: Mapping[int, JobState]
) -> StageStatus:
    folder = job_folder(experiment, stage.name)
    if stage.name in ("sft", "grpo"):
        return _run_status(folder, stage.name, submitted, states)
    state, note = _queue_word(folder, submitted, states)
    if stage.is_finished:
        return StageStatus(stage.name, folder, "finished")
    if stage.name == "infer" and (counted := _answered(experiment.out / "answers")):
        note = f"{counted[0]} of {counted[1]} images{'; ' + note if note else ''}"
    return StageStatus(stage.name, folder, state, submitted.job_id if submitted else None, None, note)


def _run_status(folder: Path, name: str, submitted: Submitted | None, states: Mapping[int, JobState]) -> StageStatus:
    progress = read_progress(folder / METRICS)
    if (folder / MODEL_FINISHED).exists():
        return StageStatus(name, folder, "finished", None, progress)
    state, note = _queue_word(folder, submitted, states)
    return StageStatus(name, folder, state, submitted.job_id if submitted else None, progress, note)


def _queue_word(folder: Path, submitted: Submitted | None, states: Mapping[int, JobState]) -> tuple[str, str]:
    """What the queue says of a job, and what to look at."""
    if submitted is None:
        return ("stopped" if (folder / METRICS).exists() else "not started"), ""
    state = states.get(submitted.job_id)
    if state is None:
        return "stopped", "the queue no longer knows its job"
    if state.state in FAILED:
        return "failed", f"look into {_newest_log(folder)}"
    return state.state.lower(), "" if state.is_over else state.reason or ""


def _newest_log(folder: Path) -> str:
    logs = sorted((folder / LOGS).glob("*.out"), key=lambda path: path.stat().st_mtime)
    return str(logs[-1] if logs else folder / LOGS)


def _answered(answers: Path) -> tuple[int, int] | None:
    truth = answers / "ground_truth.jsonl"
    if not truth.exists():
        return None
    return sum(_num_lines(path) for path in answers.glob("answers*.jsonl")), _num_lines(truth)


def _num_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def read_progress(metrics: Path) -> Progress | None:
    """How far a training is, from the last lines of its `metrics.jsonl`; None where nothing was logged yet."""
    rows = _last_rows(metrics)
    if not rows:
        return None
    last = rows[-1]
    watched = next(((key, last[key]) for key in WATCHED if isinstance(last.get(key), float)), None)
    return Progress(last["step"], last.get("max_steps"), watched, _seconds_left(rows))


def _last_rows(path: Path) -> list[dict[str, Any]]:
    """The last whole rows; a run that was killed may have left half a line."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line) for line in lines[-RECENT:] if line]


def _seconds_left(rows: Sequence[Mapping[str, Any]]) -> float | None:
    first, last = rows[0], rows[-1]
    if "time" not in first or last["step"] <= first["step"] or last.get("max_steps") is None:
        return None
    each = (last["time"] - first["time"]) / (last["step"] - first["step"])
    return float(each * (last["max_steps"] - last["step"]))
