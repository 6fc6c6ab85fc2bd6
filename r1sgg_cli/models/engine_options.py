"""What vLLM is told so that it reads and writes what transformers does, whether it samples for training or answers."""

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import ValidationError

from r1sgg_cli.errors import first_line
from r1sgg_cli.models.images import ImageLimits, PixelLimits

NEVER = -100
"""The logit bias of a token that is never sampled: the least that vLLM takes."""
REFUSALS = (ValueError, torch.OutOfMemoryError)
"""What an engine in this process raises for settings that it refuses and for memory that does not suffice."""


def logit_bias(unsampled: Sequence[int]) -> dict[int, float]:
    """What keeps an engine from sampling these tokens; vLLM suppresses none by itself."""
    return dict.fromkeys(unsampled, NEVER)


def pixel_options(limits: ImageLimits) -> dict[str, Any]:
    """What the processor is called with, so that it has these limits; of families without a range, nothing."""
    if not isinstance(limits, PixelLimits):
        return {}
    return {"size": {"shortest_edge": limits.min_pixels, "longest_edge": limits.max_pixels}}


def why_refused(error: BaseException) -> str:
    """The line of one of `REFUSALS` that says it, without a full stop; pydantic's first line counts errors."""
    said = str(error.errors()[0]["msg"]) if isinstance(error, ValidationError) else first_line(error)
    return said.rstrip(".")
