"""How a job ends, executed with stand-ins: done, back to the queue, or one line that says what to do."""

from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.launch.job import Job, JobKind
from tests.launch.jobs import make_job
from tests.launch.stand_ins import Cluster

ASKED_TO_STOP = 'kill -USR1 "$BATCH_PID"'
"""What Slurm does, to the script alone."""


@pytest.fixture
def place(tmp_path: Path, cluster: Cluster) -> dict[str, Any]:
    """A job's folders, its log and its finished file."""
    folder = tmp_path / "run"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "42.out").touch()
    paths = {"folder": folder, "work_dir": tmp_path, "finished_file": folder / "config.json"}
    return {**paths, "bin_dir": cluster.bin_dir}


def placed(place: dict[str, Any], kind: JobKind = "torchrun", max_requeues: int = 2) -> Job:
    return make_job(kind, "a100-4x", {"slurm": {"max_requeues": max_requeues}}, **place)


def requeued(cluster: Cluster) -> bool:
    return ["requeue", "42"] in [call.argv for call in cluster.calls("scontrol")]


def test_a_finished_job_says_nothing(cluster: Cluster, place: dict[str, Any]) -> None:
    done = cluster.run(placed(place), {"torchrun": "touch run/config.json"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("kind", ["torchrun", "array", "single"])
def test_a_failure_is_one_line_with_its_code_and_its_log(cluster: Cluster, place: dict[str, Any], kind: Any) -> None:
    (place["folder"] / "logs" / "40_2.out").touch()
    array = {"SLURM_ARRAY_JOB_ID": "40", "SLURM_ARRAY_TASK_ID": "2"} if kind == "array" else {}
    done = cluster.run(placed(place, kind), {"torchrun": "exit 7", "r1sgg": "exit 7"}, **array)
    log = place["folder"] / "logs" / ("40_2.out" if kind == "array" else "42.out")
    assert done.returncode == 7
    assert done.stderr == (
        f"r1sgg: grpo failed with code 7: {log} says why; mend it and submit again, what is finished is kept\n"
    )
    assert not requeued(cluster)


def test_a_failure_before_the_first_step_is_said_as_well(cluster: Cluster, place: dict[str, Any]) -> None:
    done = cluster.run(placed({**place, "work_dir": place["folder"] / "nowhere"}))
    assert done.returncode == 1
    assert done.stderr.endswith("42.out says why; mend it and submit again\n")
    assert not cluster.calls("srun")


def test_a_training_that_ends_unfinished_is_no_success(cluster: Cluster, place: dict[str, Any]) -> None:
    done = cluster.run(placed(place))
    assert done.returncode == 1
    assert "ended before it was finished" in done.stderr


def test_an_old_result_does_not_hide_a_failure(cluster: Cluster, place: dict[str, Any]) -> None:
    place["finished_file"].touch()
    assert cluster.run(placed(place), {"torchrun": "exit 1"}).returncode == 1


def test_a_training_that_must_stop_is_asked_by_a_file_and_continues_from_the_queue(
    cluster: Cluster, place: dict[str, Any]
) -> None:
    acts = {"torchrun": f"{ASKED_TO_STOP}; until [ -e {place['folder']}/stop ]; do /bin/sleep 0.05; done"}
    done = cluster.run(placed(place), acts, SLURM_RESTART_COUNT="1")
    assert done.returncode == 0
    assert requeued(cluster)
    assert done.stderr == "r1sgg: grpo goes on from the queue: requeue 2 of at most 2\n"


def test_a_training_that_finishes_as_it_is_asked_to_stop_is_finished(cluster: Cluster, place: dict[str, Any]) -> None:
    acts = {"torchrun": f"{ASKED_TO_STOP}; touch run/config.json"}
    assert cluster.run(placed(place), acts).returncode == 0
    assert not requeued(cluster)


def test_the_file_of_the_last_stop_is_gone_at_the_next_start(cluster: Cluster, place: dict[str, Any]) -> None:
    (place["folder"] / "stop").touch()
    done = cluster.run(placed(place), {"torchrun": "[ ! -e run/stop ] && touch run/config.json"})
    assert done.returncode == 0


@pytest.mark.parametrize("kind", ["array", "single"])
def test_anything_else_is_ended_and_continues_from_the_queue(
    cluster: Cluster, place: dict[str, Any], kind: Any
) -> None:
    done = cluster.run(placed(place, kind), {"r1sgg": f"{ASKED_TO_STOP}; exec /bin/sleep 30"}, SLURM_ARRAY_TASK_ID="0")
    assert done.returncode == 0
    assert requeued(cluster)


def test_a_job_goes_back_to_the_queue_only_so_often(cluster: Cluster, place: dict[str, Any]) -> None:
    done = cluster.run(placed(place), {"torchrun": ASKED_TO_STOP}, SLURM_RESTART_COUNT="2")
    assert done.returncode == 1
    assert not requeued(cluster)
    assert "is not finished after 2 requeues, as many as `slurm.max_requeues` allows: submit it again" in done.stderr


def test_a_preempted_job_has_not_failed(cluster: Cluster, place: dict[str, Any]) -> None:
    done = cluster.run(placed(place), {"torchrun": "exit 143"}, PREEMPTED="2026-01-31T12:00:00")
    assert done.returncode == 0
    assert requeued(cluster)


def test_where_no_queue_takes_it_back_a_job_says_so(cluster: Cluster, place: dict[str, Any]) -> None:
    done = cluster.run(placed(place), {"torchrun": ASKED_TO_STOP}, REQUEUE_CODE="1")
    assert done.returncode == 1
    assert "was stopped before it was finished: run it again to continue" in done.stderr
