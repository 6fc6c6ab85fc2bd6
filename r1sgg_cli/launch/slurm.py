"""Slurm's own commands: submit, ask, cancel. Each failure is Slurm's own sentence.

States are read from the controller, which forgets a job some minutes after its end, then from accounting where a
cluster has it; without, `sacct` prints a sentence and succeeds.
"""

import re
import shutil
import subprocess
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from r1sgg_cli.errors import LaunchError
from r1sgg_cli.files import save_text
from r1sgg_cli.launch.job import LOGS, Job
from r1sgg_cli.launch.sbatch import render_sbatch

SCRIPT = "job.sh"

_FORGOTTEN = "Invalid job id"
_ACCOUNTED = ("JobID", "State", "Restarts", "NodeList", "Start", "Elapsed")
_LEADING = ("RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "PENDING")
"""Of tasks in different states, what the whole array does: the first of these, else the worst end."""
_ENDED_WELL = "COMPLETED"


@dataclass(frozen=True, slots=True)
class JobState:
    """What Slurm says of a job, or of an array as a whole."""

    state: str
    """Slurm's word: `PENDING`, `RUNNING`, `COMPLETED`, `FAILED`, `TIMEOUT`, `CANCELLED`, …"""
    reason: str | None
    """Why it waits or ended."""
    restarts: int
    node_list: str | None
    start: str | None
    """When it began or is expected to, `YYYY-MM-DDTHH:MM:SS`."""
    elapsed: str
    """`[D-]HH:MM:SS`."""
    num_tasks: int = 1
    """Of an array; those that wait together count as one."""
    num_completed: int = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens."""
        return self.state not in _LEADING


def save_script(job: Job) -> Path:
    """The job's script in its folder, where a job that was submitted before finds its own copy untouched."""
    path = job.folder / SCRIPT
    save_text(render_sbatch(job), path)
    return path


def submit(script: Path, *, after: Collection[int] = ()) -> int:
    """The id of the job that `script` becomes, which begins once the jobs in `after` have succeeded.

    Raises `LaunchError`.
    """
    (script.parent / LOGS).mkdir(exist_ok=True)  # without it a job fails, and leaves no log that says so
    options = ["--parsable"]
    if after:  # a job whose predecessor failed would wait for ever
        options += [f"--dependency=afterok:{':'.join(map(str, after))}", "--kill-on-invalid-dep=yes"]
    done = _run(["sbatch", *options, str(script)])
    if done.returncode:
        raise LaunchError(_refusal("sbatch", done.stderr))
    return int(done.stdout.split(";")[0])


def expected_start(script: Path) -> str:
    """When and where Slurm would start `script`, in its words; nothing is submitted. Raises `LaunchError`."""
    done = _run(["sbatch", "--test-only", str(script)])
    if done.returncode:
        raise LaunchError(_refusal("sbatch", done.stderr))
    return _sentence(done.stderr)


def job_states(job_ids: Iterable[int]) -> dict[int, JobState]:
    """The state of each job that is still known. Raises `LaunchError`."""
    states: dict[int, JobState] = {}
    forgotten: list[int] = []
    for job_id in job_ids:
        done = _run(["scontrol", "show", "job", "-o", str(job_id)])
        if done.returncode == 0:
            states[job_id] = _together([_parse_record(line) for line in done.stdout.splitlines() if line.strip()])
        elif _FORGOTTEN in done.stderr:
            forgotten.append(job_id)
        else:
            raise LaunchError(_refusal("scontrol", done.stderr))
    return states | (_accounted(forgotten) if forgotten else {})


def cancel(job_ids: Iterable[int]) -> None:
    """End these jobs; those that are over stay as they are. Raises `LaunchError`."""
    for job_id in job_ids:
        done = _run(["scancel", str(job_id)])
        if done.returncode and _FORGOTTEN not in done.stderr:
            raise LaunchError(_refusal("scancel", done.stderr))


def is_available() -> bool:
    """Whether jobs can be submitted from this machine."""
    return shutil.which("sbatch") is not None


def _run(argv: list[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(argv, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise LaunchError(f"there is no `{argv[0]}` here; do this on a login node of the cluster") from error


def _refusal(command: str, stderr: str) -> str:
    hint = "; mend the preset's `slurm` section" if command == "sbatch" else ""
    return f"`{command}` refused: {_sentence(stderr)}{hint}"


def _sentence(stderr: str) -> str:
    """What Slurm said, on one line and without its prefixes."""
    lines = (re.sub(r"^\w+: (error: )?", "", line).strip() for line in stderr.splitlines())
    return "; ".join(line for line in lines if line)


def _parse_record(line: str) -> JobState:
    """One line of `scontrol show job -o`; a job's name, which may look like anything, stands before `UserId`."""
    fields = dict(re.findall(r"(\w+)=(\S*)", line.partition(" UserId=")[2])[::-1])  # the first of a name counts
    return _state(fields)


def _state(fields: Mapping[str, str]) -> JobState:
    def known(name: str) -> str | None:
        value = fields.get(name, "")
        return None if value in ("", "None", "(null)", "Unknown", "None assigned") else value

    state = fields["JobState"]
    return JobState(
        state=state,
        reason=known("Reason"),
        restarts=int(known("Restarts") or 0),
        node_list=known("NodeList"),
        start=known("StartTime"),
        elapsed=fields.get("RunTime", "00:00:00"),
        num_completed=int(state == _ENDED_WELL),
    )


def _together(tasks: list[JobState]) -> JobState:
    """An array's tasks as one state."""
    ended_badly = [task for task in tasks if task.is_over and task.state != _ENDED_WELL]
    order = [*(task for state in _LEADING for task in tasks if task.state == state), *ended_badly, *tasks]
    leading = order[0]
    nodes = dict.fromkeys(task.node_list for task in tasks if task.state == leading.state and task.node_list)
    return JobState(
        state=leading.state,
        reason=leading.reason,
        restarts=max(task.restarts for task in tasks),
        node_list=",".join(nodes) or None,
        start=min((task.start for task in tasks if task.start), default=None),
        elapsed=max((task.elapsed for task in tasks), key=lambda elapsed: ("-" in elapsed, len(elapsed), elapsed)),
        num_tasks=len(tasks),
        num_completed=sum(task.num_completed for task in tasks),
    )


def _accounted(job_ids: Collection[int]) -> dict[int, JobState]:
    """States of jobs that the controller forgot, where accounting knows them."""
    jobs = ",".join(map(str, job_ids))
    argv = ["sacct", "-X", "--noheader", "--parsable2", f"--jobs={jobs}", f"--format={','.join(_ACCOUNTED)}"]
    done = _run(argv)
    tasks: dict[int, list[JobState]] = {}
    for line in done.stdout.splitlines():
        values = line.split("|")
        if len(values) == len(_ACCOUNTED):
            job_id, state, restarts, nodes, start, elapsed = values
            fields = {"JobState": state.split()[0], "Restarts": restarts, "NodeList": nodes}
            fields |= {"StartTime": start, "RunTime": elapsed}
            tasks.setdefault(int(job_id.split("_")[0]), []).append(_state(fields))
    return {job_id: _together(states) for job_id, states in tasks.items()}
