"""An image processor that is asked for the same image again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoProcessor

from r1sgg_cli.training.images_once import each_image_once

FAMILIES = ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"]


def conversation(image: Image.Image) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": "What?"}]}]


def id_rows(prompts: Any) -> list[list[int]]:
    return [torch.as_tensor(row).tolist() for row in prompts["input_ids"]]


@pytest.mark.parametrize("model_type", FAMILIES)
def test_prompts_are_what_the_processor_itself_makes_of_them(
    model_type: str, tiny_checkpoint: Callable[[str], Path]
) -> None:
    processor = AutoProcessor.from_pretrained(tiny_checkpoint(model_type))
    wide, tall = Image.new("RGB", (120, 80), "red"), Image.new("RGB", (60, 140), "blue")
    images = [wide, wide, tall, wide]
    texts = [processor.apply_chat_template(conversation(image), tokenize=False) for image in images]

    def made() -> list[Any]:
        tokenized = processor.apply_chat_template([conversation(i) for i in images], tokenize=True, return_dict=True)
        return [
            tokenized,
            processor(images=[[image] for image in images], text=texts, padding=True, return_tensors="pt"),
        ]

    expected = made()
    with each_image_once(processor):
        found = made()
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.keys() == theirs.keys()
        assert id_rows(ours) == id_rows(theirs)
        assert torch.equal(ours["pixel_values"], theirs["pixel_values"])
        assert torch.equal(ours["image_grid_thw"], theirs["image_grid_thw"])


def test_an_image_is_processed_once(tiny_checkpoint: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    processor = AutoProcessor.from_pretrained(tiny_checkpoint("qwen2_vl"))
    seen: list[Image.Image] = []
    kind = type(processor.image_processor)
    process = kind.__call__

    def watched(self: Any, images: Any, **options: Any) -> Any:
        seen.extend(images)
        return process(self, images, **options)

    monkeypatch.setattr(kind, "__call__", watched)
    image, other = Image.new("RGB", (120, 80)), Image.new("RGB", (120, 80))
    own = processor.image_processor
    with each_image_once(processor):
        for _ in range(2):
            processor(images=[[image], [image], [other]], text=["<|image_pad|>"] * 3, return_tensors="pt")
    assert len(seen) == 2
    assert seen[0] is image
    assert seen[1] is other
    assert processor.image_processor is own
