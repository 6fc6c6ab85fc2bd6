"""A killed run goes on from its last complete checkpoint with the losses of one that was never stopped.

transformers 5.17 alone fails this: it goes on from the base weights and says so in one warning among many.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.cli.app import app
from r1sgg_cli.data.run_logs import load_metric_rows
from r1sgg_cli.models.asking import load_asking
from tests.training import warm
from tests.training.schooled import evaluations
from tests.training.token_reward import BY_TOKENS

pytestmark = pytest.mark.slow

SMALL = {
    "sft": [
        *["--recipe", "demo-sft", "--micro-batch", "4", "--set", "batch_size=8", "--set", "warmup=2"],
        *["--set", "max_answer_tokens=64"],
    ],
    "grpo": [
        *["--recipe", "demo-grpo", "--micro-batch", "4", "--set", "prompts_per_step=2", "--set", "num_generations=4"],
        *["--set", "max_new_tokens=16", "--set", BY_TOKENS],
    ],
}
STEPS = ["--set", "max_steps=8", "--set", "checkpoint_every=3", "--set", "trainer.logging_steps=1"]
EVALUATED = ["--set", "evaluation.every=2", "--set", "evaluation.num_images=3"]

MIXED = ["--set", "tasks={sgg: 2, det: 1, cls: 1}", "--set", "shuffle_objects=true", "--set", "long_answers=shorten"]
THREE_EPOCHS = {  # of three steps each; the checkpoint is in the middle of the second
    "sft": ["--set", "batch_size=4", "--micro-batch", "2", "--set", "max_answer_tokens=40"],
    "grpo": [
        "--set",
        "prompts_per_step=3",
        "--set",
        "num_generations=2",
        "--set",
        "max_new_tokens=40",
        "--micro-batch",
        "3",
    ],
}


def command(stage: str, model: Path, dataset: Path, out: Path) -> list[str]:
    return [stage, "--model", str(model), "--dataset", str(dataset), "--out", str(out), *SMALL[stage], *STEPS]


def run_until_killed(argv: list[str], out: Path, step: int) -> None:
    """Start the command as a process of its own and kill -9 it once `step` is logged."""
    process = warm.start("r1sgg_cli", argv, Path(os.devnull))
    deadline = time.monotonic() + 240
    log = out / "metrics.jsonl"
    while not (log.exists() and any(row["step"] >= step for row in load_metric_rows(log))):
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline, "did not reach the step"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def logged(out: Path, keys: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{key: row[key] for key in keys} for row in load_metric_rows(out / "metrics.jsonl") if "loss" in row]


@pytest.mark.parametrize(
    ("stage", "model_type"), [("sft", "qwen2_vl"), ("grpo", "qwen2_vl"), ("sft", "internvl"), ("grpo", "internvl")]
)
def test_a_killed_run_continues_as_if_it_had_not_been(
    stage: str, model_type: str, tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path: Path
) -> None:
    model = tiny_checkpoint(model_type)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    app(command(stage, model, synthetic_dataset, whole) + EVALUATED, standalone_mode=False)
    run_until_killed(command(stage, model, synthetic_dataset, killed) + EVALUATED, killed, step=4)
    newest = max(int(path.name.split("-")[1]) for path in killed.glob("checkpoint-*"))
    half_written = killed / f"checkpoint-{newest + 1}"
    shutil.copytree(killed / f"checkpoint-{newest}", half_written)
    (half_written / "trainer_state.json").unlink()
    app(command(stage, model, synthetic_dataset, killed) + EVALUATED, standalone_mode=False)
    keys = ("step", "loss", "grad_norm") if stage == "sft" else ("step", "loss", "grad_norm", "reward")
    rows, expected = logged(killed, keys), logged(whole, keys)
    assert [row["step"] for row in rows] == list(range(1, 9))
    for row, other in zip(rows, expected, strict=True):
        assert row == pytest.approx(other, abs=1e-6)
    assert all(row["grad_norm"] > 0 for row in rows)
    assert list(evaluations(killed)) == [0, 2, 4, 6, 8]
    assert evaluations(killed) == evaluations(whole)


@pytest.mark.parametrize(
    ("stage", "num_workers"),
    [("sft", 0), ("sft", 2), ("grpo", 0)],
    ids=["SFT", "SFT, rows made by worker processes", "GRPO"],
)
def test_mixed_tasks_in_shuffled_order_go_on_in_the_middle_of_an_epoch(
    stage: str, num_workers: int, tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    options = [*MIXED, *THREE_EPOCHS[stage], "--set", "max_steps=9", "--set", "checkpoint_every=5"]
    options += ["--set", "lr_schedule=constant", "--set", f"trainer.dataloader_num_workers={num_workers}"]
    options += ["--set", "trainer.logging_steps=2"]  # the checkpoint is between two of them
    model = tiny_checkpoint("qwen2_vl")
    app(command(stage, model, ten_scenes, whole) + options, standalone_mode=False)
    run_until_killed(command(stage, model, ten_scenes, killed) + options, killed, step=6)
    assert [path.name for path in killed.glob("checkpoint-*")] == ["checkpoint-5"]
    app(command(stage, model, ten_scenes, killed) + options, standalone_mode=False)
    keys = ("step", "loss", "grad_norm", "epoch")
    rows, expected = logged(killed, keys), logged(whole, keys)
    assert [row["step"] for row in rows] == [2, 4, 5, 6, 8, 9]
    assert (rows[2]["epoch"], rows[5]["epoch"]) == (pytest.approx(2, abs=0.4), 3)
    for row, other in zip(rows, expected, strict=True):
        assert row == pytest.approx(other, abs=1e-6)


def test_a_run_that_lacks_only_the_finished_model_takes_no_further_step(
    tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path: Path
) -> None:
    """As when the disk was full at the very end; the Trainer alone would train one step too many."""
    argv = command("sft", tiny_checkpoint("qwen2_vl"), synthetic_dataset, tmp_path)
    argv += ["--set", "max_steps=3", "--set", "lr_schedule=constant"]
    app(argv, standalone_mode=False)
    finished = (tmp_path / "model.safetensors").read_bytes()
    for name in ("r1sgg.json", "model.safetensors"):
        (tmp_path / name).unlink()
    app(argv, standalone_mode=False)
    assert (tmp_path / "model.safetensors").read_bytes() == finished
    assert not (tmp_path / "checkpoint-4").exists()
    assert load_asking(str(tmp_path / "checkpoint-3")) == load_asking(str(tmp_path))


def test_a_finished_run_is_not_trained_again(
    tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = command("sft", tiny_checkpoint("qwen2_vl"), synthetic_dataset, tmp_path / "run")
    argv += ["--set", "max_steps=1"]
    app(argv, standalone_mode=False)
    weights = (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns
    capsys.readouterr()
    app(argv, standalone_mode=False)
    assert "already trained" in capsys.readouterr().err
    assert (tmp_path / "run" / "model.safetensors").stat().st_mtime_ns == weights
