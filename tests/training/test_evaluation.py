"""Evaluation in training: the numbers of `infer`, `gather` and `eval`, at no cost to what is learned."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.cli.app import app
from r1sgg_cli.training.callbacks import load_metric_rows
from r1sgg_cli.training.held_out import FROM_EVALUATE

SMALL = {
    "sft": ["batch_size=8", "warmup=0", "lr_schedule=constant", "max_answer_tokens=48"],
    "grpo": ["prompts_per_step=2", "num_generations=2", "max_new_tokens=48", "rewards={token_reward: 1}"],
}


def train(stage: str, model: Path, dataset: Path, out: Path, *overrides: str) -> list[dict[str, Any]]:
    """The rows of `metrics.jsonl`."""
    small = ["micro-batch=4", *SMALL[stage], "max_steps=4", "checkpoint_every=2", "trainer.logging_steps=1", *overrides]
    sets = [part for one in small[1:] for part in ("--set", one)]
    command = [stage, "--recipe", f"demo-{stage}", "--model", str(model), "--dataset", str(dataset), "--out", str(out)]
    app([*command, "--micro-batch", "4", *sets], standalone_mode=False)
    return load_metric_rows(out / "metrics.jsonl")


def evaluated(rows: list[dict[str, Any]]) -> dict[int, dict[str, float]]:
    """Step -> numbers."""
    return {row["step"]: row for row in rows if "eval_runtime" in row}


def numbers_of(model: Path, dataset: Path, folder: Path, max_new_tokens: int) -> dict[str, float]:
    """What the three commands say of a checkpoint."""
    answers, predictions = folder / "answers", folder / "preds.json"
    ask = ["infer", str(model), str(answers), "--dataset", str(dataset), "--split", "test"]
    app([*ask, "--max-new-tokens", str(max_new_tokens)], standalone_mode=False)
    app(["gather", str(answers), str(predictions)], standalone_mode=False)
    app(["eval", str(predictions)], standalone_mode=False)
    metrics = json.loads((folder / "preds.metrics.json").read_text(encoding="utf-8"))["metrics"]
    return {metric["name"]: metric["value"] for metric in metrics if metric["k"] is None}


@pytest.mark.slow
@pytest.mark.usefixtures("named_token_reward")
@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_its_numbers_are_those_of_the_commands_and_training_does_not_notice(
    stage: str, tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path: Path
) -> None:
    model = tiny_checkpoint("qwen2_vl")
    without = train(stage, model, synthetic_dataset, tmp_path / "without")
    rows = train(stage, model, synthetic_dataset, tmp_path / "with", "evaluation.every=2")
    print(rows)
    assert list(evaluated(rows)) == [0, 2, 4]
    keys = ("step", "loss", "grad_norm")
    assert [[row[key] for key in keys] for row in rows if "loss" in row] == [
        [row[key] for key in keys] for row in without if "loss" in row
    ]
    for step in (2, 4):
        told = numbers_of(tmp_path / f"with/checkpoint-{step}", synthetic_dataset, tmp_path / f"at-{step}", 48)
        assert {name: evaluated(rows)[step].get(f"eval_{name}") for name in FROM_EVALUATE} == {
            name: told[name] for name in FROM_EVALUATE
        }
