"""A frozen image encoder runs forward once in a step, and what is trained beside it gets the gradients it had."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from r1sgg_cli.config.schema import Lora
from r1sgg_cli.models.families import FAMILIES
from r1sgg_cli.training.frozen import run_frozen_vision_forward_alone
from r1sgg_cli.training.lora import lora_config
from tests.training.test_lora import TRAINABLE


def one_step(model: Any, checkpoint: Path) -> tuple[dict[str, torch.Tensor], int]:
    """The gradients that one image and question give, and how often a layer of the image encoder ran for them."""
    processor = AutoProcessor.from_pretrained(checkpoint)
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "what is on"}]}
    text = processor.apply_chat_template([turn], tokenize=False)
    inputs = processor(text=[text], images=[Image.new("RGB", (100, 100), "red")], return_tensors="pt")
    calls = []
    modules = (m for name, m in model.named_modules() if "language_model" not in name)
    attention = next(module for module in modules if "ttention" in type(module).__name__)
    attention.register_forward_hook(lambda *_: calls.append(1))
    model.gradient_checkpointing_enable()
    model.train()
    model(**inputs, labels=inputs["input_ids"]).loss.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}, len(calls)


@pytest.mark.parametrize("model_type", TRAINABLE)
@pytest.mark.parametrize("adapters", [False, True], ids=["freeze_vision", "LoRA"])
def test_it_runs_forward_alone(adapters: bool, model_type: str, tiny_checkpoint: Callable[[str], Path]) -> None:
    def model() -> Any:
        torch.manual_seed(0)
        loaded = AutoModelForImageTextToText.from_pretrained(tiny_checkpoint(model_type))
        if adapters:
            return get_peft_model(loaded, lora_config(Lora(dropout=0), loaded))
        loaded.model.get_submodule(FAMILIES[model_type].vision_module).requires_grad_(False)
        return loaded

    forward_alone = model()
    run_frozen_vision_forward_alone(forward_alone)
    gradients, num_runs = one_step(forward_alone, tiny_checkpoint(model_type))
    expected, num_runs_else = one_step(model(), tiny_checkpoint(model_type))
    # transformers finds no inputs of Qwen3-VL's encoder that it could ask a gradient of.
    assert (num_runs, num_runs_else) == (1, 1 if model_type == "qwen3_vl" else 2)
    assert gradients.keys() == expected.keys() != set()
    assert all(torch.equal(gradients[name], expected[name]) for name in expected)


def test_an_encoder_that_has_adapters_learns(tiny_checkpoint: Callable[[str], Path]) -> None:
    loaded = AutoModelForImageTextToText.from_pretrained(tiny_checkpoint("qwen2_vl"))
    model = get_peft_model(loaded, lora_config(Lora(target_modules=["qkv", "q_proj"]), loaded))
    run_frozen_vision_forward_alone(model)
    gradients, _ = one_step(model, tiny_checkpoint("qwen2_vl"))
    assert any("visual" in name for name in gradients)
