"""How far runs and experiments are, from their folders and the queue."""

import shutil
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from r1sgg_cli.config.experiment import Experiment, load_experiment
from r1sgg_cli.config.log_rows import parse_log_row
from r1sgg_cli.config.record import LAUNCH_FILE, TRAINING_RECORD
from r1sgg_cli.counted import counted
from r1sgg_cli.errors import LaunchError, R1SGGError
from r1sgg_cli.files import is_locked
from r1sgg_cli.launch.dispatch import JOBS_FILE, Submitted, load_submitted
from r1sgg_cli.launch.job import LOGS
from r1sgg_cli.launch.pipeline import (
    ANSWERED,
    ANSWERS,
    ANSWERS_RECORD,
    MODEL_FINISHED,
    RECORD,
    Stage,
    experiment_stages,
    job_folder,
)
from r1sgg_cli.launch.slurm import JobState, job_states

METRICS = "metrics.jsonl"
GROUND_TRUTH = "ground_truth.jsonl"
"""What `infer` writes for every image before it answers the first."""
RECORDS = (RECORD, TRAINING_RECORD, LAUNCH_FILE, ANSWERS_RECORD)
"""By any of these a folder is known."""
WATCHED = ("reward", "loss")
FAILED = frozenset({"FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE"})
"""Slurm's words for a job that ended otherwise than it should."""
QUEUE, WORKER_LOCKS = "queue", "*.lock"
"""Where `infer` has a locked file for each of its workers."""
RECENT = 20
"""Logged steps from which the time left is told."""

_NO_PACE = 1e9
"""Seconds that no run takes: a clock was set anew."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is."""

    step: int
    max_steps: int
    watched: tuple[str, float] | None
    """The last reward, or loss."""
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One line: a run, or a stage of an experiment."""

    name: str
    folder: Path
    state: str
    """`finished`, `failed`, `cancelled`, `stopped`, `not started`, `unreadable`, or the queue's word for what is not
    over."""
    job_id: int | None = None
    progress: Progress | None = None
    note: str = ""
    log: Path | None = None
    """Where to look: of a job that ended before it was finished."""


def status_of(folder: Path) -> list[StageStatus]:
    """The stages of an experiment, or the one line of a run. Raises `LaunchError` for a folder that is neither."""
    insist_on_known(folder)
    if (folder / RECORD).is_file():
        return _experiment_status(folder)
    submitted = load_submitted(folder)
    states = _queue(submitted)
    is_finished = (folder / MODEL_FINISHED).exists() or (folder / ANSWERED).exists()
    name = folder.absolute().name
    return [_status(name, folder, folder, submitted[-1] if submitted else None, states, is_finished=is_finished)]


def status_or_fault(folder: Path) -> list[StageStatus]:
    """The same for one of many, of which a damaged one hides no other: what is wrong with it is its note."""
    try:
        return status_of(folder)
    except R1SGGError as error:
        return [StageStatus(folder.absolute().name, folder, "unreadable", note=str(error))]


def _queue(submitted: Collection[Submitted]) -> Mapping[int, JobState]:
    """What the queue says of jobs; nothing where there is none to ask: the folders still tell their progress."""
    if not submitted or shutil.which("scontrol") is None:
        return {}
    return job_states([job.job_id for job in submitted])


def insist_on_known(folder: Path) -> None:
    """Refuse a folder in which nothing was run or submitted. Raises `LaunchError`."""
    if not any((folder / name).is_file() for name in (*RECORDS, JOBS_FILE)):
        raise LaunchError(
            f"`{folder}` holds no run and no experiment; `r1sgg status` without a folder lists those in runs/"
        )


def known_runs(parent: Path) -> list[Path]:
    """The runs and experiments in a folder, the one that was touched last first."""
    found = [path.parent for name in (*RECORDS, JOBS_FILE) for path in parent.glob(f"*/{name}")]
    return sorted(set(found), key=lambda path: path.stat().st_mtime, reverse=True)


def is_over(state: str) -> bool:
    """Whether nothing will change by itself."""
    return state in ("finished", "stopped", "failed", "cancelled", "not started", "unreadable")


def _experiment_status(folder: Path) -> list[StageStatus]:
    recorded = load_experiment(folder / RECORD)
    experiment = recorded.model_copy(update={"out": folder})  # as it is reached from here
    submitted = {job.name: job for job in load_submitted(folder)}  # the last of each name
    states = _queue(submitted.values())
    return [
        _stage_status(experiment, stage, submitted.get(stage.name), states) for stage in experiment_stages(experiment)
    ]


def _stage_status(
    experiment: Experiment, stage: Stage, submitted: Submitted | None, states: Mapping[int, JobState]
) -> StageStatus:
    folder = job_folder(experiment, stage.name)
    written = experiment.out / "answers" if stage.name == "infer" else folder
    return _status(stage.name, folder, written, submitted, states, is_finished=stage.is_finished)


def _status(
    name: str,
    folder: Path,
    written: Path,
    submitted: Submitted | None,
    states: Mapping[int, JobState],
    *,
    is_finished: bool,
) -> StageStatus:
    """The line of what has its job in `folder` and writes into `written`."""
    progress = read_progress(written / METRICS)
    if is_finished:
        return StageStatus(name, folder, "finished", None, progress)
    state, note, log = _state(folder, written, submitted, states)
    notes = [told for told in (_answered(written), _workers(written), note) if told]
    return StageStatus(name, folder, state, submitted.job_id if submitted else None, progress, "; ".join(notes), log)


def _state(
    folder: Path, written: Path, submitted: Submitted | None, states: Mapping[int, JobState]
) -> tuple[str, str, Path | None]:
    """What becomes of something that is not finished, why, and its log: the queue's word, then this machine's."""
    queued = states.get(submitted.job_id) if submitted else None
    if queued is not None and not queued.is_over:
        return queued.state.lower(), queued.reason or "", None
    if is_locked(written):
        return "running", "on this machine", None
    if submitted is None:
        has_begun = (written / METRICS).exists() or (written / ANSWERS_RECORD).exists()
        return ("stopped" if has_begun else "not started"), "", None
    if queued is None:
        return "stopped", "the queue no longer knows its job", _newest_log(folder)
    if queued.state == "CANCELLED":
        return "cancelled", "", None
    return ("failed" if queued.state in FAILED else "stopped"), "", _newest_log(folder)


def _newest_log(folder: Path) -> Path:
    logs = sorted((folder / LOGS).glob("*.out"), key=lambda path: path.stat().st_mtime)
    return logs[-1] if logs else folder / LOGS


def _answered(answers: Path) -> str:
    truth = answers / GROUND_TRUTH
    if not truth.exists():
        return ""
    num_images = _num_lines(truth)
    num_answers = sum(_num_lines(path) for path in answers.glob(ANSWERS))
    return f"{min(num_answers, num_images):,} of {num_images:,} images"


def _workers(answers: Path) -> str:
    """How many processes answer, as far as their locks are seen from this machine."""
    num_workers = sum(is_locked(path.parent, path.name) for path in (answers / QUEUE).glob(WORKER_LOCKS))
    return counted(num_workers, "worker") if num_workers else ""


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
    return Progress(last["step"], last["max_steps"], watched, _seconds_left(rows))


def _last_rows(path: Path) -> list[dict[str, Any]]:
    """The last whole rows; a run that was killed, or a full disk, may have left half a line."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
    rows = [row for line in lines[-RECENT:] if (row := parse_log_row(line)) is not None]
    return [row for row in rows if row.keys() >= {"max_steps", "time"}]


def _seconds_left(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """By the median of the last steps: a run that was in the queue in between is not as slow as that."""
    each = [
        (row["time"] - before["time"]) / (row["step"] - before["step"])
        for before, row in pairwise(rows)
        if row["step"] > before["step"]
    ]
    last = rows[-1]
    if not each:
        return None
    left = float(statistics.median(each) * (last["max_steps"] - last["step"]))
    return left if left < _NO_PACE else None
