"""Rows become examples: prompts, images in the model's size, targets in the family's own units."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import torch
from transformers import AutoProcessor

from r1sgg_cli.data.prompts import Prompting
from r1sgg_cli.data.rows import load_rows
from r1sgg_cli.models.families import FAMILIES, ModelType
from r1sgg_cli.models.images import ImageLimits, PixelLimits, image_limits
from r1sgg_cli.training.examples import ExampleMaker, lazy_examples

MODEL_TYPES: tuple[ModelType, ...] = get_args(ModelType)


def maker(model_type: ModelType, limits: ImageLimits, think: bool = True) -> ExampleMaker:
    return ExampleMaker(FAMILIES[model_type], limits, Prompting(think, predefined=False), vocabulary=None)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_images_come_in_the_size_that_the_processor_leaves_alone(
    model_type: ModelType, tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path
) -> None:
    processor = AutoProcessor.from_pretrained(tiny_checkpoint(model_type))
    make = maker(model_type, image_limits(FAMILIES[model_type].fitting, processor, 10_000))
    rows = load_rows(str(synthetic_dataset), "train")
    (image,) = make.sft_example(rows[0])["images"]
    assert (
        image.size == make.grpo_example(rows[0])["image"].size == ((80, 80) if model_type == "internvl" else (100, 100))
    )
    seen = processor.image_processor(images=[image], return_tensors="pt")["pixel_values"]
    untouched = processor.image_processor(images=[image], do_resize=False, do_center_crop=False, return_tensors="pt")
    if model_type != "internvl":  # whose processor resizes each tile; `tests/models/test_images.py` looks at them
        assert torch.equal(seen, untouched["pixel_values"])


def test_a_think_prompt_asks_for_tags_and_its_answer_has_them(synthetic_dataset: Path) -> None:
    row = load_rows(str(synthetic_dataset), "train")[0]
    limits = PixelLimits(20, 400, 10_000)
    for think in (True, False):
        example = maker("qwen2_vl", limits, think).sft_example(row)
        answer = example["completion"][0]["content"][0]["text"]
        assert ("<think>" in example["prompt"][0]["content"][0]["text"]) is think
        assert answer.startswith("<think></think><answer>{") is think


def test_examples_are_made_when_they_are_read(synthetic_dataset: Path) -> None:
    made: list[str] = []

    def make(row: object) -> dict[str, object]:
        made.append(row["image_id"])  # type: ignore[index]
        return {"prompt": "x"}

    examples = lazy_examples(load_rows(str(synthetic_dataset), "train"), make)
    assert made == []
    assert examples[3] == {"prompt": "x"}
    assert made == ["train-000003"]
