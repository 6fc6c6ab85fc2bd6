"""`r1sgg grpo` beside TRL's bare `GRPOTrainer`: the same rows, batch, micro-batch, precision and constant rewards.

    python -m tests.benchmarks.bench_grpo                                            a small model, also on a CPU
    python -m tests.benchmarks.bench_grpo --model Qwen/Qwen2-VL-2B-Instruct
    python -m tests.benchmarks.bench_grpo --model Qwen/Qwen2-VL-7B-Instruct --lora

Weights are random, at the shape of `--model` (a known name, or a folder with a config.json): speed does not depend on
their values, and answers are as long as they may be, for a random model does not end them. TRL is left at its defaults
(gradient checkpointing, transformers' generation) but for what it has to have in common; on a GPU it is also measured
with a vLLM in its process. Ours runs as the command runs it, with all that it writes and watches. Each runs in a
process of its own. On a CPU seconds are CPU seconds: other work disturbs them less.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoProcessor, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from r1sgg_cli.cli.sight import sight
from r1sgg_cli.config.schema import GRPORecipe, GRPORun, Lora, Rollouts
from r1sgg_cli.data.prompts import Prompting
from r1sgg_cli.launch.architectures import parse_shape
from r1sgg_cli.launch.flops import step_flops
from r1sgg_cli.models.families import FAMILIES
from r1sgg_cli.models.images import image_limits
from r1sgg_cli.rewards import REWARDS
from r1sgg_cli.training import grpo
from r1sgg_cli.training.examples import ExampleMaker, lazy_examples
from r1sgg_cli.training.importance import RatioFromUpdate
from r1sgg_cli.training.scoring import SharesPrompts
from r1sgg_cli.training.throughput import count_rollout_tokens
from tests.benchmarks.random_models import SMALL, model_of, processor_of, published, rows

WARM_UP = 1
"""Steps that are not counted."""
ON_CPU = ("TRL's default", "ours", "ours, separate rows")
ON_CUDA = (*ON_CPU, "TRL, vLLM", "ours, vLLM", "ours, vLLM, separate rows", "ours, vLLM, own pass for ratios")


def constant_reward(completions: list[Any], **columns: Any) -> list[float | None]:
    """The same for every answer: nothing is learned, at the full price."""
    return [1.0] * len(completions)


class Counted(GRPOTrainer):
    """TRL's trainer, which keeps count of what it trains on in a step."""

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        rollouts = super()._generate_and_score_completions(inputs)
        self.tokens = count_rollout_tokens(rollouts, self.processing_class.image_token_id)
        return rollouts


class Stopwatch(TrainerCallback):
    """The seconds of all steps after the warm-up."""

    def __init__(self) -> None:
        self.trainer: Any = None
        self.began = self.seconds = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The next one begins."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.process_time() if args.use_cpu else time.perf_counter()
        if state.global_step == WARM_UP:
            self.began = now
        self.seconds = now - self.began


def prepared(given: argparse.Namespace, folder: Path) -> None:
    """The checkpoint and the data set that all trainers read."""
    config = SMALL if given.model == "small" else published(given.model)
    examples = rows(max(8, given.prompts * (given.steps + WARM_UP)), given.shrink)  # the tokenizer learns from eight
    examples.save_to_disk(folder / "rows")
    processor = processor_of(config["model_type"], examples, folder / "processor")
    # A 7B in float32 does not fit beside its copy on the disk.
    model_of(config, processor, "cpu", lora=False).to(torch.bfloat16).save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")


def run_of(name: str, given: argparse.Namespace, folder: Path) -> GRPORun:
    """The run that all trainers have in common."""
    recipe = GRPORecipe(
        prompts_per_step=given.prompts,
        num_generations=given.generations,
        max_steps=given.steps + WARM_UP,
        max_new_tokens=given.new_tokens,
        max_pixels=512 * 28 * 28,
        rewards={"constant_reward": 1.0},
        lora=Lora() if given.lora else None,
        checkpoint_every=1_000_000,
    )
    engine = Rollouts(engine="colocated", gpu_memory_utilization=given.vllm_share) if "vLLM" in name else Rollouts()
    return GRPORun(
        model=str(folder / "model"),
        dataset=str(folder / "rows"),
        out=folder / "run",
        micro_batch=given.micro_batch,
        precision="bf16" if given.device == "cuda" else "float32",
        recipe=recipe,
        rollouts=engine,
    )


def train_ours(run: GRPORun, watch: Stopwatch) -> None:
    """As the command does it."""

    class Watched(grpo.SceneGraphGRPOTrainer):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.add_callback(watch)
            watch.trainer = self

    REWARDS["constant_reward"] = constant_reward  # type: ignore[assignment]
    grpo.SceneGraphGRPOTrainer = Watched  # type: ignore[misc]
    grpo.train_grpo(run, sight())


def adapters_of(run: GRPORun) -> LoraConfig | None:
    """The same adapters as ours."""
    lora = run.recipe.lora
    if lora is None:
        return None
    layers = r".*\.language_model\..*_proj"
    return LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=layers)


def train_bare(run: GRPORun, watch: Stopwatch) -> None:
    """TRL's trainer on the same prompts and images."""
    processor = AutoProcessor.from_pretrained(run.model)
    family = FAMILIES[json.loads((Path(run.model) / "config.json").read_text())["model_type"]]
    limits = image_limits(family.fitting, processor, run.recipe.max_pixels)
    maker = ExampleMaker(family, limits, Prompting(think=True, predefined=False), None)
    arguments = GRPOConfig(
        output_dir=str(run.out),
        per_device_train_batch_size=run.micro_batch,
        gradient_accumulation_steps=run.recipe.prompts_per_step * run.recipe.num_generations // run.micro_batch,
        num_generations=run.recipe.num_generations,
        max_completion_length=run.recipe.max_new_tokens,
        max_steps=run.recipe.max_steps,
        learning_rate=run.recipe.learning_rate,
        bf16=run.precision == "bf16",
        use_cpu=not torch.cuda.is_available(),
        use_vllm=run.rollouts.engine == "colocated",
        vllm_gpu_memory_utilization=run.rollouts.gpu_memory_utilization,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = watch.trainer = Counted(
        model=run.model,
        args=arguments,
        reward_funcs=constant_reward,
        train_dataset=lazy_examples(Dataset.load_from_disk(run.dataset), maker.grpo_example),
        processing_class=processor,
        peft_config=adapters_of(run),
    )
    trainer.add_callback(watch)
    trainer.train()


def measure(name: str, given: argparse.Namespace, folder: Path) -> dict[str, float]:
    """What one trainer took."""
    run, watch = run_of(name, given, folder), Stopwatch()
    if name.endswith("separate rows"):
        SharesPrompts.shares_prompts = False  # type: ignore[assignment, method-assign]
    if name.endswith("own pass for ratios"):
        RatioFromUpdate.takes_ratio_from_update = False  # type: ignore[assignment, method-assign]
    (train_ours if name.startswith("ours") else train_bare)(run, watch)
    on_cuda = given.device == "cuda"
    peak = torch.cuda.max_memory_allocated() if on_cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    seconds = watch.seconds / given.steps
    shape = parse_shape(SMALL if given.model == "small" else published(given.model), "m")
    tokens = watch.trainer.throughput.tokens if name.startswith("ours") else watch.trainer.tokens
    answers = given.prompts * given.generations * given.new_tokens
    flops = step_flops(shape, tokens, trains_weights=not given.lora, trains_vision=True)
    return {"seconds": seconds, "tokens": answers / seconds, "peak_gib": peak / 2**30, "flops": flops / seconds}


def phases(folder: Path) -> str:
    """The shares of a step's time, from what the run has logged."""
    path = folder / "run" / "metrics.jsonl"
    if not path.exists():
        return ""
    logged = [json.loads(line) for line in path.read_text().splitlines()][WARM_UP:]
    names = [name for name in logged[-1] if name.startswith("time/")]
    taken = {name.removeprefix("time/"): sum(row.get(name, 0.0) for row in logged) for name in names}
    shares = sorted(((seconds / sum(taken.values()), name) for name, seconds in taken.items()), reverse=True)
    return ", ".join(f"{name} {share:.0%}" for share, name in shares if share >= 0.01)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="small")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--prompts", type=int)
    parser.add_argument("--generations", type=int, default=8)
    parser.add_argument("--micro-batch", type=int, default=8)
    parser.add_argument("--new-tokens", type=int, help="of each answer")
    parser.add_argument("--steps", type=int, default=2, help=f"that are counted, after {WARM_UP}")
    parser.add_argument("--vllm-share", type=float, default=0.3, help="of the card")
    parser.add_argument("--lora", action="store_true")
    parser.add_argument("--peak-tflops", type=float, default=989, help="of the card, for MFU")
    parser.add_argument("--trainers", nargs="+", choices=ON_CUDA)
    parser.add_argument("--only", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    on_cpu = given.device == "cpu"
    given.shrink = 2.5 if on_cpu else 1.0
    given.prompts = given.prompts or (1 if on_cpu else 8)
    given.new_tokens = given.new_tokens or (24 if on_cpu else 400)
    given.trainers = given.trainers or (ON_CPU if on_cpu else ON_CUDA)
    return given


def main() -> None:
    """Print one line per trainer."""
    given = arguments()
    if given.only:
        name, folder = given.only
        print(json.dumps(measure(name, given, Path(folder))))
        return
    unit = "s CPU" if given.device == "cpu" else "s"
    print(
        f"{given.model}, {given.prompts} prompts x {given.generations} answers of {given.new_tokens} tokens, "
        f"micro-batch {given.micro_batch}, {given.steps} steps"
    )
    print(f"{'':<28}{unit + '/step':>12}{'ratio':>8}{'answer tokens/s':>17}{'peak GiB':>10}{'MFU':>7}")
    with tempfile.TemporaryDirectory() as name:
        prepared(given, Path(name))
        first = None
        for trainer in given.trainers:
            found = _in_a_process_of_its_own(trainer, Path(name))
            first = first or found["seconds"]
            figures = f"{found['seconds']:>12.2f}{first / found['seconds']:>8.2f}{found['tokens']:>17,.0f}"
            figures += f"{found['peak_gib']:>10.2f}"
            mfu = f"{found['flops'] / given.peak_tflops / 1e12:>7.1%}" if given.device == "cuda" else " " * 7
            print(f"{trainer:<28}{figures}{mfu}  {found['phases']}", flush=True)


def _in_a_process_of_its_own(trainer: str, folder: Path) -> dict[str, Any]:
    argv = [sys.executable, "-m", "tests.benchmarks.bench_grpo", *sys.argv[1:], "--only", trainer, str(folder)]
    done = partial(subprocess.run, stdout=subprocess.PIPE, text=True, check=True)(argv)
    found = json.loads(done.stdout.splitlines()[-1])
    found["phases"] = phases(folder)
    for path in sorted((folder / "run").rglob("*"), reverse=True) if (folder / "run").exists() else []:
        path.rmdir() if path.is_dir() else path.unlink()
    return dict(found)


if __name__ == "__main__":
    main()
