"""One table of model families: the space of boxes, the size of images, the tokens that are never sampled.

A family is read from the checkpoint's `config.json` (`model_type`), never from the model's name. Two decisions:

1. Boxes are written in the family's own convention. Qwen2-VL and Qwen3-VL count 0 to 1000 across the whole image;
   Qwen2.5-VL counts pixels of the *resized* image, 0 to side - 1, so its targets need the processor's limits.
2. Images are resized once, here, to a size that the processor's own resize leaves alone. Trainer and sampling engine
   then agree on the number of image tokens and on the box space whatever pixel limits each of them reads.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image
from transformers import PretrainedConfig
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from r1sgg_cli.errors import ConfigError, DataError, ModelError
from r1sgg_cli.files import missing_local
from r1sgg_cli.scene_graph.graph import SceneGraph, SpaceWH

ModelType = Literal["qwen2_vl", "qwen2_5_vl", "qwen3_vl"]

IMAGE_TOKEN_FIELDS = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")


@dataclass(frozen=True, slots=True)
class ModelFamily:
    """What the models of one `model_type` have in common."""

    name: str
    model_type: ModelType
    relative_side: int | None
    """Number of units across the image, or None where boxes are pixels of the resized image."""

    @property
    def box_sentence(self) -> str:
        """One sentence for the prompt that says what the four numbers of a box mean to this family."""
        if self.relative_side is None:
            return "Coordinates are integers in pixels of the image, from its top left corner."
        return f"Coordinates are integers from 0 to {self.relative_side}, relative to the image's width and height."

    def box_space_wh(self, resized_wh: tuple[int, int]) -> SpaceWH:
        """Width and height of the whole image, `resized_wh` as the model sees it, in the unit of the model's boxes."""
        if self.relative_side is None:
            return (float(resized_wh[0]), float(resized_wh[1]))
        return (float(self.relative_side), float(self.relative_side))

    def encode(self, graph: SceneGraph, resized_wh: tuple[int, int]) -> SceneGraph:
        """The graph with whole-number boxes as this family writes them; the way back is `graph.rescaled(image_wh)`.

        `graph` may be in any space, usually pixels of the original image. Each coordinate moves by at most one unit.
        """
        width, height = self.box_space_wh(resized_wh)
        scaled = graph.rescaled((width, height))
        exact = scaled.boxes_xyxy
        boxes = np.rint(exact)
        # A box thinner than one unit would collapse to a line: widen it to the unit around it.
        thin = np.tile((boxes[:, :2] == boxes[:, 2:]) & (exact[:, :2] < exact[:, 2:]), 2)
        outward = np.concatenate([np.floor(exact[:, :2]), np.ceil(exact[:, 2:])], axis=1)
        boxes = np.where(thin, outward, boxes)
        # Pixels end at side - 1 (as the family was trained), relative units at 1000.
        end = 1.0 if self.relative_side is None else 0.0
        boxes = np.clip(boxes, 0.0, np.array([width - end, height - end] * 2))
        return SceneGraph(scaled.ids, scaled.names, boxes, scaled.triplets, scaled.space_wh)


FAMILIES: dict[str, ModelFamily] = {
    family.model_type: family
    for family in (
        ModelFamily("Qwen2-VL", "qwen2_vl", relative_side=1000),
        ModelFamily("Qwen2.5-VL", "qwen2_5_vl", relative_side=None),
        ModelFamily("Qwen3-VL", "qwen3_vl", relative_side=1000),
    )
}
assert set(FAMILIES) == set(get_args(ModelType))


def _load_config(model: str) -> dict[str, Any]:
    folder = Path(model)
    if (folder / "config.json").is_file():
        return _read_config(folder)
    if folder.is_dir():
        raise ModelError(f"`{model}` is no checkpoint: it holds no `config.json`; give the folder that does")
    if folder.is_file():
        raise ModelError(f"`{model}` is a file, not a checkpoint; give the folder that holds its `config.json`")
    if said := missing_local(model):
        raise ModelError(f"{said}; give a checkpoint's folder, or a name on the hub (`OWNER/NAME`)")
    try:
        config, _ = PretrainedConfig.get_config_dict(model)
    except OSError as error:  # what transformers raises for: no such repository, no network
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"`{model}` is no checkpoint folder, nor a model that can be fetched: {reason}") from error
    return dict(config)


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"`{folder}` is not a whole checkpoint: its `config.json` is broken: {error}") from error
    if not isinstance(config, dict):
        raise ModelError(f"`{folder}` is not a whole checkpoint: its `config.json` is no JSON object")
    return config


def family_of(model: str) -> ModelFamily:
    """The family of a checkpoint folder or hub model. Raises `ModelError` if it is none or not supported."""
    model_type = str(_load_config(model).get("model_type"))
    if model_type not in FAMILIES:
        supported = ", ".join(f"{family.name} (`{name}`)" for name, family in FAMILIES.items())
        raise ModelError(f"`{model}` has model_type `{model_type}`, which is not supported; supported are {supported}")
    return FAMILIES[model_type]


def unsampled_token_ids(model: str) -> tuple[int, ...]:
    """Ids of the image, video and vision tokens that an answer must never contain, from the checkpoint's config.

    An answer with an image token crashes the next forward pass, hours into a run. Raises `ModelError`.
    """
    config = _load_config(model)
    missing = [field for field in IMAGE_TOKEN_FIELDS[:2] if not isinstance(config.get(field), int)]
    if missing:
        raise ModelError(f"`{model}`: config.json has no `{missing[0]}`; is it a vision-language checkpoint?")
    return tuple(sorted({config[field] for field in IMAGE_TOKEN_FIELDS if isinstance(config.get(field), int)}))


@dataclass(frozen=True, slots=True)
class PixelLimits:
    """What decides the size that an image is resized to."""

    factor: int
    """Pixels along one side of an image token: patch size × merge size."""
    min_pixels: int
    max_pixels: int


def pixel_limits(processor: Any, max_pixels: int | None = None) -> PixelLimits:
    """The limits of a processor of one of the families; `max_pixels` may lower its own, never raise it."""
    image_processor = processor.image_processor
    factor = image_processor.patch_size * image_processor.merge_size
    smallest, largest = image_processor.size["shortest_edge"], image_processor.size["longest_edge"]
    if max_pixels is not None and max_pixels < max(smallest, factor * factor):
        least = max(smallest, factor * factor)
        raise ConfigError(f"max_pixels is {max_pixels}, below what the processor accepts; give {least} or more")
    return PixelLimits(factor, smallest, largest if max_pixels is None else min(largest, max_pixels))


def resized_wh(image_wh: tuple[int, int], limits: PixelLimits) -> tuple[int, int]:
    """The size that the model sees; resizing an image of that size again changes nothing. Raises `DataError`."""
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


def fit_image(image: Image.Image, limits: PixelLimits) -> Image.Image:
    """The image as RGB in the size that the model sees, so that every processor's own resize leaves it alone."""
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    size_wh = resized_wh(rgb.size, limits)
    return rgb if size_wh == rgb.size else rgb.resize(size_wh, Image.Resampling.BICUBIC)
