"""A command that is ended from outside says what is kept, and exits as shells expect."""

import os
import signal
import subprocess
import sys

import pytest

from r1sgg_cli.cli.interruption import WHAT_IS_KEPT

WAITS = """
import os, signal, sys, time
from r1sgg_cli import __main__
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs start with it ignored
from r1sgg_cli.cli import app as module

def waits(noted: bool = False, forked: bool = False) -> None:
    try:
        if forked and os.fork():
            time.sleep(60)
        print(os.getpid(), flush=True)  # the forked one itself: a signal in the midst of fork() would be lost
        time.sleep(60)
    except KeyboardInterrupt as interrupt:
        if noted:
            interrupt.add_note("the same command continues from step 3")
        raise
    finally:
        print("put away", flush=True)

module.app.command("waits")(waits)
__main__.main()
"""


def waiting(*options: str, **environment: str) -> subprocess.Popen[str]:
    """A command that waits until it is ended."""
    return subprocess.Popen(
        [sys.executable, "-c", WAITS, "waits", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    ("number", "options", "said"),
    [
        (signal.SIGINT, (), f"interrupted: {WHAT_IS_KEPT}"),
        (signal.SIGTERM, (), f"terminated: {WHAT_IS_KEPT}"),
        (signal.SIGTERM, ("--noted",), "terminated: the same command continues from step 3"),
    ],
    ids=["Ctrl-C", "SIGTERM", "SIGTERM amid work that says what is kept"],
)
def test_it_puts_away_what_it_has_and_says_one_sentence(
    number: signal.Signals, options: tuple[str, ...], said: str
) -> None:
    with waiting(*options) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=200)
    assert (process.returncode, out, err.strip()) == (128 + number, "put away\n", said)


def test_a_forked_process_ends_without_a_word() -> None:
    with waiting("--forked") as process:
        assert process.stdout is not None
        os.kill(int(process.stdout.readline()), signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=200)
    assert (out, err.strip()) == ("put away\n", f"interrupted: {WHAT_IS_KEPT}")


def test_a_process_of_torchrun_ends_at_once() -> None:
    with waiting(TORCHELASTIC_RUN_ID="run") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        assert process.communicate(timeout=200) == ("", "")
    assert process.returncode == -signal.SIGTERM
