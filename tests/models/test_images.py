"""Fitted images: no processor resizes them again, in each of the three ways."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image
from transformers import AutoProcessor, GotOcr2ImageProcessor, PixtralImageProcessor
from transformers.models.got_ocr2.image_processing_got_ocr2 import get_optimal_tiled_canvas

from r1sgg_cli.errors import ConfigError, DataError, ModelError
from r1sgg_cli.models.families import FAMILIES, ModelType
from r1sgg_cli.models.images import (
    PixelLimits,
    SquareLimits,
    TileLimits,
    fit_image,
    image_limits,
    padding_of,
    resized_wh,
)

MODEL_TYPES: tuple[ModelType, ...] = get_args(ModelType)
MAX_PIXELS = 40_000
PUBLISHED = PixelLimits(factor=28, min_pixels=56 * 56, max_pixels=512 * 28 * 28)

sides = st.integers(min_value=1, max_value=6000)


def noise(image_wh: tuple[int, int]) -> Image.Image:
    pixels = np.random.default_rng(0).integers(256, size=(image_wh[1], image_wh[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def photo(image_wh: tuple[int, int]) -> Image.Image:
    """Smooth, so that two ways of resampling agree."""
    across, down = np.meshgrid(np.linspace(0, 255, image_wh[0]), np.linspace(0, 255, image_wh[1]))
    return Image.fromarray(np.stack([across, down, 255 - across], axis=-1).astype(np.uint8))


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize(
    "image_wh", [(100, 100), (641, 427), (37, 2000), (7, 9)], ids=["square", "photo", "tall", "tiny"]
)
def test_the_processor_leaves_a_fitted_image_alone_and_every_engine_counts_the_same_tokens(
    model_type: ModelType, image_wh: tuple[int, int], tiny_checkpoint: Callable[[ModelType], Path]
) -> None:
    processor = AutoProcessor.from_pretrained(tiny_checkpoint(model_type))
    limits = image_limits(FAMILIES[model_type].fitting, processor, MAX_PIXELS)
    fitted = fit_image(noise(image_wh), limits)

    as_it_comes = processor(text=[processor.image_token], images=[fitted], return_tensors="pt")
    if isinstance(limits, TileLimits):
        columns, rows = fitted.width // limits.side, fitted.height // limits.side
        corners = [(x * limits.side, y * limits.side) for y in range(rows) for x in range(columns)]
        parts = [fitted.crop((x, y, x + limits.side, y + limits.side)) for x, y in corners]
    else:
        parts = [fitted]
    untouched = processor.image_processor(images=parts, return_tensors="pt", do_resize=False, do_center_crop=False)

    assert torch.equal(as_it_comes["pixel_values"][: len(untouched["pixel_values"])], untouched["pixel_values"])
    num_tokens = (as_it_comes["input_ids"] == processor.image_token_id).sum()
    # What vLLM asks a processor for, which gives no image; InternVL counts the two tokens around its image tokens.
    announced = processor._get_num_multimodal_tokens(image_sizes=[(fitted.height, fitted.width)])
    assert announced["num_image_tokens"] == [num_tokens + (2 if model_type == "internvl" else 0)]
    assert num_tokens * 20 * 20 <= MAX_PIXELS  # in each tiny checkpoint a token stands for 20×20 pixels


@pytest.mark.parametrize("image_wh", [(640, 480), (333, 500), (301, 300)], ids=["wide", "tall", "almost square"])
def test_llava_sees_the_whole_image_padded_to_a_square(
    image_wh: tuple[int, int], tiny_checkpoint: Callable[[ModelType], Path]
) -> None:
    """transformers' own processor alone cuts off what lies outside the middle square."""
    processor = AutoProcessor.from_pretrained(tiny_checkpoint("llava"))
    image, side, (left, top) = photo(image_wh), max(image_wh), padding_of(image_wh)
    square = Image.new("RGB", (side, side), (122, 116, 104))  # CLIP's mean colour
    square.paste(image, (int(left), int(top)))

    ours = processor.image_processor(images=[fit_image(image, image_limits("padded_square", processor))])
    expected = processor.image_processor(images=[square])

    ours, expected = np.array(ours["pixel_values"]), np.array(expected["pixel_values"])
    assert ours.shape == expected.shape == (1, 3, 100, 100)
    # Two implementations of bicubic resampling round differently: by one level of 255 at most.
    assert np.abs(ours - expected).max() < 1.01 / 255 / 0.26


@pytest.mark.parametrize(
    ("image_wh", "max_pixels", "grid"),
    [
        pytest.param((448, 448), None, (1, 1), id="small and square: one tile"),
        pytest.param((1000, 1000), None, (3, 3), id="large and square"),
        pytest.param((640, 480), None, (4, 3), id="4 to 3"),
        pytest.param((640, 480), 4 * 448 * 448, (1, 1), id="three tiles and the whole at most"),
        pytest.param((640, 320), 4 * 448 * 448, (2, 1), id="two tiles and the whole"),
        pytest.param((640, 320), 512 * 28 * 28, (1, 1), id="the published limit is one tile: two need a third"),
        pytest.param((5000, 100), None, (12, 1), id="as long as can be"),
    ],
)
def test_internvl_gets_the_grid_that_its_processor_chooses_within_the_limit(
    image_wh: tuple[int, int], max_pixels: int | None, grid: tuple[int, int]
) -> None:
    image_processor = GotOcr2ImageProcessor(size={"height": 448, "width": 448})
    limits = image_limits("tiles", SimpleNamespace(image_processor=image_processor, image_seq_length=256), max_pixels)
    assert resized_wh(image_wh, limits) == (448 * grid[0], 448 * grid[1])


@given(width=sides, height=sides, max_tokens=st.integers(min_value=4, max_value=1024))
def test_resizing_twice_is_resizing_once(width: int, height: int, max_tokens: int) -> None:
    assume(max(width, height) <= 200 * min(width, height))
    limits = PixelLimits(28, 4 * 28 * 28, max_tokens * 28 * 28)
    try:
        once = resized_wh((width, height), limits)
    except DataError:
        assume(False)
    assert resized_wh(once, limits) == once
    assert once[0] % 28 == once[1] % 28 == 0


@given(
    width=sides,
    height=sides,
    max_tiles=st.integers(min_value=1, max_value=40),
    more=st.integers(min_value=0, max_value=9),
)
def test_tiling_twice_is_tiling_once(width: int, height: int, max_tiles: int, more: int) -> None:
    """Also where the processor itself, which knows no `max_pixels`, would take more tiles."""
    limits = TileLimits(28, 1, max_tiles, max_tiles + more, 1)
    once = resized_wh((width, height), limits)
    assert resized_wh(once, limits) == once
    columns, rows = once[0] // 28, once[1] // 28
    assert columns * rows <= max_tiles
    assert get_optimal_tiled_canvas(once[::-1], (28, 28), 1, max_tiles + more) == (columns, rows)


def test_an_image_that_is_far_too_long_is_refused() -> None:
    with pytest.raises(DataError, match="201×1 pixels cannot be resized"):
        resized_wh((201, 1), PUBLISHED)


def test_the_pixel_limit_can_be_lowered_and_never_raised(tiny_checkpoint: Callable[[ModelType], Path]) -> None:
    processor = AutoProcessor.from_pretrained(tiny_checkpoint("qwen2_vl"))
    assert image_limits("smart_resize", processor) == PixelLimits(20, 1600, 102_400)
    assert image_limits("smart_resize", processor, 50_000) == PixelLimits(20, 1600, 50_000)
    assert image_limits("smart_resize", processor, 1_000_000) == PixelLimits(20, 1600, 102_400)


@pytest.mark.parametrize(
    ("max_pixels", "max_tiles"),
    [(None, 12), (1600, 1), (2 * 1600, 1), (3 * 1600, 2), (5 * 1600, 4), (13 * 1600, 12), (99 * 1600, 12)],
)
def test_the_whole_image_in_one_tile_counts_against_the_pixel_limit(
    max_pixels: int | None, max_tiles: int, tiny_checkpoint: Callable[[ModelType], Path]
) -> None:
    processor = AutoProcessor.from_pretrained(tiny_checkpoint("internvl"))
    assert image_limits("tiles", processor, max_pixels) == TileLimits(40, 1, max_tiles, 12, 4)


@pytest.mark.parametrize(
    ("model_type", "least"), [("qwen2_vl", 1600), ("qwen2_5_vl", 1600), ("internvl", 1600), ("llava", 10_000)]
)
def test_a_pixel_limit_below_the_processors_own_is_refused(
    model_type: ModelType, least: int, tiny_checkpoint: Callable[[ModelType], Path]
) -> None:
    processor = AutoProcessor.from_pretrained(tiny_checkpoint(model_type))
    image_limits(FAMILIES[model_type].fitting, processor, least)
    with pytest.raises(ConfigError, match=rf"max_pixels is {least - 1}.*{least} or more"):
        image_limits(FAMILIES[model_type].fitting, processor, least - 1)


def test_other_models_with_llavas_model_type_are_refused() -> None:
    processor = SimpleNamespace(image_processor=PixtralImageProcessor())
    with pytest.raises(ModelError, match=r"`PixtralImageProcessor` does not crop .* no LLaVA-1\.5"):
        image_limits("padded_square", processor)


@pytest.mark.parametrize(
    "limits",
    [PUBLISHED, TileLimits(28, 1, 4, 4, 1), SquareLimits(28, (1, 2, 3))],
    ids=lambda limits: type(limits).__name__,
)
def test_a_grey_image_becomes_rgb(limits: PixelLimits | TileLimits | SquareLimits) -> None:
    assert fit_image(Image.new("L", (56, 56)), limits).mode == "RGB"
