"""Processes that this one starts and waits for, and that end with it, also where it is itself ended.

`subprocess.run` kills its child at once when it is interrupted: a `torchrun` that is killed leaves its workers behind,
which have sessions of their own. `with Popen(...)` waits without an end for a child that nobody has told.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

GRACE_SECONDS = 45.0
"""For a child to end what it started itself: `torchrun` and Slurm kill what does not end after 30 s."""

POLL_SECONDS = 0.2


class Children:
    """The processes that are started in a `with`: where that is interrupted, all have ended before it is left."""

    def __init__(self, grace_seconds: float = GRACE_SECONDS) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.grace_seconds = grace_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """A terminal tells Ctrl-C to all of its processes, and who is told twice may not come to its end.

        SIGTERM is for one process alone, in which it raises an interruption of its own kind (`cli.interruption`).
        """
        if error is not None:
            self.end(have_heard=kind is KeyboardInterrupt)

    def start(self, argv: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
        """Start one; `options` are `Popen`'s."""
        with _held_back_signals():
            self.processes.append(subprocess.Popen(list(argv), **options))
        return self.processes[-1]

    def end(self, *, have_heard: bool) -> None:
        """Leave none behind: who does not end after being told is killed, and all are where this is interrupted, too.

        Who may `have_heard` is told only if nothing comes of that.
        """
        try:
            for tells in (False, True) if have_heard else (True,):
                deadline = time.monotonic() + self.grace_seconds
                for process in self.processes if tells else ():
                    process.terminate()
                for process in self.processes:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(max(0.0, deadline - time.monotonic()))
        finally:
            for process in self.processes:
                process.kill()
            for process in self.processes:
                process.wait()


def run_child(argv: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
    """Run a command; its exit code, negative of one that was killed."""
    with Children() as children:
        return children.start(argv, env=environ).wait()


def run_logged(argv: Sequence[str], environ: Mapping[str, str], log: Path, say: Callable[[bytes], None]) -> int:
    """Run a command of `r1sgg` that writes into `log`, and `say` what it writes, to its last word; its exit code.

    A pipe between the two would fill while nobody reads it, and the command could not end.
    """
    with log.open("ab") as file, log.open("rb") as written:
        written.seek(0, os.SEEK_END)
        try:
            with Children(2 * GRACE_SECONDS) as children:  # it waits as long for what it has started itself
                process = children.start(argv, stdout=file, stderr=subprocess.STDOUT, env=environ)
                while process.poll() is None:
                    say(written.read())
                    time.sleep(POLL_SECONDS)
        finally:
            say(written.read())
    return process.returncode


@contextmanager
def _held_back_signals() -> Iterator[None]:
    """Interrupt only afterwards: a process that has started in between would be nobody's."""
    heard: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers = {
        number: handler for number, handler in before.items() if callable(handler)
    }  # children ignore what we do
    for number in handlers:
        signal.signal(number, lambda number, frame: heard.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for late in heard:
        signal.raise_signal(late)
