"""Who prepares a step's rows: worker processes where there are cores, memory and a GPU to wait for them."""

from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

from r1sgg_cli.config.schema import SFTRun
from r1sgg_cli.training.loading import MOST_WORKERS, choose_workers, loader_options
from tests.training.test_worker import sft_run

GIB = 2**30


@pytest.mark.parametrize(
    ("num_cpus", "step_gib", "free_gib", "has_gpu", "chosen", "why"),
    [
        (16, 1, 64, False, 0, "without a GPU, training wants every core itself"),
        (1, 1, 64, True, 0, "there is one core for each process"),
        (2, 1, 64, True, 1, "there are 2 cores for each process"),
        (4, 1, 64, True, 3, "there are 4 cores for each process"),
        (32, 1, 64, True, MOST_WORKERS, "there are 32 cores for each process"),
        (16, 1, 2, True, 4, "there are 16 cores for each process"),
        (16, 1.5, 2, True, 0, "two steps ahead take 3.0 GiB of `/dev/shm`, which has 2.0 GiB free"),
    ],
    ids=["no GPU", "one core", "two", "four", "many", "memory just suffices", "little shared memory"],
)
def test_there_are_as_many_as_can_be_of_use(
    num_cpus: int, step_gib: float, free_gib: float, has_gpu: bool, chosen: int, why: str
) -> None:
    assert choose_workers(num_cpus, int(step_gib * GIB), int(free_gib * GIB), has_gpu) == (chosen, why)


def test_nothing_is_said_where_there_is_no_choice(tmp_path: Path) -> None:
    console = Console(file=StringIO(), width=200)
    chosen = loader_options(sft_run(tmp_path), 8, console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert (said != "") == torch.cuda.is_available()
    assert torch.cuda.is_available() or chosen == {"dataloader_num_workers": 0}


@pytest.mark.parametrize(
    ("workers", "num_micro_batches", "options", "said"),
    [
        (0, 8, {"dataloader_num_workers": 0}, "in the training process"),
        (1, 1, {"dataloader_num_workers": 1, "dataloader_prefetch_factor": 2}, "by 1 worker process beside it"),
        (3, 8, {"dataloader_num_workers": 3, "dataloader_prefetch_factor": 3}, "by 3 worker processes beside it"),
    ],
    ids=["none", "one", "a step ahead at least"],
)
def test_the_recipe_may_choose(
    workers: int, num_micro_batches: int, options: dict[str, int], said: str, tmp_path: Path
) -> None:
    console = Console(file=StringIO(), width=200)
    run: SFTRun = sft_run(tmp_path, f"trainer.dataloader_num_workers={workers}")
    assert loader_options(run, num_micro_batches, console) == options
    expected = f"rows are prepared {said}: as `trainer.dataloader_num_workers` says\n"
    assert console.file.getvalue() == expected  # type: ignore[attr-defined]
