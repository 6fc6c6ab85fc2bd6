"""Fine-tuning beside TRL's bare trainer: rows in another order and answers alone through the head, the same update."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from trl import SFTTrainer

from r1sgg_cli.config.schema import SFTRun
from r1sgg_cli.models.checkpoint import end_token_ids
from r1sgg_cli.models.families import ModelType
from r1sgg_cli.training.examples import lazy_examples
from r1sgg_cli.training.lora import lora_config
from r1sgg_cli.training.optimizer import optimizer_class_and_options
from r1sgg_cli.training.run_data import load_run_data
from r1sgg_cli.training.sft import AnswerCollator, SceneGraphSFTTrainer, sft_config, sft_trainer
from r1sgg_cli.training.worker import examples_of, load_model
from tests.training.torchrun import run_of

QUIET = Console(quiet=True)
LEARNED = ("loss", "grad_norm")


def ours(run: SFTRun) -> SceneGraphSFTTrainer:
    loaded = load_model(run)
    torch.manual_seed(0)  # adapters are drawn
    trainer, _ = sft_trainer(run, sft_config(run, QUIET), load_run_data(run), loaded, QUIET)
    assert trainer.answers is not None
    return trainer


def bare(run: SFTRun) -> SFTTrainer:
    """TRL's own order, head and step, with our rows and labels."""
    family, processor, model = load_model(run)
    maker, rows, _ = examples_of(run, load_run_data(run), family, processor, run.recipe.max_answer_tokens, QUIET)
    ends = end_token_ids(processor, model)
    torch.manual_seed(0)
    return SFTTrainer(
        model=model,
        args=sft_config(run, QUIET),
        processing_class=processor,
        data_collator=AnswerCollator(processor=processor, completion_only_loss=True, end_token_ids=ends),
        train_dataset=lazy_examples(rows, maker.sft_example, maker.key),
        optimizer_cls_and_kwargs=optimizer_class_and_options(run.recipe),
        peft_config=lora_config(run.recipe.lora, model),
    )


def learned(trainer: Any) -> list[list[float]]:
    trainer.train()
    return [[row[name] for name in LEARNED] for row in trainer.state.log_history if "loss" in row]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model_type", "overrides"),
    [("qwen2_vl", ()), ("qwen2_vl", ("lora={rank: 4, alpha: 8, dropout: 0}",)), ("internvl", ())],
    ids=["qwen2_vl", "adapters", "internvl"],
)
def test_the_update_is_that_of_trls_own_trainer(
    model_type: ModelType,
    overrides: tuple[str, ...],
    tiny_checkpoint: Callable[[str], Path],
    ten_scenes: Path,
    tmp_path: Path,
) -> None:
    """Over an epoch, whose last step is smaller; answers of many lengths share each step."""
    epoch = ("max_steps=3", "trainer.save_strategy=no", *overrides)
    run = run_of(SFTRun, tiny_checkpoint(model_type), ten_scenes, tmp_path, *epoch, world_size=1)
    rows, expected = learned(ours(run)), learned(bare(run))
    assert len(rows) == len(expected) == 3
    for row, other in zip(rows, expected, strict=True):
        assert row == pytest.approx(other, rel=1e-4)
    assert all(row[1] > 0 for row in rows)
