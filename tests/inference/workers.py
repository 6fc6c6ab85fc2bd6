"""Workers as processes of their own, which can be stopped and killed.

A server that has imported what they need forks them: five starts cost little more than one.
"""

import multiprocessing
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from r1sgg_cli.inference.answers_file import worker_file
from r1sgg_cli.inference.infer import infer
from r1sgg_cli.inference.queue import QUEUE
from r1sgg_cli.inference.request import InferRequest

SECONDS = 300
"""After which a test fails, on a machine that does much else."""


def _work(request: InferRequest, log: Path) -> None:
    sys.stderr = log.open("w", encoding="utf-8", buffering=1)
    infer(request)


def log_of(request: InferRequest, number: int) -> Path:
    """What the worker that was started as number `number` prints."""
    return request.out.parent / f"{number}.log"


@contextmanager
def stopped_workers(request: InferRequest, num_workers: int, num_answers: int) -> Iterator[list[ForkServerProcess]]:
    """Workers, each stopped once it has written so many answers; those that are left in the end are killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["r1sgg_cli.inference.infer"])
    processes = [context.Process(target=_work, args=(request, log_of(request, i))) for i in range(num_workers)]
    for process in processes:
        process.start()
    try:
        _stop_each(request, {process.pid or 0 for process in processes}, num_answers)
        yield processes
    finally:
        for process in processes:
            kill(process)


def _stop_each(request: InferRequest, running: set[int], num_answers: int) -> None:
    deadline = time.monotonic() + SECONDS
    while running:
        assert time.monotonic() < deadline
        for lock in request.out.glob(f"{QUEUE}/*.lock"):
            told = re.search(r"process (\d+)", lock.read_text(encoding="utf-8"))
            answers = request.out / worker_file(lock.stem)
            if told is None or int(told[1]) not in running or not answers.exists():
                continue
            if answers.read_bytes().count(b"\n") >= num_answers:
                os.kill(int(told[1]), signal.SIGSTOP)
                running.discard(int(told[1]))
        time.sleep(0.005)


def kill(process: ForkServerProcess) -> None:
    """With -9, wherever it is."""
    process.kill()
    process.join()


def resume(process: ForkServerProcess) -> None:
    """Let a worker go on that was stopped."""
    assert process.pid is not None
    os.kill(process.pid, signal.SIGCONT)
