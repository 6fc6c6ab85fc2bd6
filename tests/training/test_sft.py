"""Fine-tuning: the loss falls on the answer and its end token, and on nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from transformers import AutoModelForImageTextToText, AutoProcessor

from r1sgg_cli.config.recipes import resolve_run
from r1sgg_cli.config.schema import SFTRun
from r1sgg_cli.data.prompts import Prompting
from r1sgg_cli.data.rows import load_rows
from r1sgg_cli.models.asking import Asking, load_asking
from r1sgg_cli.models.families import FAMILIES, ModelType, pixel_limits
from r1sgg_cli.training.callbacks import load_metric_rows
from r1sgg_cli.training.examples import ExampleMaker
from r1sgg_cli.training.sft import AnswerCollator, train_sft


@pytest.mark.parametrize("model_type", get_args(ModelType))
def test_labels_are_the_answer_and_its_end_token(
    model_type: ModelType, tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path
) -> None:
    """The published code trains on the prompt as well."""
    processor = AutoProcessor.from_pretrained(tiny_checkpoint(model_type))
    limits = pixel_limits(processor, 10_000)
    maker = ExampleMaker(FAMILIES[model_type], limits, Prompting(True, False), None)
    rows = load_rows(str(synthetic_dataset), "train")
    examples = [maker.sft_example(rows[i]) for i in range(4)]
    answers = [example["completion"][0]["content"][0]["text"] for example in examples]
    batch = AnswerCollator(processor=processor, completion_only_loss=True)(examples)
    for answer, ids, labels in zip(answers, batch["input_ids"], batch["labels"], strict=True):
        trained = labels[labels != -100]
        assert trained.tolist() == processor.tokenizer(answer + "<|im_end|>").input_ids
        assert (ids[labels != -100] == trained).all()
        assert (ids == processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")).sum() == 25


@pytest.mark.slow
@pytest.mark.parametrize("model_type", get_args(ModelType))
def test_every_family_learns_and_leaves_a_checkpoint_that_loads(
    model_type: ModelType, tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path: Path
) -> None:
    overrides = ("max_steps=12", "batch_size=8", "max_pixels=6400", "trainer.logging_steps=1")
    run = resolve_run(
        SFTRun,
        "demo-sft",
        overrides,
        model=str(tiny_checkpoint(model_type)),
        dataset=str(synthetic_dataset),
        split="train",
        out=tmp_path,
        precision="float32",
    )
    train_sft(run)
    losses = [row["loss"] for row in load_metric_rows(tmp_path / "metrics.jsonl") if "loss" in row]
    assert losses[-1] < losses[0]
    assert load_asking(str(tmp_path)) == Asking(think=True, predefined_categories=False, max_pixels=6400)
    AutoModelForImageTextToText.from_pretrained(tmp_path)
    AutoProcessor.from_pretrained(tmp_path)
