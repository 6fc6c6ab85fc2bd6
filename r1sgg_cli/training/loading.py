"""Who decodes, resizes and tokenizes a step's rows: worker processes ahead of time where there are cores for them.

A worker is given whole micro-batches in the order of the sampler and knows the epoch (`schedule.Epoch`), so that rows
are the same with any number of them. They are started anew in each epoch: for those that lived on no new seed would be
drawn, and a run that goes on from a checkpoint would have other dropout masks than one that was never stopped.
"""

import os
from typing import Any

import torch
from rich.console import Console

from r1sgg_cli.config.schema import SFTRun
from r1sgg_cli.launch.machine import SHARED_MEMORY, shared_memory

MOST_WORKERS = 4
"""Of a training process: one prepares about 40 rows a second, more than a 2B model takes on any card."""
_BYTES_PER_PIXEL = 24  # three colours in float32, in each of the two frames that a Qwen's patch is deep


def loader_options(run: SFTRun, num_micro_batches: int, console: Console) -> dict[str, Any]:
    """What the Trainer's data loader is told, which `trainer.dataloader_num_workers` may set itself.

    It says what that is, but where there is no choice: without a GPU.

    A step's rows are fetched all at once (`Trainer.get_batch_samples`): workers keep a whole step ahead, at least.
    """
    chosen, why = run.recipe.trainer.get("dataloader_num_workers"), "as `trainer.dataloader_num_workers` says"
    is_stated = chosen is not None
    if chosen is None:
        row_bytes = _BYTES_PER_PIXEL * run.recipe.max_pixels
        num_cpus, num_processes = len(os.sched_getaffinity(0)), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        step_bytes = row_bytes * run.micro_batch * (num_micro_batches + 2)  # and two that are being made
        free_bytes = shared_memory()[1] // num_processes
        chosen, why = choose_workers(num_cpus // num_processes, step_bytes, free_bytes, torch.cuda.is_available())
    if chosen or is_stated or torch.cuda.is_available():
        console.print(f"rows are prepared {_said(int(chosen))}: {why}", highlight=False)
    if not chosen:
        return {"dataloader_num_workers": 0}
    return {"dataloader_num_workers": chosen, "dataloader_prefetch_factor": max(2, -(-num_micro_batches // chosen))}


def choose_workers(num_cpus: int, step_bytes: int, free_bytes: int, has_gpu: bool) -> tuple[int, str]:
    """Worker processes of one training process, and why so many; both sizes are its share of the shared memory."""
    if not has_gpu:
        return 0, "without a GPU, training wants every core itself"
    if num_cpus < 2:
        return 0, "there is one core for each process"
    if step_bytes > free_bytes / 2:
        needed, has = step_bytes / 2**30, free_bytes / 2**30
        return 0, f"two steps ahead take {2 * needed:.1f} GiB of `{SHARED_MEMORY}`, which has {has:.1f} GiB free"
    return min(MOST_WORKERS, num_cpus - 1), f"there are {num_cpus} cores for each process"


def _said(num_workers: int) -> str:
    if not num_workers:
        return "in the training process"
    return f"by {num_workers} worker {'process' if num_workers == 1 else 'processes'} beside it"
