"""`r1sgg sft` beside TRL's bare `SFTTrainer`: the same rows, batch, micro-batch and precision, in one run.

    python -m tests.benchmarks.bench_sft                                             a small model, also on a CPU
    python -m tests.benchmarks.bench_sft --model Qwen/Qwen2-VL-2B-Instruct --batch 64 --micro-batch 2
    python -m tests.benchmarks.bench_sft --model Qwen/Qwen2-VL-7B-Instruct --batch 32 --micro-batch 2 --lora

Weights are random, at the shape of `--model` (a known name, or a folder with a config.json): speed does not depend on
their values. Photos have the sizes of Visual Genome's, answers from 50 to 600 tokens with a long tail. TRL is left at
its defaults (gradient checkpointing, its own collator and order, no workers) but for `max_length`, which would cut
image tokens off. Each trainer runs in a process of its own. On a CPU seconds are CPU seconds: other work disturbs them
less.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from r1sgg_cli.config.schema import SFTRecipe, SFTRun
from r1sgg_cli.launch.architectures import parse_shape
from r1sgg_cli.launch.flops import StepTokens, step_flops
from r1sgg_cli.models.families import FAMILIES
from r1sgg_cli.training import sft
from r1sgg_cli.training.head import IGNORED
from r1sgg_cli.training.run_data import RunData
from r1sgg_cli.training.sft import SceneGraphSFTTrainer
from r1sgg_cli.training.throughput import count_tokens
from tests.benchmarks.random_models import SMALL, model_of, processor_of, published, rows

WARM_UP = 1
"""Steps that are not counted."""


class Clock:
    """Mixed into a trainer, before it: what each step took, and of that what it waited for its rows."""

    model: Any
    args: Any
    processing_class: Any
    waited: float = 0.0
    tokens = StepTokens(0, 0, 0, 0)
    num_positions: int = 0

    def get_batch_samples(self, *given: Any) -> Any:
        """A step's rows, with the time that they took, and what is in them."""
        began = self.now()
        batches, num_items = super().get_batch_samples(*given)  # type: ignore[misc]
        self.waited += self.now() - began
        for batch in batches:
            ids, mask, is_answer = batch["input_ids"], batch["attention_mask"], batch["labels"] != IGNORED
            self.tokens += count_tokens(ids, mask, is_answer, self.processing_class.image_token_id)
            self.num_positions += mask.numel()
        return batches, num_items

    def now(self) -> float:
        """Seconds: of this process's CPU, or on the wall beside a GPU that has ended its work."""
        if self.args.use_cpu:
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()


class Stopwatch(TrainerCallback):
    """The seconds of all steps after the warm-up."""

    def __init__(self) -> None:
        self.trainer: Any = None
        self.began = 0.0
        self.seconds = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The next one begins."""
        trainer = self.trainer
        if state.global_step == WARM_UP:
            self.began = trainer.now()
            trainer.waited, trainer.tokens, trainer.num_positions = 0.0, StepTokens(0, 0, 0, 0), 0
        self.seconds = trainer.now() - self.began


def timed(kind: type[SFTTrainer]) -> type[SFTTrainer]:
    """The trainer with a clock."""
    return type(f"Timed{kind.__name__}", (Clock, kind), {})


class InRandomOrder(SceneGraphSFTTrainer):
    """Ours, with the rows of a step in the order in which they were drawn."""

    _get_train_sampler = SFTTrainer._get_train_sampler


class WithTheWholeHead(SceneGraphSFTTrainer):
    """Ours, with TRL's own way of scoring."""

    compute_loss = SFTTrainer.compute_loss


def trainer_of(name: str, given: argparse.Namespace, folder: Path) -> Any:
    """One of the trainers that are compared, ready to train."""
    config = SMALL if given.model == "small" else published(given.model)
    num_rows = given.batch * (given.steps + WARM_UP)
    examples = rows(num_rows, given.shrink)
    processor = processor_of(config["model_type"], examples, folder / "processor")
    loaded = (FAMILIES[config["model_type"]], processor, model_of(config, processor, given.device, given.lora))
    without = {"ours, no workers": {"dataloader_num_workers": 0}}
    options = {"save_strategy": "no", **without.get(name, {})}
    if given.workers is not None and name.startswith("ours"):
        options = {"dataloader_num_workers": given.workers, **options}
    recipe = SFTRecipe(
        batch_size=given.batch,
        max_steps=given.steps + WARM_UP,
        max_pixels=1024 * 28 * 28,
        lora={} if given.lora else None,
        trainer=options,
    )
    precision = "bf16" if given.device == "cuda" else "float32"
    run = SFTRun(
        model=str(folder / "processor"),
        dataset="rows",
        out=folder / "run",
        precision=precision,
        micro_batch=given.micro_batch,
        gradient_checkpointing=given.checkpointing or name == "ours, checkpointing",
        recipe=recipe,
    )
    kinds = {"ours, random order": InRandomOrder, "ours, whole head": WithTheWholeHead}
    sft.SceneGraphSFTTrainer = timed(kinds.get(name, SceneGraphSFTTrainer))  # type: ignore[misc]
    data, quiet = RunData(examples, vocabulary=None, held_out=None), Console(quiet=True)
    trainer, _ = sft.sft_trainer(run, sft.sft_config(run, quiet), data, loaded, quiet)
    if name.startswith("ours"):
        return trainer
    return bare_trainer(run, trainer)


def bare_trainer(run: SFTRun, ours: SceneGraphSFTTrainer) -> SFTTrainer:
    """TRL's, on the same model and rows, its defaults left alone."""
    arguments = SFTConfig(
        output_dir=str(run.out),
        per_device_train_batch_size=run.micro_batch,
        gradient_accumulation_steps=ours.args.gradient_accumulation_steps,
        max_steps=ours.args.max_steps,
        max_length=None,
        bf16=run.precision == "bf16",
        use_cpu=ours.args.use_cpu,
        learning_rate=run.recipe.learning_rate,
        remove_unused_columns=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    model, processor = ours.model, ours.processing_class
    return timed(SFTTrainer)(model=model, args=arguments, train_dataset=ours.train_dataset, processing_class=processor)


def measure(name: str, given: argparse.Namespace) -> dict[str, float]:
    """What one trainer took."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = trainer_of(name, given, Path(folder))
        watch = Stopwatch()
        watch.trainer = trainer
        trainer.add_callback(watch)
        if given.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        trainer.train()
        on_cuda = given.device == "cuda"
        peak = (
            torch.cuda.max_memory_allocated() if on_cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        )
        shape = parse_shape(SMALL if given.model == "small" else published(given.model), "m")
        return {
            "seconds": watch.seconds / given.steps,
            "waited": trainer.waited / watch.seconds,
            "tokens": trainer.tokens.total / watch.seconds,
            "padding": 1 - trainer.tokens.total / trainer.num_positions,
            "peak_gib": peak / 2**30,
            "flops": step_flops(shape, trainer.tokens, trains_weights=not given.lora, trains_vision=True)
            / watch.seconds,
            "loss": trainer.state.log_history[-1]["train_loss"],
        }


TRAINERS = (
    "TRL's default",
    "ours",
    "ours, random order",
    "ours, whole head",
    "ours, checkpointing",
    "ours, no workers",
)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="small")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--micro-batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=3, help=f"that are counted, after {WARM_UP}")
    parser.add_argument("--shrink", type=float, help="photos' sides and answers by this; 2.5 on a CPU")
    parser.add_argument("--workers", type=int, help="that prepare our rows; by rule if not given")
    parser.add_argument("--checkpointing", action="store_true", help="ours too, as where memory is short")
    parser.add_argument("--lora", action="store_true")
    parser.add_argument("--peak-tflops", type=float, default=989, help="of the card, for MFU")
    parser.add_argument("--trainers", nargs="+", choices=TRAINERS, default=list(TRAINERS))
    parser.add_argument("--only", choices=TRAINERS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.shrink = given.shrink or (2.5 if given.device == "cpu" else 1.0)
    return given


def main() -> None:
    """Print one line per trainer."""
    given = arguments()
    if given.only:
        print(json.dumps(measure(given.only, given)))
        return
    unit = "s CPU" if given.device == "cpu" else "s"
    head = f"{'':<22}{unit + '/step':>12}{'ratio':>8}{'tokens/s':>11}{'waiting':>9}{'padding':>9}{'peak GiB':>10}"
    head += f"{'MFU':>7}" if given.device == "cuda" else ""
    print(f"{given.model}, batch {given.batch}, micro-batch {given.micro_batch}, {given.steps} steps\n{head}")
    slowest = None
    for name in given.trainers:
        argv = [sys.executable, "-m", "tests.benchmarks.bench_sft", *sys.argv[1:], "--only", name]
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        slowest = slowest or found["seconds"]
        figures = f"{found['seconds']:>12.2f}{slowest / found['seconds']:>8.2f}{found['tokens']:>11,.0f}"
        figures += f"{found['waited']:>9.0%}{found['padding']:>9.0%}{found['peak_gib']:>10.2f}"
        mfu = f"{found['flops'] / given.peak_tflops / 1e12:>7.1%}" if given.device == "cuda" else ""
        print(f"{name:<22}{figures}{mfu}", flush=True)


if __name__ == "__main__":
    main()
