"""Commands of `r1sgg` in processes of their own that start at once: forked from one that has imported all they need.

An interpreter takes ten seconds of a core to import what a training does, more than a test's training itself. That
the command starts from nothing is seen in tests/launch, where Slurm, torchrun and the shell start it.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["tests.training.imported"])


class Warm:
    """A process under the names of `subprocess.Popen`, as torchrun asks for them."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        process.start()
        self.pid = process.pid or 0

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended. Raises `TimeoutExpired`."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout or 0)
        return self._process.exitcode


def start(module: str, argv: Sequence[str], stderr: Path, environ: Mapping[str, str] | None = None) -> Warm:
    """`python -m MODULE ARGV`; what `torch.distributed.run` starts is forked from it."""
    given = (module, list(argv), dict(os.environ if environ is None else environ), os.getcwd(), str(stderr))
    return Warm(_server.Process(target=_begin, args=given))


def _begin(module: str, argv: list[str], environ: dict[str, str], folder: str, stderr: str) -> None:
    os.chdir(folder)
    with open(stderr, "ab") as said, open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(said.fileno(), 2)
    os.environ.clear()
    os.environ.update(environ)
    multiprocessing.set_start_method(None, force=True)  # as in any process; here it would be the server's
    from torch.distributed.elastic.multiprocessing.subprocess_handler.subprocess_handler import SubprocessHandler

    SubprocessHandler._popen = _fork_worker  # type: ignore[assignment]
    _run(module, argv)


def _fork_worker(_: Any, args: Sequence[str], environ: dict[str, str]) -> Warm:
    """In place of `python -u -m MODULE ARGV`."""
    python, unbuffered, minus_m, module, *argv = args
    assert (python, unbuffered, minus_m) == (sys.executable, "-u", "-m")
    return Warm(multiprocessing.get_context("fork").Process(target=_work, args=(module, argv, environ)))


def _work(module: str, argv: list[str], environ: dict[str, str]) -> None:
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):  # torchrun's own handlers
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environ)
    _run(module, argv)


def _run(module: str, argv: list[str]) -> None:
    sys.stderr.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.argv = [module, *argv]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
