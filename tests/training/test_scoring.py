"""GRPO's answers that share their prompt's pass: the update is that of TRL's separate rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.config.schema import GRPORun
from r1sgg_cli.data.run_logs import load_metric_rows
from r1sgg_cli.models.families import ModelType
from r1sgg_cli.training.grpo import train_grpo
from r1sgg_cli.training.scoring import SharesPrompts
from tests.training.test_grpo import grpo_run
from tests.training.token_reward import BY_TOKENS

pytestmark = pytest.mark.slow

LEARNED = ("loss", "grad_norm", "entropy")


def trained(run: GRPORun, micro_batch: int) -> list[dict[str, Any]]:
    train_grpo(run.model_copy(update={"micro_batch": micro_batch}))
    return load_metric_rows(run.out / "metrics.jsonl")


@pytest.mark.parametrize(
    ("model_type", "overrides"),
    [
        ("qwen2_vl", ()),
        ("qwen2_vl", ("beta=0.1", "trainer.num_iterations=2", "checkpoint_every=2")),
        ("qwen2_vl", ("lora={rank: 4, alpha: 8, dropout: 0}", "beta=0.1")),
        ("qwen2_5_vl", ("freeze_vision=false",)),
        ("qwen3_vl", ("freeze_vision=false",)),
    ],
    ids=["qwen2_vl", "kl and two iterations", "adapters", "qwen2_5_vl", "qwen3_vl"],
)
def test_the_update_is_that_of_separate_rows(
    model_type: ModelType,
    overrides: tuple[str, ...],
    tiny_checkpoint: Callable[[str], Path],
    mixed_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny_checkpoint(model_type)
    small = (BY_TOKENS, "num_generations=4", "prompts_per_step=2", *overrides)
    shared = [trained(grpo_run(model, mixed_dataset, tmp_path / f"s{m}", *small), m) for m in (8, 2)]
    monkeypatch.setattr(SharesPrompts, "shares_prompts", False)
    separate = trained(grpo_run(model, mixed_dataset, tmp_path / "separate", *small), 4)
    for rows in shared:
        assert len(rows) == len(separate) == 2
        for ours, theirs in zip(rows, separate, strict=True):
            assert {name: ours[name] for name in LEARNED} == pytest.approx(
                {name: theirs[name] for name in LEARNED}, rel=2e-5, abs=1e-7
            )
    assert separate[1]["grad_norm"] > 0
