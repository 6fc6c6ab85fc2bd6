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
    token_ids: tuple[int, ...] = ()
    """Of the text, without its end token."""
    token_logprobs: tuple[float, ...] | None = None
    """Natural logarithms of the model's own probabilities of the tokens, before temperature and constraints, the end
    token's last where it was written; None where the engine gives none."""
