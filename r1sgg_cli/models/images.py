"""The size of images: each is brought once, here, to what the checkpoint's own processor would choose.

Its processor then leaves the image alone, so that trainer and sampling engine see the same pixels and count the same
image tokens, whatever limits each of them reads. Processors choose in three ways, named by `Fitting`:

- `smart_resize` (Qwen): both sides become multiples of an image token's side, between a least and a largest area.
- `tiles` (InternVL): a grid of square tiles whose proportions are closest to the image's; the image is stretched to
  it. Two tiles or more are followed by the whole image in one tile, which counts against `max_pixels` like the others.
- `padded_square` (LLaVA-1.5): padded with the processor's mean colour to a square, the image in the middle, as the
  model was trained. transformers by itself would cut off what lies outside the middle square.
"""

from dataclasses import dataclass
from typing import Any, Literal

from PIL import Image
from transformers.models.got_ocr2.image_processing_got_ocr2 import get_optimal_tiled_canvas
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from r1sgg_cli.errors import ConfigError, DataError, ModelError

Fitting = Literal["smart_resize", "tiles", "padded_square"]


@dataclass(frozen=True, slots=True)
class PixelLimits:
    """What decides a size by `smart_resize`."""

    factor: int
    """Pixels along one side of an image token: patch size × merge size."""
    min_pixels: int
    max_pixels: int


@dataclass(frozen=True, slots=True)
class TileLimits:
    """What decides a size by `tiles`."""

    side: int
    """Pixels along one side of a tile."""
    min_tiles: int
    max_tiles: int
    """Without the whole image in one tile."""
    processor_max_tiles: int
    """The processor's own limit: it must choose the same grid again."""
    tokens_per_tile: int


@dataclass(frozen=True, slots=True)
class SquareLimits:
    """What decides a size by `padded_square`."""

    side: int
    colour: tuple[int, int, int]


ImageLimits = PixelLimits | TileLimits | SquareLimits


def image_limits(fitting: Fitting, processor: Any, max_pixels: int | None = None) -> ImageLimits:
    """The limits of a family's processor; `max_pixels` may lower its own, never raise it.

    Raises `ConfigError` where `max_pixels` is too small, `ModelError` where the processor is another family's.
    """
    image_processor = processor.image_processor
    if fitting == "tiles":
        return _tile_limits(image_processor, processor.image_seq_length, max_pixels)
    if fitting == "padded_square":
        return _square_limits(image_processor, max_pixels)
    factor = image_processor.patch_size * image_processor.merge_size
    smallest, largest = image_processor.size["shortest_edge"], image_processor.size["longest_edge"]
    _insist(max_pixels, max(smallest, factor * factor))
    return PixelLimits(factor, smallest, largest if max_pixels is None else min(largest, max_pixels))


def _tile_limits(image_processor: Any, tokens_per_tile: int, max_pixels: int | None) -> TileLimits:
    side, smallest, largest = image_processor.size["height"], image_processor.min_patches, image_processor.max_patches
    _insist(max_pixels, side * side * (smallest + (smallest > 1)))
    allowed = largest + 1 if max_pixels is None else max_pixels // (side * side)
    most = allowed - 1 if allowed > 2 else 1
    return TileLimits(side, smallest, min(largest, most), largest, tokens_per_tile)


def _square_limits(image_processor: Any, max_pixels: int | None) -> SquareLimits:
    crop = getattr(image_processor, "crop_size", None)
    if not crop:  # `model_type` is "llava" for Pixtral and LLaVA-Interleave as well
        kind = type(image_processor).__name__
        raise ModelError(
            f"the checkpoint's `{kind}` does not crop images to a square, so it is no LLaVA-1.5; "
            "of the models with model_type `llava` this version asks LLaVA-1.5 alone"
        )
    _insist(max_pixels, crop["height"] * crop["width"])
    red, green, blue = (int(255 * mean) for mean in image_processor.image_mean)
    return SquareLimits(crop["height"], (red, green, blue))


def _insist(max_pixels: int | None, least: int) -> None:
    if max_pixels is not None and max_pixels < least:
        raise ConfigError(f"max_pixels is {max_pixels}, below what the processor accepts; give {least} or more")


def resized_wh(image_wh: tuple[int, int], limits: ImageLimits) -> tuple[int, int]:
    """The size that the model sees; resizing an image of that size again changes nothing. Raises `DataError`."""
    match limits:
        case PixelLimits():
            return _smart_wh(image_wh, limits)
        case TileLimits():
            return _tiled_wh(image_wh, limits)
        case SquareLimits():
            return limits.side, limits.side


def num_image_tokens(size_wh: tuple[int, int], limits: ImageLimits) -> int:
    """Image tokens of an image of a family that is trained, in the size that the model sees."""
    assert not isinstance(limits, SquareLimits)
    width, height = size_wh
    if isinstance(limits, PixelLimits):
        return width // limits.factor * (height // limits.factor)
    num_tiles = width // limits.side * (height // limits.side)
    return (num_tiles + (num_tiles > 1)) * limits.tokens_per_tile


def _smart_wh(image_wh: tuple[int, int], limits: PixelLimits) -> tuple[int, int]:
    width, height = image_wh
    # smart_resize is not idempotent for very long images and tight limits: apply it until it is.
    for _ in range(8):
        try:
            new_height, new_width = smart_resize(height, width, limits.factor, limits.min_pixels, limits.max_pixels)
        except ValueError as error:
            raise DataError(f"an image of {image_wh[0]}×{image_wh[1]} pixels cannot be resized: {error}") from error
        if (new_width, new_height) == (width, height):
            return width, height
        width, height = new_width, new_height
    raise DataError(f"an image of {image_wh[0]}×{image_wh[1]} pixels has no size that fits {limits}; crop it")


def _tiled_wh(image_wh: tuple[int, int], limits: TileLimits) -> tuple[int, int]:
    # Of grids with equal proportions the processor takes a larger one if it likes: ask it about the resized image too.
    for max_tiles in range(limits.max_tiles, limits.min_tiles - 1, -1):
        columns, rows = _grid(image_wh, limits, max_tiles)
        size_wh = (columns * limits.side, rows * limits.side)
        if _grid(size_wh, limits, limits.processor_max_tiles) == (columns, rows):
            return size_wh
    raise DataError(f"an image of {image_wh[0]}×{image_wh[1]} pixels has no grid that fits {limits}; crop it")


def _grid(image_wh: tuple[int, int], limits: TileLimits, max_tiles: int) -> tuple[int, int]:
    return get_optimal_tiled_canvas(image_wh[::-1], (limits.side, limits.side), limits.min_tiles, max_tiles)


def fit_image(image: Image.Image, limits: ImageLimits) -> Image.Image:
    """The image as RGB in the size that the model sees, so that every processor's own resize leaves it alone."""
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    if isinstance(limits, SquareLimits):
        rgb = _padded(rgb, limits.colour)
    size_wh = resized_wh(rgb.size, limits)
    return rgb if size_wh == rgb.size else rgb.resize(size_wh, Image.Resampling.BICUBIC)


def padding_of(image_wh: tuple[float, float]) -> tuple[float, float]:
    """Whole pixels to the left of and above an image that is padded to a square."""
    side = max(image_wh)
    return (side - image_wh[0]) // 2, (side - image_wh[1]) // 2


def _padded(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    left, top = padding_of(image.size)
    square = Image.new("RGB", (max(image.size), max(image.size)), colour)
    square.paste(image, (int(left), int(top)))
    return square
