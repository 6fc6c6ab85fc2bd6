"""Greedy answers leave the model that writes them as it was."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from r1sgg_cli.data.prompts import build_messages
from r1sgg_cli.data.rows import load_rows
from r1sgg_cli.models.checkpoint import end_token_ids, load_checkpoint
from r1sgg_cli.models.writer import Writer


def with_adapters(model: Any) -> Any:
    return get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))


@pytest.mark.parametrize("wrap", [lambda model: model, with_adapters], ids=["whole", "with adapters"])
def test_a_models_own_settings_have_no_say_and_are_there_afterwards(
    wrap: Callable[[Any], Any], tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path
) -> None:
    """Adapters that are new change no answer."""
    processor, model = load_checkpoint(str(tiny_checkpoint("qwen2_vl")), torch.float32)
    writer = Writer(processor, end_token_ids(processor, model), (), max_new_tokens=12)
    image = load_rows(str(synthetic_dataset), "test")[0]["image"]
    prompts = writer.prompts([build_messages("Describe.", "Write.")], [image])
    plain = writer.generate(model.eval(), prompts)
    model.generation_config.repetition_penalty = 1.5
    assert writer.generate(wrap(model).eval(), prompts) == plain
    assert model.generation_config.repetition_penalty == 1.5
