"""One table of model families: how boxes are written, how images are fitted, the tokens that are never sampled.

A family is read from the checkpoint's `config.json` (`model_type`), never from the model's name. Each writes boxes in
its own convention: Qwen2-VL, Qwen3-VL and InternVL count 0 to 1000 across the whole image; Qwen2.5-VL counts pixels of
the *resized* image, 0 to side - 1, so its targets need the processor's limits; LLaVA-1.5 writes fractions of the image
padded to a square, so its targets need the original's proportions and an origin beside a scale.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from transformers import PretrainedConfig

from r1sgg_cli.config.model_config import read_local_config
from r1sgg_cli.errors import ModelError, why_unfetched
from r1sgg_cli.models.checkpoint import load_processor
from r1sgg_cli.models.images import Fitting, padding_of
from r1sgg_cli.scene_graph.graph import SceneGraph, SpaceWH

ModelType = Literal["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "internvl", "llava"]

IMAGE_TOKEN_NAMES = (
    "image_token_id",
    "image_token_index",
    "video_token_id",
    "vision_token_id",
    "vision_start_token_id",
    "vision_end_token_id",
    "context_image_token_id",
    "start_image_token_id",
    "end_image_token_id",
)
_INEXACT = 1e-9  # of a unit: by so much may 7 be 7.000000000000001


@dataclass(frozen=True, slots=True)
class ModelFamily:
    """What the models of one `model_type` have in common."""

    name: str
    model_type: ModelType
    relative_side: int | None
    """Number of units across the image, or its padded square; None where boxes are pixels of the resized image."""
    decimals: int = 0
    """Digits after the point of a box's numbers."""
    fitting: Fitting = "smart_resize"
    vision_module: str = "visual"
    """The name of the image encoder inside `model.model`."""
    trainable: bool = True

    @property
    def box_sentence(self) -> str:
        """One sentence for the prompt that says what the four numbers of a box mean to this family."""
        if self.relative_side is None:
            return "Coordinates are integers in pixels of the image, from its top left corner."
        if self.fitting == "padded_square":
            return (
                f"Coordinates are fractions from 0 to {self.relative_side} with {self.decimals} decimals, "
                "of the image padded to a square."
            )
        return f"Coordinates are integers from 0 to {self.relative_side}, relative to the image's width and height."

    def box_space_wh(self, image_wh: SpaceWH, resized_wh: tuple[int, int]) -> SpaceWH:
        """Width and height of the whole image in the unit of the model's boxes.

        `image_wh` is the size of the original, `resized_wh` that of the image as the model sees it.
        """
        if self.relative_side is None:
            return (float(resized_wh[0]), float(resized_wh[1]))
        if self.fitting == "padded_square":
            side = max(image_wh)
            return (image_wh[0] * self.relative_side / side, image_wh[1] * self.relative_side / side)
        return (float(self.relative_side), float(self.relative_side))

    def box_origin(self, image_wh: SpaceWH) -> tuple[float, float]:
        """Where the model's boxes have the top left corner of an image of `image_wh`, in their own unit."""
        if self.relative_side is None or self.fitting != "padded_square":
            return (0.0, 0.0)
        (left, top), side = padding_of(image_wh), max(image_wh)
        return (left * self.relative_side / side, top * self.relative_side / side)

    def encode(self, graph: SceneGraph, resized_wh: tuple[int, int]) -> SceneGraph:
        """The graph with the numbers that this family writes, for `format_answer`; `parse_answer` leads back.

        `graph` is in pixels of the original image. Each coordinate moves by at most one unit and stays in the image.
        """
        space_wh, scale = self.box_space_wh(graph.space_wh, resized_wh), 10.0**self.decimals
        start = np.array(self.box_origin(graph.space_wh) * 2) * scale
        scaled = graph.rescaled(space_wh)
        exact = scaled.boxes_xyxy * scale + start
        boxes = np.rint(exact)
        # A box thinner than one unit would collapse to a line: widen it to the unit around it. (At the far edge, where
        # no unit is left, it does: to start a unit earlier would move it by more than one.)
        thin = np.tile((boxes[:, :2] == boxes[:, 2:]) & (exact[:, :2] < exact[:, 2:]), 2)
        outward = np.concatenate([np.floor(exact[:, :2]), np.ceil(exact[:, 2:])], axis=1)
        boxes = np.where(thin, outward, boxes)
        # Pixels end at side - 1 (as the family was trained), relative units at the side.
        end = np.array(space_wh * 2) * scale + start - (1.0 if self.relative_side is None else 0.0)
        boxes = np.clip(boxes, np.ceil(start - _INEXACT), np.floor(end + _INEXACT)) / scale
        return SceneGraph(scaled.ids, scaled.names, boxes + 0.0, scaled.triplets, space_wh)  # no -0.0


FAMILIES: dict[str, ModelFamily] = {
    family.model_type: family
    for family in (
        ModelFamily("Qwen2-VL", "qwen2_vl", relative_side=1000),
        ModelFamily("Qwen2.5-VL", "qwen2_5_vl", relative_side=None),
        ModelFamily("Qwen3-VL", "qwen3_vl", relative_side=1000),
        ModelFamily("InternVL", "internvl", relative_side=1000, fitting="tiles", vision_module="vision_tower"),
        ModelFamily(
            "LLaVA-1.5",
            "llava",
            relative_side=1,
            decimals=2,
            fitting="padded_square",
            vision_module="vision_tower",
            trainable=False,
        ),
    )
}
assert set(FAMILIES) == set(get_args(ModelType))


def _load_config(model: str) -> dict[str, Any]:
    if (local := read_local_config(model)) is not None:
        return local
    try:
        config, _ = PretrainedConfig.get_config_dict(model)
    except OSError as error:  # what transformers raises for: no such repository, no network
        raise ModelError(
            f"`{model}` is no checkpoint folder, nor a model that can be fetched: {why_unfetched(error)}"
        ) from error
    return dict(config)


def family_of(model: str) -> ModelFamily:
    """The family of a checkpoint folder or hub model. Raises `ModelError` if it is none or not supported."""
    model_type = str(_load_config(model).get("model_type"))
    if model_type not in FAMILIES:
        supported = ", ".join(f"{family.name} (`{name}`)" for name, family in FAMILIES.items())
        raise ModelError(f"`{model}` has model_type `{model_type}`, which is not supported; supported are {supported}")
    return FAMILIES[model_type]


def trainable_family_of(model: str) -> ModelFamily:
    """The same for a checkpoint that is to be trained. Raises `ModelError` also for families that are not trained."""
    family = family_of(model)
    if not family.trainable:
        trained = ", ".join(other.name for other in FAMILIES.values() if other.trainable)
        raise ModelError(
            f"`{model}` is a {family.name}, which this version asks and evaluates but does not train; "
            f"it trains {trained}"
        )
    return family


def quantization_of(model: str) -> str | None:
    """The method by which a checkpoint's weights are quantised, such as `bitsandbytes`; None if they are not."""
    stated = _load_config(model).get("quantization_config")
    return str(stated.get("quant_method")) if isinstance(stated, dict) else None


def unsampled_token_ids(model: str) -> tuple[int, ...]:
    """Ids of the image, video and vision tokens that an answer must never contain, as the checkpoint names them.

    An answer with an image token crashes the next forward pass, hours into a run. Raises `ModelError`.
    """
    config = _load_config(model)
    if not any(isinstance(config.get(name), int) for name in IMAGE_TOKEN_NAMES[:2]):
        raise ModelError(f"`{model}`: config.json has no `{IMAGE_TOKEN_NAMES[0]}`; is it a vision-language checkpoint?")
    processor = load_processor(model)
    # Some families name only the image token in their config, the tokens around it in the tokenizer.
    named = [
        value
        for name in IMAGE_TOKEN_NAMES
        for value in (config.get(name), getattr(processor, name, None), getattr(processor.tokenizer, name, None))
    ]
    return tuple(sorted({value for value in named if isinstance(value, int)}))
