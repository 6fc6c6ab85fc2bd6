"""Jobs in a real two-node Slurm: order, arrays, stop and requeue, failure, preemption, cancel, training on two nodes.

Small shell programs stand for what jobs run; `tests/launch/test_node.py` checks what they are called with.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.errors import LaunchError
from r1sgg_cli.launch.job import Job, JobKind
from r1sgg_cli.launch.slurm import (
    JobState,
    cancel,
    expected_start,
    is_available,
    job_states,
    save_script,
    submit,
)
from tests.launch.jobs import make_job
from tests.launch.test_torchrun import write_program

SMALL = {"slurm": {"cpus_per_gpu": 1, "memory_gib": 4, "time_limit": "00:30:00"}}


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Job]:
    """A function that makes a job whose programs are lines of shell, all in folders with strange names."""
    root = tmp_path / 'it\'s 100% "odd" #1'
    (root / "bin").mkdir(parents=True)

    def make(
        kind: JobKind, name: str, program: str, preset: str = "a100-4x", overrides: Any = None, **fields: Any
    ) -> Job:
        bin_dir = root / f"{name} bin"
        bin_dir.mkdir()
        path = bin_dir / ("torchrun" if kind == "torchrun" else "r1sgg")
        path.write_text(f"#!/bin/bash\n{program}\n", encoding="utf-8")
        path.chmod(0o755)
        folder = root / name
        overrides = {**(overrides or {}), "slurm": {**SMALL["slurm"], **(overrides or {}).get("slurm", {})}}
        return make_job(
            kind,
            preset,
            overrides,
            **{"name": name, "command": (name,), "folder": folder, "work_dir": root, "bin_dir": bin_dir, **fields},
        )

    return make


def wait_until(job_id: int, states: Collection[str], seconds: float = 300) -> JobState:
    """The job's state once it is one of `states`."""
    end = time.monotonic() + seconds
    while (state := job_states([job_id])[job_id]).state not in states:
        assert time.monotonic() < end, state
        assert not state.is_over, state
        time.sleep(0.2)
    return state


def log_of(job: Job, job_id: int, task: int | None = None) -> str:
    name = f"{job_id}.out" if task is None else f"{job_id}_{task}.out"
    return (job.folder / "logs" / name).read_text(encoding="utf-8")


def log_with(job: Job, job_id: int, text: str, seconds: float = 200) -> str:
    """The job's log once it holds `text`."""
    end = time.monotonic() + seconds
    while not (job.folder / "logs" / f"{job_id}.out").exists() or text not in log_of(job, job_id):
        assert time.monotonic() < end
        time.sleep(0.1)
    return log_of(job, job_id)


def make_finished(job: Job) -> Job:
    """The same job, finished once `done` is in its folder."""
    return replace(job, finished_file=job.folder / "done")


def on_slurm(test: Callable[..., None]) -> Callable[..., None]:
    """A test that needs the real cluster."""
    return pytest.mark.slow(pytest.mark.usefixtures("slurm")(test))


@on_slurm
def test_jobs_run_one_after_the_other_and_an_array_side_by_side(make: Callable[..., Job], tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    program = f'sleep 0.$((RANDOM % 5)); echo "$*" >>{calls}'
    stages = [
        make("single", "prepare", program),
        make("array", "infer", program, num_tasks=3),
        make("single", "gather", program),
    ]
    job_ids: list[int] = []
    for job in stages:
        job_ids.append(submit(save_script(job), after=job_ids[-1:]))
    wait_until(job_ids[-1], ["COMPLETED"])
    assert calls.read_text(encoding="utf-8").splitlines() == ["prepare", *["infer"] * 3, "gather"]
    states = job_states(job_ids)
    assert [state.num_completed for state in states.values()] == [1, 3, 1]
    assert states[job_ids[1]].num_tasks == 3
    assert [log_of(stages[1], job_ids[1], task) for task in range(3)] == [""] * 3


@on_slurm
def test_a_failing_stage_stops_what_waits_for_it_and_names_its_log(make: Callable[..., Job]) -> None:
    failing = make("single", "failing", "echo trouble; exit 7")
    waiting = make("single", "waiting", "exit 0")
    failed = submit(save_script(failing))
    never = submit(save_script(waiting), after=[failed])
    assert wait_until(failed, ["FAILED"]).reason == "NonZeroExitCode"
    assert wait_until(never, ["CANCELLED"]).is_over
    log = failing.folder / "logs" / f"{failed}.out"
    line = f"r1sgg: failing failed with code 7: {log} says why; mend it and submit again, what is finished is kept"
    assert line in log_of(failing, failed).splitlines()


@on_slurm
def test_a_training_that_must_stop_does_so_and_finishes_at_its_next_start(make: Callable[..., Job]) -> None:
    program = (
        'echo "start ${SLURM_RESTART_COUNT:-0}"; [ -z "${SLURM_RESTART_COUNT:-}" ] || exec touch "$folder/done"\n'
        'until [ -e "$folder/stop" ]; do sleep 0.1; done; echo saved'
    )
    job = make("torchrun", "train", program)
    job = make_finished(job)
    job_id = submit(save_script(job))
    after = submit(save_script(make("single", "after", "exit 0")), after=[job_id])
    log_with(job, job_id, "start 0")
    subprocess.run(["scancel", "--batch", "--signal=USR1", str(job_id)], check=True)
    log_with(job, job_id, "goes on from the queue")
    assert job_states([after])[after].state == "PENDING"
    assert wait_until(job_id, ["COMPLETED"]).restarts == 1
    assert [
        line for line in log_of(job, job_id).splitlines() if "scontrol" not in line and "slurmstepd" not in line
    ] == [
        "start 0",
        "saved",
        "r1sgg: train goes on from the queue: requeue 1 of at most 20",
        "start 1",
    ]
    wait_until(after, ["COMPLETED"])


@on_slurm
def test_a_job_goes_back_to_the_queue_only_so_often(make: Callable[..., Job]) -> None:
    job = make("single", "endless", "echo begun; exec sleep 60", overrides={"slurm": {"max_requeues": 0}})
    job_id = submit(save_script(job))
    log_with(job, job_id, "begun")
    subprocess.run(["scancel", "--batch", "--signal=USR1", str(job_id)], check=True)
    wait_until(job_id, ["FAILED"])
    assert "is not finished after 0 requeues" in log_of(job, job_id)


@on_slurm
def test_a_preempted_training_makes_room_and_continues(make: Callable[..., Job]) -> None:
    program = (
        'echo "start ${SLURM_RESTART_COUNT:-0}"; [ -z "${SLURM_RESTART_COUNT:-}" ] || exec touch "$folder/done"\n'
        'until [ -e "$folder/stop" ]; do sleep 0.1; done; echo saved'
    )
    low = make_finished(make("torchrun", "low", program, "a100-16x", {"num_nodes": 2}))
    low_id = submit(save_script(low))
    log_with(low, low_id, "start 0")
    high = make("torchrun", "high", "sleep 1", overrides={"slurm": {"partition": "high"}})
    high_id = submit(save_script(high))
    wait_until(high_id, ["COMPLETED"])
    assert wait_until(low_id, ["COMPLETED"]).restarts == 1
    assert "saved" in log_of(low, low_id)


@on_slurm
def test_jobs_are_cancelled_and_those_that_are_over_left_alone(make: Callable[..., Job]) -> None:
    running, over = make("single", "running", "exec sleep 60"), make("single", "over", "exit 0")
    job_ids = [submit(save_script(running)), submit(save_script(over))]
    wait_until(job_ids[0], ["RUNNING"])
    wait_until(job_ids[1], ["COMPLETED"])
    cancel(job_ids)
    assert wait_until(job_ids[0], ["CANCELLED"]).is_over
    assert job_states(job_ids)[job_ids[1]].state == "COMPLETED"


@on_slurm
def test_two_nodes_train_as_one_beside_a_server(make: Callable[..., Job]) -> None:
    layout = {"num_nodes": 2, "gpus_per_node": 2, "rollouts": "servers", "servers": {}}
    torchrun = (
        f'echo "node $SLURM_NODEID has $CUDA_VISIBLE_DEVICES"; exec {sys.executable} -m torch.distributed.run "$@"'
    )
    job = make("torchrun", "two nodes", torchrun, "a100-16x", layout, model="org/model")
    write_program(job.work_dir)
    server = job.bin_dir / "vllm"
    server.write_text('#!/bin/bash\necho "server has $CUDA_VISIBLE_DEVICES"; exec sleep 100\n', encoding="utf-8")
    server.chmod(0o755)
    job_id = submit(save_script(job))
    wait_until(job_id, ["COMPLETED"], seconds=400)
    lines = {line.partition(": ")[2] for line in log_of(job, job_id).splitlines()}
    assert {f"rank {rank} of 3: 3" for rank in range(3)} <= lines
    assert {"node 0 has 1", "node 1 has 0,1"} <= lines
    server_log = job.folder / "logs" / f"server-{job_id}-0.out"
    assert server_log.read_text(encoding="utf-8").startswith("server has 0\n")


@on_slurm
def test_inside_an_allocation_the_script_runs_at_once(make: Callable[..., Job]) -> None:
    job = make("array", "infer", 'echo "$* on $CUDA_VISIBLE_DEVICES"; sleep 0.5', num_tasks=3)
    script = save_script(job)
    salloc = ["salloc", "--nodes=1", "--gpus-per-node=2", "--mem=1G", "--cpus-per-task=2", "bash", str(script)]
    done = subprocess.run(salloc, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert [line.partition(" on ")[0] for line in done.stdout.splitlines()] == ["infer"] * 3
    assert {line.partition(" on ")[2] for line in done.stdout.splitlines()} <= {"0", "1"}


@on_slurm
def test_slurm_says_when_a_job_would_start(make: Callable[..., Job]) -> None:
    sentence = expected_start(save_script(make("torchrun", "train", "exit 0")))
    assert "to start at 20" in sentence
    assert "on nodes n" in sentence


@on_slurm
@pytest.mark.parametrize("call", [submit, expected_start])
def test_what_slurm_refuses_is_one_line_in_its_words(make: Callable[..., Job], call: Any) -> None:
    script = save_script(make("single", "prepare", "exit 0", overrides={"slurm": {"partition": "nope"}}))
    with pytest.raises(LaunchError, match=r"^`sbatch` refused: .*[Ii]nvalid partition.*; mend the preset") as caught:
        call(script)
    assert "\n" not in str(caught.value)


@on_slurm
def test_a_job_that_nobody_knows_has_no_state() -> None:
    assert job_states([99999]) == {}


def test_where_there_is_no_slurm_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not is_available()
    with pytest.raises(LaunchError, match="there is no `sbatch` here"):
        submit(tmp_path / "job.sh")
