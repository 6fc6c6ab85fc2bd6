"""Real processes under torchrun, for tests: a run's folder with its `launch.yaml` in, what they said and left out."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil

from r1sgg_cli.config.recipes import resolve_run
from r1sgg_cli.config.record import save_launch
from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.data.run_logs import load_metric_rows
from tests.training import warm

Run = TypeVar("Run", SFTRun, GRPORun)

R1SGG = "r1sgg_cli"
R1SGG_WITH_FSDP = "tests.training.gloo_fsdp"
R1SGG_WITH_DEEPSPEED = "tests.training.gloo_deepspeed"  # not imported: it need not be there
SIX_STEPS = {
    # Of ten rows four are taken in a step: an epoch's last step has two.
    "sft": ("batch_size=4", "max_steps=6", "warmup=0", "lr_schedule=constant", "optimizer=adamw", "checkpoint_every=2"),
    "grpo": ("prompts_per_step=2", "num_generations=4", "max_new_tokens=16", "max_steps=6", "checkpoint_every=2"),
}


def run_of(kind: type[Run], model: Path, dataset: Path, out: Path, *overrides: str, **options: Any) -> Run:
    """A run of six short steps, on two processes unless `options` say otherwise; each step is logged."""
    stage: str = kind.model_fields["stage"].default
    given = {"precision": "float32", "micro_batch": 2, "world_size": 2, "split": "train", **options}
    recipe = (*SIX_STEPS[stage], "trainer.logging_steps=1", *overrides)
    return resolve_run(kind, f"demo-{stage}", recipe, model=str(model), dataset=str(dataset), out=out, **given)


@contextmanager
def launched(run: SFTRun | GRPORun, *options: str, module: str = R1SGG) -> Iterator[warm.Warm]:
    """`torchrun` with two workers of `run`; whatever is left of them at the end is killed."""
    save_launch(run, run.out, "cpu")
    argv = ["--standalone", "--nproc-per-node", "2", *options, "-m", module, "worker", str(run.out)]
    log = run.out / "logs" / "stderr"
    log.parent.mkdir(exist_ok=True)
    log.write_text("", encoding="utf-8")
    process = warm.start("torch.distributed.run", argv, log, {**os.environ, "OMP_NUM_THREADS": "1"})
    family = psutil.Process(process.pid)
    try:
        yield process
    finally:
        for one in [*family.children(recursive=True), family] if family.is_running() else []:
            one.kill()
        process.wait()


def torchrun(run: SFTRun | GRPORun, *options: str, module: str = R1SGG) -> tuple[int, str]:
    """Exit code and standard error of all of it, once it has ended."""
    with launched(run, *options, module=module) as process:
        code = process.wait(timeout=1200)
    return code, said(run)


def said(run: SFTRun | GRPORun) -> str:
    """What has been written to standard error so far."""
    return (run.out / "logs" / "stderr").read_text(encoding="utf-8")


def worker_of(torchrun: warm.Warm, rank: int) -> psutil.Process:
    """One of the processes that torchrun started."""
    workers = sorted(psutil.Process(torchrun.pid).children(), key=lambda one: one.create_time())
    assert len(workers) == 2
    return workers[rank]


def wait_until(happened: Callable[[], bool], process: warm.Warm) -> None:
    """Look 50 times a second, for four minutes at most."""
    deadline = time.monotonic() + 240
    while not happened():
        assert process.poll() is None, "torchrun ended before it happened"
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def last_step(out: Path) -> int:
    """The last step that was logged; 0 before the first."""
    log = out / "metrics.jsonl"
    return max((row["step"] for row in load_metric_rows(log)), default=0) if log.exists() else 0


def logged(out: Path, *names: str) -> list[list[float]]:
    """The named figures of each step."""
    return [[row["step"], *(row[name] for name in names)] for row in load_metric_rows(out / "metrics.jsonl")]
