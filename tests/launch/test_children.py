"""A command that is ended from outside takes what it started with it, and lets that come to an end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from r1sgg_cli.launch.children import Children, run_logged
from r1sgg_cli.launch.dispatch import run_torchrun

WAITS = """
import os, signal, sys
from r1sgg_cli.cli.interruption import interrupt_at_sigterm
from r1sgg_cli.launch import children, dispatch
from tests.launch.jobs import make_job
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start with it ignored
interrupt_at_sigterm()
here = Path.cwd()
{call}
"""
TRAINING = "dispatch.run_torchrun(['bash', 'trains.sh'], os.environ)"
ALLOCATION = "dispatch.run_in_allocation(make_job('single', 'cpu', folder=here / 'run', work_dir=here))"
STAGE = "children.run_logged(['bash', 'trains.sh'], os.environ, here / 'log', sys.stdout.buffer.write)"
TRAPS = """\
trap 'sleep 0.3; echo saved >saved; echo last words; exit 7' TERM INT
echo first words
echo $$ >pid
while :; do sleep 0.05; done
"""


def wait_for(path: Path, process: "subprocess.Popen[bytes]") -> str:
    while not (path.exists() and path.read_text(encoding="utf-8")):
        assert process.poll() is None
        time.sleep(0.02)
    return path.read_text(encoding="utf-8")


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def started(tmp_path: Path) -> Callable[[str], "subprocess.Popen[bytes]"]:
    """A function that starts a command in the test's folder, where `srun` runs `trains.sh`, as a terminal does."""

    def start(call: str) -> "subprocess.Popen[bytes]":
        (tmp_path / "trains.sh").write_text(TRAPS, encoding="utf-8")
        (tmp_path / "srun").write_text("#!/bin/bash\nexec bash trains.sh\n", encoding="utf-8")
        (tmp_path / "srun").chmod(0o755)
        environ = {**os.environ, "PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_JOB_ID": "42"}
        environ["PYTHONPATH"] = os.pathsep.join(sys.path)
        argv = [sys.executable, "-c", WAITS.format(call=call)]
        return subprocess.Popen(argv, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, start_new_session=True)

    return start


@pytest.mark.parametrize("call", [TRAINING, ALLOCATION, STAGE], ids=["torchrun", "an allocation", "a stage"])
@pytest.mark.parametrize("by_terminal", [False, True], ids=["SIGTERM", "Ctrl-C"])
def test_what_trains_is_told_and_comes_to_its_end_first(
    call: str, by_terminal: bool, started: Callable[[str], "subprocess.Popen[bytes]"], tmp_path: Path
) -> None:
    command = started(call)
    pid = int(wait_for(tmp_path / "pid", command))
    if by_terminal:
        os.killpg(command.pid, signal.SIGINT)
    else:
        command.terminate()
    said = command.communicate(timeout=200)[0].decode()
    assert command.returncode != 0
    assert is_gone(pid)
    assert (tmp_path / "saved").exists()
    if call == STAGE:
        assert said == "first words\nlast words\n"
        assert (tmp_path / "log").read_text(encoding="utf-8") == said


def test_one_that_does_not_end_is_killed_after_a_while(tmp_path: Path) -> None:
    children = Children(grace_seconds=0.3)
    process = children.start(["bash", "-c", f"trap '' TERM; echo $$ >{tmp_path}/pid; while :; do sleep 0.05; done"])
    wait_for(tmp_path / "pid", process)
    children.end(have_heard=False)
    assert process.returncode == -signal.SIGKILL


def test_torchruns_exit_code_is_told() -> None:
    assert run_torchrun(["bash", "-c", 'exit "$CODE"'], {"PATH": "/usr/bin:/bin", "CODE": "5"}) == 5


def test_what_a_stage_says_is_heard_and_kept_behind_what_is_there(tmp_path: Path) -> None:
    log = tmp_path / "log"
    said: list[bytes] = []
    log.write_bytes(b"of the last time\n")
    argv = ["bash", "-c", r"echo first; sleep 0.3; printf '\xc3'; sleep 0.3; printf '\xa4\n' >&2; exit 4"]
    assert run_logged(argv, os.environ, log, said.append) == 4
    assert b"".join(said).decode() == "first\nä\n"
    assert log.read_text(encoding="utf-8") == "of the last time\nfirst\nä\n"
