"""What the model wrote about one image, and the line that holds it."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

from r1sgg_cli.models.completion import FinishReason
from r1sgg_cli.scene_graph.graph import SpaceWH


@dataclass(frozen=True, slots=True)
class Sample:
    """One text that the model wrote about an image."""

    text: str
    finish_reason: FinishReason
    num_tokens: int
    logprob: float | None = None
    """Natural logarithm of the whole text's probability, its end included; None where the engine gives none."""
    object_logprobs: tuple[float | None, ...] | None = None
    """Of the name of each object that the text lists (`scene_graph.parse` order); None for what cannot be told."""
    triplet_logprobs: tuple[float | None, ...] | None = None
    """Of subject, predicate and object of each relationship, as written, likewise."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model wrote about one image; its boxes are in the space `box_space_wh`.

    `samples` holds as many texts as were asked for; none where `error` says why the image could not be asked about.
    """

    image_id: str
    box_space_wh: SpaceWH
    samples: tuple[Sample, ...]
    box_origin: tuple[float, float] = (0.0, 0.0)
    """The image's top left corner in the numbers of the boxes; files of older versions do not name it."""
    image_wh: tuple[int, int] | None = None
    """Size of the original in pixels; None in files of older versions, and for a picture that cannot be decoded."""
    num_prompt_tokens: int | None = None
    """With the image's; None where the engine does not count them."""
    error: str | None = None


def answer_row(answer: Answer) -> dict[str, Any]:
    """A line's content: the first text beside the rest, further ones under `more`, and nothing that is not known."""
    known = {key: value for key, value in asdict(answer).items() if value is not None}
    samples = [{key: value for key, value in sample.items() if value is not None} for sample in known.pop("samples")]
    return known | (samples[0] if samples else {}) | ({"more": samples[1:]} if len(samples) > 1 else {})


def parse_answer_line(line: bytes) -> Answer:
    """A line of a file of answers. Raises `KeyError`, `TypeError` or `ValueError` where it holds no answer."""
    row = json.loads(line)
    width, height = (float(side) for side in row["box_space_wh"])
    if not (math.isfinite(width) and math.isfinite(height) and width > 0 and height > 0):
        raise ValueError("box_space_wh is not two positive numbers")
    left, top = (float(number) for number in row.get("box_origin", (0.0, 0.0)))
    if not (math.isfinite(left) and math.isfinite(top)):
        raise ValueError("box_origin is not two finite numbers")
    error = row.get("error")
    samples = () if error is not None else tuple(_parse_sample(each) for each in (row, *row.get("more", ())))
    image_wh = None
    if "image_wh" in row:
        image_width, image_height = (int(side) for side in row["image_wh"])
        image_wh = image_width, image_height
    return Answer(
        str(row["image_id"]),
        (width, height),
        samples,
        (left, top),
        image_wh,
        int(row["num_prompt_tokens"]) if "num_prompt_tokens" in row else None,
        None if error is None else str(error),
    )


def _parse_sample(row: Mapping[str, Any]) -> Sample:
    if not isinstance(row["text"], str):
        raise TypeError("text is not a string")
    if row["finish_reason"] not in get_args(FinishReason):
        raise ValueError(f"finish_reason is {row['finish_reason']!r}")
    return Sample(
        row["text"],
        row["finish_reason"],
        int(row["num_tokens"]),
        None if row.get("logprob") is None else float(row["logprob"]),
        _parse_logprobs(row.get("object_logprobs")),
        _parse_logprobs(row.get("triplet_logprobs")),
    )


def _parse_logprobs(values: Sequence[Any] | None) -> tuple[float | None, ...] | None:
    return None if values is None else tuple(None if value is None else float(value) for value in values)
