"""Workers of one command on this machine: plain processes, of which any may die while the others go on.

torchrun ends all processes with the first that dies. A training needs that; where work is shared out through a queue,
the others are to take over what the dead one leaves.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from r1sgg_cli.errors import OutputError
from r1sgg_cli.launch.children import Children
from r1sgg_cli.launch.job import LOGS

POLL_SECONDS = 0.2
GRACE_SECONDS = 5.0
"""For a worker to end by itself; one that is killed loses no answer that it has written."""


def worker_argv(command: Sequence[str]) -> list[str]:
    """`r1sgg COMMAND` in this environment."""
    return [sys.executable, "-m", "r1sgg_cli", *command]


def worker_variables(
    num_workers: int, environ: Mapping[str, str], num_cpus: int, *, have_cards: bool
) -> list[dict[str, str]]:
    """What each worker has in its environment beside `environ`: a card of its own, and its share of the CPU cores."""
    visible = environ.get("CUDA_VISIBLE_DEVICES")
    cards = visible.split(",") if visible else [str(index) for index in range(num_workers)]
    threads = environ.get("OMP_NUM_THREADS") or str(max(1, num_cpus // num_workers))
    return [
        {**({"CUDA_VISIBLE_DEVICES": cards[index]} if have_cards else {}), "OMP_NUM_THREADS": threads}
        for index in range(num_workers)
    ]


def worker_log(folder: Path, index: int) -> Path:
    """What a worker but the first one prints; the first one has the terminal."""
    return folder / LOGS / f"worker-{index}.log"


def run_workers(
    argv: Sequence[str],
    environ: Mapping[str, str],
    variables: Sequence[Mapping[str, str]],
    folder: Path,
    say: Callable[[str], None],
) -> list[int]:
    """Start a worker for each of `variables` and wait for all; their exit codes, -9 of one that was killed.

    `say` is told of each that fails, as soon as it does. Whatever interrupts this process ends all of them. Raises
    `OutputError`.
    """
    with ExitStack() as held:
        others = [held.enter_context(_opened(worker_log(folder, index))) for index in range(1, len(variables))]
        workers = held.enter_context(Children(GRACE_SECONDS))
        for own, log in zip(variables, [None, *others], strict=True):
            workers.start(
                argv,
                env={**environ, **own},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT if log else None,
            )
        return _wait(workers.processes, folder, say)


@contextmanager
def _opened(log: Path) -> Iterator[int]:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = log.open("ab")
    except OSError as error:
        raise OutputError(f"cannot write `{log}`: {error.strerror}; name another folder") from error
    with file:
        yield file.fileno()


def _wait(processes: Sequence[subprocess.Popen[bytes]], folder: Path, say: Callable[[str], None]) -> list[int]:
    running = set(range(len(processes)))
    while running:
        for index in [index for index in running if processes[index].poll() is not None]:
            running.discard(index)
            if code := processes[index].returncode:
                say(_ending(index, code, sorted(running), folder))
        if running:
            time.sleep(POLL_SECONDS)
    return [process.returncode for process in processes]


def _ending(index: int, code: int, running: Sequence[int], folder: Path) -> str:
    """What became of a worker, where it is said why, and who goes on."""
    how = f"ended with exit code {code}" if code > 0 else f"was killed by signal {-code}"
    why = f"; `{worker_log(folder, index)}` says why" if index else ""
    others = f"; {len(running)} more go on with its images" if running else ""
    shown = f", as `{worker_log(folder, running[0])}` shows" if running and not index else ""
    return f"worker {index} {how}{why}{others}{shown}"
