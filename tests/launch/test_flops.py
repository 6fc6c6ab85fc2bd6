"""The operations that a step needs: what torch counts when it runs one, less what is left out on purpose."""

import json
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForImageTextToText

from r1sgg_cli.launch.architectures import parse_shape
from r1sgg_cli.launch.flops import StepTokens, step_flops
from tests.launch.shapes import FAMILY_NAMES, config_of, published_config

TEXT, WORD, GRID = 24, 50, (1, 8, 8)


def counted(config: dict[str, Any], *, frozen: str) -> tuple[int, StepTokens]:
    """What torch counts in a forward and a backward pass, and over which tokens; all of them go through the head."""
    values = json.loads(json.dumps(config))
    model = AutoModelForImageTextToText.from_config(AutoConfig.for_model(values.pop("model_type"), **values))
    if frozen:
        model.model.get_submodule(frozen).requires_grad_(False)
    vision = model.config.vision_config
    num_image = GRID[1] * GRID[2] // vision.spatial_merge_size**2
    ids = torch.tensor([[*[model.config.image_token_id] * num_image, *[WORD] * TEXT]])
    patch = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    with FlopCounterMode(display=False) as counter:
        output = model(
            input_ids=ids,
            mm_token_type_ids=(ids == model.config.image_token_id).int(),
            pixel_values=torch.randn(GRID[1] * GRID[2], patch),
            image_grid_thw=torch.tensor([GRID]),
        )
        output.logits.sum().backward()
    length = ids.shape[1]
    return counter.get_total_flops(), StepTokens(length, num_image, length, length**2)


@pytest.mark.parametrize("family", [name for name in FAMILY_NAMES if name.startswith("qwen")])
@pytest.mark.parametrize("frozen", ["", "visual"], ids=["all trained", "frozen encoder"])
def test_a_step_needs_what_torch_counts(family: str, frozen: str) -> None:
    config = config_of(family, "vision" if frozen else "wide")
    torch_counts, tokens = counted(config, frozen=frozen)
    flops = step_flops(parse_shape(config, family), tokens, trains_weights=True, trains_vision=not frozen)
    assert 0.85 < flops / torch_counts <= 1.0  # attention within images and the first layer of patches are left out


def test_a_large_model_needs_six_operations_for_each_weight_and_token() -> None:
    model = "Qwen/Qwen2-VL-7B-Instruct"
    shape = parse_shape(published_config(model), model)
    text_only = StepTokens(total=1000, image=0, answer=1000, squared_lengths=1000)
    weights = shape.language_parameters - shape.embedding_parameters
    assert step_flops(shape, text_only, trains_weights=True, trains_vision=True) == pytest.approx(
        6 * weights * 1000, rel=0.01
    )
    adapters = step_flops(shape, text_only, trains_weights=False, trains_vision=True)
    assert adapters == pytest.approx(4 * weights * 1000, rel=0.01)


def test_what_is_not_trained_needs_less() -> None:
    model = "Qwen/Qwen2-VL-2B-Instruct"
    shape = parse_shape(published_config(model), model)
    tokens = StepTokens(total=1500, image=500, answer=300, squared_lengths=1500**2)
    full, frozen, adapters = (
        step_flops(shape, tokens, trains_weights=weights, trains_vision=vision)
        for weights, vision in ((True, True), (True, False), (False, True))
    )
    assert adapters < frozen < full
