"""The processes that train one model together: how they meet, that they are as many as planned, and who speaks.

torchrun starts them and tells each its rank. Without it there is one, for which every function here is the plain thing.
"""

import ctypes
import json
import logging
import os
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from rich.console import Console

from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.errors import ConfigError, R1SGGError

Value = TypeVar("Value")

_SPEAKER_FIRST = 3.0  # seconds; torchrun ends all processes as soon as it sees that one of them has ended
_WATCHDOG_FIRST = timedelta(minutes=1)  # its message says more than that of a collective that timed out


def die_with_parent() -> None:
    """End this process when the one that started it does: workers of a killed torchrun would train on, and hold the
    run's folder."""
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of Linux's prctl
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def started_together() -> bool:
    """Whether torchrun started this process, be it alone."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def num_started() -> int:
    """The number of processes that were started together."""
    return int(os.environ["WORLD_SIZE"]) if started_together() else 1


@contextmanager
def one_voice() -> Iterator[None]:
    """Of all processes that meet a user's mistake only the first one says it; all of them exit with code 1."""
    if not started_together():
        yield
        return
    meeting_place = _meeting_place()
    try:
        yield
    except (R1SGGError, RuntimeError) as error:  # the latter where a process waits for one that has left
        own = int(isinstance(error, R1SGGError))
        if meeting_place.add("mistakes", own) > own:
            time.sleep(_SPEAKER_FIRST)
            raise SystemExit(1) from error
        if own:
            tell_torchrun(str(error))
        raise


def _meeting_place() -> Any:
    """The key-value store that torchrun keeps for the processes, less what those of an earlier start left in it.

    torchrun keeps it when it restarts them, and a process that reads where another listened before waits in vain.
    """
    store, _, _ = next(dist.rendezvous("env://"))
    return dist.PrefixStore(f"start {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def tell_torchrun(line: str) -> None:
    """Put a line into torchrun's closing summary, which is the last thing on the screen; nothing without torchrun."""
    if path := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        said = {"message": {"message": line, "extraInfo": {"timestamp": str(int(time.time()))}}}
        Path(path).write_text(json.dumps(said), encoding="utf-8")


@contextmanager
def joined(run: SFTRun | GRPORun) -> Iterator[None]:
    """All processes of a run in one group; those of other ranks than 0 are silent but for errors.

    Raises `ConfigError` where not as many were started as the run says: they would be trainings of their own.
    """
    if num_started() != run.world_size:
        raise ConfigError(
            f"the run is of {run.world_size} {'process' if run.world_size == 1 else 'processes'} and {num_started()} "
            f"{'was' if num_started() == 1 else 'were'} started; give torchrun {run.world_size} in all"
        )
    if not started_together():
        if run.sharding != "ddp":
            raise ConfigError(f"`sharding: {run.sharding}` needs torchrun, be it for one process; start it with that")
        yield
        return
    rank = int(os.environ["RANK"])
    if rank:
        _be_silent()
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    else:
        os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"  # else accelerate says "cpu:0", onto which no checkpoint loads
    dist.init_process_group(
        _backend(run),
        store=dist.PrefixStore("group", _meeting_place()),
        rank=rank,
        world_size=run.world_size,
        timeout=step_timeout(run) + _WATCHDOG_FIRST,
    )
    yield
    if dist.is_initialized():  # a colocated vLLM has ended it with its engine
        dist.destroy_process_group()  # not after an error: the others would find it broken before the error is said


def _backend(run: SFTRun | GRPORun) -> str:
    if not torch.cuda.is_available():
        return "gloo"
    return "cuda:nccl,cpu:gloo" if run.sharding == "fsdp2" else "nccl"  # FSDP gathers whole weights on the CPU


def _be_silent() -> None:
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")


def step_timeout(run: SFTRun | GRPORun) -> timedelta:
    """How long a run's processes wait for one another."""
    return timedelta(minutes=run.step_timeout_minutes)


def rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_first() -> bool:
    """Whether this is the process that writes and speaks."""
    return rank() == 0


def from_first(value: Value) -> Value:
    """What the first process gives; every process must call it."""
    if not dist.is_initialized():
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def wait_for_all() -> None:
    """Go on when every process is here."""
    if dist.is_initialized():
        dist.barrier()


def console_of_run() -> Console:
    """The terminal's error stream for the first process; nothing for the others."""
    return Console(stderr=True, soft_wrap=True, quiet=not is_first())
