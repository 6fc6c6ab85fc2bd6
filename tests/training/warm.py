"""Commands of `r1sgg` in processes of their own that start at once: forked from one that has imported all they need.

An interpreter takes ten seconds of a core to import what a training does, more than the trainings of most tests. That
the command starts from nothing is seen where Slurm, torchrun and the shell start it (tests/launch, tests/cli).
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

import torch.distributed.run  # noqa: F401
from torch.distributed.elastic.multiprocessing.subprocess_handler.subprocess_handler import SubprocessHandler

import r1sgg_cli.training.grpo
import r1sgg_cli.training.sft  # noqa: F401

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload([__name__])


class Warm:
    """A process under the names of `subprocess.Popen`, as torchrun asks for them."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        process.start()
        assert process.pid is not None
        self.pid = process.pid

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended; `timeout` is in seconds. Raises `TimeoutExpired`."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return code


def start(module: str, argv: Sequence[str], stderr: Path, environ: Mapping[str, str] | None = None) -> Warm:
    """`python -m MODULE ARGV`, with its messages at the end of `stderr`.

    What `torch.distributed.run` starts is forked from it in turn.
    """
    given = (module, list(argv), dict(os.environ if environ is None else environ), Path.cwd(), stderr)
    return Warm(_server.Process(target=_begin, args=given))


def _begin(module: str, argv: list[str], environ: dict[str, str], folder: Path, stderr: Path) -> None:
    os.chdir(folder)
    with stderr.open("ab") as said, Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(said.fileno(), 2)
    multiprocessing.set_start_method(None, force=True)  # as in any process: here it would be the server's
    SubprocessHandler._popen = _fork_worker
    _run(module, argv, environ)


def _fork_worker(_: Any, args: Sequence[str], environ: dict[str, str]) -> Warm:
    """In place of `python -u -m MODULE ARGV`."""
    python, unbuffered, option, module, *argv = args
    assert (python, unbuffered, option) == (sys.executable, "-u", "-m")
    return Warm(multiprocessing.get_context("fork").Process(target=_work, args=(module, argv, environ)))


def _work(module: str, argv: list[str], environ: dict[str, str]) -> None:
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):  # torchrun has handlers of its own
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _run(module, argv, environ)


def _run(module: str, argv: list[str], environ: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = [module, *argv]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
