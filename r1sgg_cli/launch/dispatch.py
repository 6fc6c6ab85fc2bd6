"""From a plan to running processes: the run's folder is written, then one launcher is called."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from r1sgg_cli.config.record import LAUNCHER_FILES, TRAINING_RECORD
from r1sgg_cli.errors import LaunchError, OutputError, in_words
from r1sgg_cli.files import insist_on_own_folder, save_text
from r1sgg_cli.launch.children import run_child
from r1sgg_cli.launch.job import Job
from r1sgg_cli.launch.slurm import cancel, expected_start, job_states, save_script, submit

JOBS_FILE = "jobs.json"
"""Which jobs were submitted for a folder, the last one last."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job in Slurm's queue, or out of it again."""

    job_id: int
    name: str
    submitted: float
    """Seconds since 1970."""
    expected: str = ""
    """When and where Slurm expects to start it, in its words; not on record."""


def load_submitted(folder: Path) -> list[Submitted]:
    """The jobs that were submitted for a folder. Raises `LaunchError` for a record that is broken."""
    path = folder / JOBS_FILE
    if not path.exists():
        return []
    try:
        return [Submitted(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise LaunchError(
            f"`{path}` is broken: {in_words(error)}; delete it once none of its jobs is in the queue"
        ) from error


def record_submitted(folder: Path, jobs: Sequence[Submitted]) -> None:
    """Add jobs to a folder's record."""
    rows = [
        {"job_id": job.job_id, "name": job.name, "submitted": job.submitted} for job in (*load_submitted(folder), *jobs)
    ]
    save_text(json.dumps(rows, indent=1) + "\n", folder / JOBS_FILE)


def insist_on_no_job(folder: Path) -> None:
    """Refuse a second job for a folder while one is queued or runs. Raises `LaunchError`."""
    submitted = load_submitted(folder)
    states = job_states([job.job_id for job in submitted]) if submitted else {}
    for job in submitted:
        state = states.get(job.job_id)
        if state is not None and not state.is_over:
            raise LaunchError(
                f"job {job.job_id} ({job.name}) of `{folder}` is {state.state.lower()} already; "
                f"`r1sgg status {folder}` shows it, `r1sgg cancel {folder}` ends it"
            )


def submit_job(job: Job) -> Submitted:
    """Write a job into its folder and hand it to Slurm. Raises `LaunchError` where Slurm refuses it."""
    insist_on_no_job(job.folder)
    script = save_script(job)
    expected = expected_start(script)  # also says what Slurm would refuse
    submitted = Submitted(submit(script), job.name, time.time(), expected)
    record_submitted(job.folder, [submitted])
    return submitted


def submit_after(jobs: Sequence[Job], folder: Path) -> list[Submitted]:
    """Submit jobs so that each waits for the one before it to succeed; where one is refused, none stays queued.

    Each is on record in `folder` and in its own as soon as it is queued, so that an interrupted chain can be cancelled.
    """
    submitted: list[Submitted] = []
    scripts = [save_script(job) for job in jobs]
    try:
        for job, script in zip(jobs, scripts, strict=True):
            after = [submitted[-1].job_id] if submitted else []
            submitted.append(Submitted(submit(script, after=after), job.name, time.time()))
            for place in (folder, job.folder):
                record_submitted(place, submitted[-1:])
    except (LaunchError, OutputError):
        cancel([job.job_id for job in submitted])
        raise
    return submitted


def run_in_allocation(job: Job) -> int:
    """Run a job's script in the Slurm allocation at hand; its exit code."""
    return run_child(["bash", str(save_script(job))])


def run_torchrun(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run training processes on this machine; their exit code."""
    return run_child(argv, environ)


def bin_dir() -> Path:
    """Where this environment has its commands."""
    return Path(sys.executable).parent


def insist_on_own_run(folder: Path) -> None:
    """Refuse a folder that holds anything but a run, before the first file is written. Raises `OutputError`."""
    insist_on_own_folder(folder, TRAINING_RECORD, LAUNCHER_FILES)
