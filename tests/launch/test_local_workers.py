"""Processes of this machine that share a work: each with its part of the machine, none with the fate of another."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from r1sgg_cli.errors import OutputError
from r1sgg_cli.launch.local_workers import run_workers, worker_log, worker_variables

NUMBERED = [{"NUMBER": str(number)} for number in range(3)]
WAITING = """
import os, signal, sys
from pathlib import Path
from r1sgg_cli.cli.interruption import interrupt_at_sigterm
from r1sgg_cli.launch.local_workers import run_workers
interrupt_at_sigterm()
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start with it ignored
argv = ["bash", "-c", "echo $$ > $FOLDER/$NUMBER.pid; exec sleep 60"]
run_workers(argv, {**os.environ, "FOLDER": sys.argv[1]}, [{"NUMBER": "0"}, {"NUMBER": "1"}], Path(sys.argv[1]), print)
"""


@pytest.mark.parametrize(
    ("environ", "have_cards", "expected"),
    [
        ({}, True, [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]),
        ({"CUDA_VISIBLE_DEVICES": "4,6,7"}, True, [{"CUDA_VISIBLE_DEVICES": "4"}, {"CUDA_VISIBLE_DEVICES": "6"}]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-a,GPU-b"}, True, [{"CUDA_VISIBLE_DEVICES": f"GPU-{name}"} for name in "ab"]),
        ({}, False, [{}, {}]),
    ],
    ids=["all", "some", "by name", "no cards"],
)
def test_each_has_a_card_and_its_share_of_the_cores(
    environ: dict[str, str], have_cards: bool, expected: list[dict[str, str]]
) -> None:
    found = worker_variables(2, environ, 9, have_cards=have_cards)
    assert found == [one | {"OMP_NUM_THREADS": "4"} for one in expected]


def test_threads_that_somebody_chose_stay() -> None:
    assert worker_variables(1, {"OMP_NUM_THREADS": "3"}, 8, have_cards=False) == [{"OMP_NUM_THREADS": "3"}]
    assert worker_variables(9, {}, 4, have_cards=False)[8] == {"OMP_NUM_THREADS": "1"}


def test_one_that_dies_ends_no_other_and_is_said_at_once(tmp_path: Path) -> None:
    said: list[str] = []
    act = "echo this is $NUMBER >&2; case $NUMBER in 0) exit 3;; 1) kill -9 $$;; 2) sleep 0.5; echo done;; esac"
    assert run_workers(["bash", "-c", act], os.environ, NUMBERED, tmp_path, said.append) == [3, -9, 0]
    assert worker_log(tmp_path, 2).read_text(encoding="utf-8") == "this is 2\ndone\n"
    assert sorted(one.partition(";")[0] for one in said) == [
        "worker 0 ended with exit code 3",
        "worker 1 was killed by signal 9",
    ]
    assert all("go on with its images" in one for one in said)
    assert not worker_log(tmp_path, 0).exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_all_end_with_the_command(number: signal.Signals, tmp_path: Path) -> None:
    """As a terminal ends it, which tells all of its processes, or somebody else, who knows of the one."""
    command = subprocess.Popen([sys.executable, "-c", WAITING, str(tmp_path)], start_new_session=True)
    pids = [tmp_path / f"{index}.pid" for index in range(2)]
    while not all(path.exists() and path.read_text(encoding="utf-8") for path in pids):
        assert command.poll() is None
        time.sleep(0.02)
    (os.killpg if number == signal.SIGINT else os.kill)(command.pid, number)
    assert command.wait(200) != 0
    for path in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.read_text(encoding="utf-8")), 0)


def test_logs_that_cannot_be_written_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with pytest.raises(OutputError, match=r"cannot write `.*worker-1.log`: .*; name another folder"):
        run_workers(["sleep", "60"], os.environ, NUMBERED, tmp_path, print)
