"""What a model wrote for one request, whichever engine wrote it."""

from dataclasses import dataclass
from typing import Literal

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer as text."""

    text: str
    finish_reason: FinishReason
    """`length`: it was cut off."""
    num_tokens: int
    """Without its end token."""
