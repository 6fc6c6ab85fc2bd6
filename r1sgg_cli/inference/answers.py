"""What the model wrote about one image, and the line that holds it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

from r1sgg_cli.data.checked_rows import LARGEST, checked_image_wh
from r1sgg_cli.models.completion import FinishReason
from r1sgg_cli.scene_graph.graph import SpaceWH

_SMALLEST_SPACE = 1e-6  # boxes as fractions of a square have a side of 1, and less where an image is flat
_LARGEST_LOGPROB = 1e-3  # a sum of rounded ones may be a little above 0


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
    """The image's top left corner in the numbers of the boxes."""
    image_wh: tuple[int, int] | None = None
    """Size of the original in pixels; None for a picture that cannot be decoded, and where nothing says it."""
    num_prompt_tokens: int | None = None
    """With the image's; None where the engine does not count them."""
    error: str | None = None


def answer_row(answer: Answer) -> dict[str, Any]:
    """A line's content: the first text beside the rest, further ones under `more`, and nothing that is not known."""
    known = {key: value for key, value in asdict(answer).items() if value is not None}
    samples = [{key: value for key, value in sample.items() if value is not None} for sample in known.pop("samples")]
    return known | (samples[0] if samples else {}) | ({"more": samples[1:]} if len(samples) > 1 else {})


def parse_answer_line(line: bytes) -> Answer:
    """A line of a file of answers. Raises one of `errors.MALFORMED` where it holds no answer."""
    row = json.loads(line)
    width, height = checked_space_wh(row["box_space_wh"], "box_space_wh")
    left, top = (float(number) for number in row["box_origin"])
    if not (abs(left) <= LARGEST and abs(top) <= LARGEST):
        raise ValueError("`box_origin` is not two finite numbers")
    error = row.get("error")
    samples = () if error is not None else tuple(_parse_sample(each) for each in (row, *row.get("more", ())))
    image_wh = checked_image_wh(row["image_wh"]) if "image_wh" in row else None
    return Answer(
        str(row["image_id"]),
        (width, height),
        samples,
        (left, top),
        image_wh,
        int(row["num_prompt_tokens"]) if "num_prompt_tokens" in row else None,
        None if error is None else str(error),
    )


def checked_space_wh(value: Any, name: str) -> SpaceWH:
    """The space of an answer's boxes that came from a file, there called `name`. Raises one of `errors.MALFORMED`."""
    width, height = (float(side) for side in value)
    if not (_SMALLEST_SPACE <= width <= LARGEST and _SMALLEST_SPACE <= height <= LARGEST):
        raise ValueError(f"`{name}` is not two positive numbers")
    return width, height


def _parse_sample(row: Mapping[str, Any]) -> Sample:
    if not isinstance(row["text"], str):
        raise ValueError("`text` is no text")
    if row["finish_reason"] not in get_args(FinishReason):
        raise ValueError(f"`finish_reason` is `{row['finish_reason']}`")
    return Sample(
        row["text"],
        row["finish_reason"],
        int(row["num_tokens"]),
        _parse_logprob(row.get("logprob")),
        _parse_logprobs(row.get("object_logprobs")),
        _parse_logprobs(row.get("triplet_logprobs")),
    )


def _parse_logprobs(values: Sequence[Any] | None) -> tuple[float | None, ...] | None:
    return None if values is None else tuple(map(_parse_logprob, values))


def _parse_logprob(value: Any) -> float | None:
    if value is None:
        return None
    logprob = float(value)
    if not logprob <= _LARGEST_LOGPROB:  # nor is a NaN
        raise ValueError("a log-probability is no number up to 0")
    return logprob
