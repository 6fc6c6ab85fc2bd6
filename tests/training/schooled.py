"""A tiny model that has just learned to write graphs: its numbers differ from 0 and 1, and from answer to answer."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1sgg_cli.cli.app import app
from r1sgg_cli.data.run_logs import load_metric_rows
from r1sgg_cli.training.held_out import FROM_EVALUATE

STEPS = 80
MAX_NEW_TOKENS = 64
_SMALL = {
    "sft": ("batch_size=8", "warmup=10", "lr_schedule=constant", f"max_answer_tokens={MAX_NEW_TOKENS}"),
    "grpo": ("prompts_per_step=2", "num_generations=4", f"max_new_tokens={MAX_NEW_TOKENS}"),
}


@dataclass(frozen=True)
class Schooled:
    """The run that schooled it, with an evaluation and a checkpoint after each half."""

    out: Path
    dataset: Path
    said: str
    """On the terminal."""

    @property
    def model(self) -> Path:
        """Its last checkpoint."""
        return self.out / f"checkpoint-{STEPS}"


def train(stage: str, model: Path, dataset: Path, out: Path, *overrides: str) -> list[dict[str, Any]]:
    """The rows of the `metrics.jsonl` of a training in this process."""
    command = [stage, "--recipe", f"demo-{stage}", "--model", str(model), "--dataset", str(dataset), "--out", str(out)]
    for override in (*_SMALL[stage], "trainer.logging_steps=1", *overrides):
        command += ["--set", override]
    app([*command, "--micro-batch", "8" if stage == "grpo" else "4"], standalone_mode=False)
    return load_metric_rows(out / "metrics.jsonl")


def evaluations(out: Path) -> dict[int, dict[str, float]]:
    """Step -> the numbers of its evaluation, under the names of `metrics.evaluation` where they are from there."""
    rows = [row for row in load_metric_rows(out / "metrics.jsonl") if "eval_runtime" in row]
    assert len({row["step"] for row in rows}) == len(rows)
    left_out = ("eval_runtime",)
    return {
        row["step"]: {
            name.removeprefix("eval_"): value
            for name, value in row.items()
            if name.startswith("eval_") and name not in left_out
        }
        for row in rows
    }


def shared_numbers(numbers: dict[str, float]) -> dict[str, float | None]:
    """Those that `r1sgg eval` prints as well."""
    return {name: numbers.get(name) for name in FROM_EVALUATE}


def told_by_commands(model: Path, dataset: Path, folder: Path) -> dict[str, float | None]:
    """What `infer`, `gather` and `eval` say of a checkpoint's test split."""
    answers, predictions = folder / "answers", folder / "preds.json"
    ask = ["infer", str(model), str(answers), "--dataset", str(dataset), "--split", "test"]
    app([*ask, "--max-new-tokens", str(MAX_NEW_TOKENS)], standalone_mode=False)
    app(["gather", str(answers), str(predictions)], standalone_mode=False)
    app(["eval", str(predictions)], standalone_mode=False)
    metrics = json.loads((folder / "preds.metrics.json").read_text(encoding="utf-8"))["metrics"]
    return shared_numbers({metric["name"]: metric["value"] for metric in metrics if metric["k"] is None})
