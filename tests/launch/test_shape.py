"""How many tokens an image becomes: in square tiles, as one square, or by its area."""

import pytest

from r1sgg_cli.launch.architectures import parse_shape
from r1sgg_cli.models.images import PixelLimits, TileLimits, resized_wh
from tests.launch.shapes import SQUARE, VARIANTS, published_config


@pytest.mark.parametrize(
    ("model", "factor"), [("Qwen/Qwen2-VL-2B-Instruct", 28), ("Qwen/Qwen3-VL-2B-Instruct", 32)], ids=["14", "16"]
)
def test_no_image_has_more_tokens_than_forecast_and_a_square_one_nearly_as_many(model: str, factor: int) -> None:
    max_pixels = 512 * 28 * 28
    most = parse_shape(published_config(model), model).image_tokens(max_pixels)
    limits = PixelLimits(factor, 4 * factor**2, max_pixels)
    tokens = [
        width * height // factor**2
        for width, height in (resized_wh(size, limits) for size in [(1000, 1000), (640, 480), (3000, 200), (333, 777)])
    ]
    assert max(tokens) <= most
    assert max(tokens) > 0.9 * most


@pytest.mark.parametrize(
    ("max_pixels", "num_tiles"),
    [(448**2, 1), (2 * 448**2, 1), (3 * 448**2, 3), (9 * 448**2, 9), (100 * 448**2, 13)],
    ids=["one tile", "two are one", "two and the overview", "eight and the overview", "the processor's limit"],
)
def test_tiles_are_counted_with_their_overview(max_pixels: int, num_tiles: int) -> None:
    config = {**VARIANTS["InternVL with a head of its own"], "vision_config": SQUARE | {"image_size": 448}}
    shape = parse_shape(config, "m")
    assert shape.image_tokens(max_pixels) == num_tiles * 256
    assert shape.vision.num_patches(num_tiles * 256) == num_tiles * (1024 + 1)
    if num_tiles > 1:
        width, height = resized_wh((1600, 800), TileLimits(448, 1, num_tiles - 1, 12, 256))
        assert (width * height // 448**2 + 1) <= num_tiles


def test_a_square_model_always_sees_as_many_tokens() -> None:
    shape = parse_shape(VARIANTS["LLaVA-1.5 as published, Llama's defaults left out"], "m")
    assert shape.image_tokens(10_000) == shape.image_tokens(10_000_000) == 576
