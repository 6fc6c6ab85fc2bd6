"""GRPO: what the policy may sample, and that every family trains on graph rewards."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from r1sgg_cli.config.recipes import resolve_run
from r1sgg_cli.config.schema import GRPORun
from r1sgg_cli.data.run_logs import load_metric_rows
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.models.families import FAMILIES, ModelType, unsampled_token_ids
from r1sgg_cli.rewards import REWARDS
from r1sgg_cli.training.grpo import train_grpo
from tests.training.token_reward import BY_TOKENS, TOKEN_REWARD

TRAINABLE = [name for name, family in FAMILIES.items() if family.trainable]
pytestmark = pytest.mark.slow


def grpo_run(model: Path, dataset: Path, out: Path, *overrides: str) -> GRPORun:
    small = ("max_steps=2", "prompts_per_step=2", "num_generations=2", "max_new_tokens=12")
    return resolve_run(
        GRPORun,
        "demo-grpo",
        (*small, *overrides),
        model=str(model),
        dataset=str(dataset),
        split="train",
        out=out,
        precision="float32",
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(AutoModelForImageTextToText.from_pretrained(folder).state_dict())


def save_eager(checkpoint: Path, folder: Path, eagerness: float) -> Path:
    """A tiny checkpoint that wants to write image tokens; their logits exceed all others by `eagerness` and more."""
    model = AutoModelForImageTextToText.from_pretrained(checkpoint)
    with torch.no_grad():
        # The hidden state before the (tied) head keeps one number, whose sign varies; half of these tokens want it
        # positive, half negative, so that one of them is the likeliest by far wherever the model stands.
        model.model.language_model.norm.weight[1:] = 0.0
        embeddings = model.get_input_embeddings().weight
        for token, sign in zip(unsampled_token_ids(str(checkpoint)), (1, -1, 1, -1), strict=True):
            embeddings[token, 0] = sign * eagerness
    model.save_pretrained(folder)
    AutoProcessor.from_pretrained(checkpoint).save_pretrained(folder)
    return folder


def save_shy(checkpoint: Path, folder: Path) -> Path:
    """A tiny checkpoint that will not write image tokens, so that forbidding them changes no other's probability."""
    model = AutoModelForImageTextToText.from_pretrained(checkpoint)
    forbidden = list(unsampled_token_ids(str(checkpoint)))
    with torch.no_grad():
        # The first number of each hidden state is that of its token, which no layer changes; a state's own token is
        # never a forbidden one, and the (tied) head finds theirs to be of the other sign.
        for layer in model.model.language_model.layers:
            layer.self_attn.o_proj.weight[0] = 0.0
            layer.mlp.down_proj.weight[0] = 0.0
        embeddings = model.get_input_embeddings().weight
        embeddings[:, 0] = 2.0
        embeddings[forbidden, 0] = -2.0
    model.save_pretrained(folder)
    AutoProcessor.from_pretrained(checkpoint).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("model_type", TRAINABLE)
def test_every_family_is_moved_by_its_rewards(
    model_type: ModelType, tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path: Path
) -> None:
    train_grpo(grpo_run(tiny_checkpoint(model_type), synthetic_dataset, tmp_path, BY_TOKENS))
    rows = load_metric_rows(tmp_path / "metrics.jsonl")
    assert rows[0][f"rewards/{TOKEN_REWARD}/mean"] > 0
    before, after = weights(tiny_checkpoint(model_type)), weights(tmp_path)
    moved = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert moved
    encoder = f"model.{FAMILIES[model_type].vision_module}."
    assert any(name.startswith(encoder) for name in after)
    assert not any(name.startswith(encoder) for name in moved)  # the recipe freezes the image encoder


@pytest.mark.parametrize("model_type", ["qwen2_vl", "internvl"])
def test_the_micro_batch_changes_nothing_that_is_learned(
    model_type: ModelType, tiny_checkpoint: Callable[[str], Path], mixed_dataset: Path, tmp_path: Path
) -> None:
    """With the published "bnpo" it would: that takes a mean over tokens per micro-batch.

    Images are of different shapes: a trainer that gave an answer the tiles of another image would be seen.
    """
    model = tiny_checkpoint(model_type)
    norms = []
    for micro_batch in (1, 4):
        # Greedy within the group would have no variance: the very first step samples the same answers from one seed.
        run = grpo_run(model, mixed_dataset, tmp_path / str(micro_batch), BY_TOKENS, "max_steps=1")
        train_grpo(run.model_copy(update={"micro_batch": micro_batch}))
        norms.append(load_metric_rows(tmp_path / str(micro_batch) / "metrics.jsonl")[0]["grad_norm"])
    assert norms[0] == pytest.approx(norms[1], rel=1e-4)
    assert norms[0] > 0


def test_fewer_images_than_a_step_needs_are_refused(
    tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path: Path
) -> None:
    """TRL's sampler would drop them all, and the untrained model would be saved as finished."""
    with pytest.raises(
        ConfigError, match=r"has 500 images, fewer than the 502 of one step; `--set prompts_per_step=500`"
    ):
        train_grpo(grpo_run(tiny_checkpoint("qwen2_vl"), synthetic_dataset, tmp_path, "prompts_per_step=502"))
    assert not (tmp_path / "run.yaml").exists()


def test_dropping_long_answers_leaves_enough_for_a_step_or_is_refused(
    tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path: Path
) -> None:
    run = grpo_run(
        tiny_checkpoint("qwen2_vl"),
        ten_scenes,
        tmp_path,
        "long_answers=drop",
        "max_new_tokens=40",
        "prompts_per_step=8",
    )
    with pytest.raises(ConfigError, match=r"has 5 images, fewer than the 8 of one step"):
        train_grpo(run)


def test_tasks_reach_the_rewards(
    tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def watching_reward(completions: Any, prompts: Any, task: list[str], **columns: Any) -> list[float | None]:
        texts = [turns[0]["content"][0]["text"] + turns[1]["content"][1]["text"] for turns in prompts]
        asked.extend(zip(task, texts, strict=True))
        return [float(i) for i, _ in enumerate(completions)]

    monkeypatch.setitem(REWARDS, "watching_reward", watching_reward)
    mixed = ("tasks={sgg: 1, det: 1, cls: 1}", "max_steps=5", "rewards={watching_reward: 1}")
    train_grpo(grpo_run(tiny_checkpoint("qwen2_vl"), ten_scenes, tmp_path, *mixed))
    assert {kind for kind, _ in asked} == {"sgg", "det", "cls"}
    for first, second in zip(asked[::2], asked[1::2], strict=True):  # both answers of a group
        assert first == second
    for kind, prompt in asked:
        assert ("The objects:" in prompt) == (kind == "cls")
        assert ("its scene graph" in prompt) == (kind == "sgg")


@pytest.mark.parametrize("model_type", ["qwen2_vl", "internvl"])
def test_a_policy_that_wants_to_write_image_tokens_never_does(
    model_type: ModelType,
    tiny_checkpoint: Callable[[str], Path],
    synthetic_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One such token breaks the next forward pass, hours into a run."""
    folder = tiny_checkpoint(model_type)
    forbidden = unsampled_token_ids(str(folder))
    eager = save_eager(folder, tmp_path / "eager", eagerness=50.0)
    written: list[int] = []

    def watching_reward(completions: Any, completion_ids: list[list[int]], **columns: Any) -> list[float | None]:
        written.extend(token for ids in completion_ids for token in ids)
        return [float(len(ids)) for ids in completion_ids]

    monkeypatch.setitem(REWARDS, "format_reward", watching_reward)
    train_grpo(grpo_run(eager, synthetic_dataset, tmp_path / "run"))
    assert len(written) > 10
    assert not set(written) & set(forbidden)
