"""How the next token is chosen: greedily or by chance, the same for an image whatever is answered beside it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)


@dataclass(frozen=True, slots=True)
class Sampling:
    """What decides over an answer beside the model."""

    max_new_tokens: int
    temperature: float = 0.0
    """0: greedy, the likeliest token each time."""
    top_p: float = 1.0
    top_k: int = 0
    """0: all tokens."""
    num_answers: int = 1
    """Texts per image."""
    seed: int = 0

    def seeds(self, image_id: str) -> tuple[int, ...]:
        """A seed for each text of an image: it depends on nothing else that is answered, before or beside it."""
        digests = (hashlib.sha256(f"{self.seed}\0{image_id}\0{i}".encode()).digest() for i in range(self.num_answers))
        return tuple(int.from_bytes(digest[:8], "big") >> 1 for digest in digests)


class TokenChooser(LogitsProcessor):
    """Chooses each row's next token and keeps its probability.

    Given to a `generate` that takes the likeliest token. Chance enters as Gumbel noise on the scores, whose argmax is
    a sample of their softmax (Gumbel-max trick); each row has a generator of its own, so that rows do not depend on
    each other as they would with one stream of random numbers.
    """

    def __init__(self, sampling: Sampling, unsampled: Sequence[int], seeds: Sequence[int]) -> None:
        """`seeds` has one for each row of the batch; `unsampled` are ids of tokens that are never chosen."""
        self._unsampled = list(unsampled)
        self._logprobs: list[torch.Tensor] = []
        self._warpers = LogitsProcessorList()
        self._generators: list[torch.Generator] = []
        if sampling.temperature == 0:
            return
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._warpers.append(TemperatureLogitsWarper(sampling.temperature))
        if sampling.top_k:
            self._warpers.append(TopKLogitsWarper(sampling.top_k))
        if sampling.top_p < 1:
            self._warpers.append(TopPLogitsWarper(sampling.top_p))

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> Any:
        """Scores of shape (rows, vocabulary) of which the largest in a row is the choice."""
        raw = scores.float()
        chosen_by = raw.clone()
        chosen_by[:, self._unsampled] = -torch.inf
        if self._generators:
            chosen_by = self._warpers(input_ids, chosen_by)
            chosen_by = chosen_by + self._gumbel(chosen_by)
        chosen = chosen_by.argmax(dim=-1, keepdim=True)
        self._logprobs.append(raw.log_softmax(dim=-1).gather(1, chosen)[:, 0])
        return chosen_by

    def token_logprobs(self) -> list[list[float]]:
        """Of each row, the logarithms of the probabilities of its tokens, padding included."""
        rows: list[list[float]] = torch.stack(self._logprobs, dim=1).tolist()
        return rows

    def _gumbel(self, like: torch.Tensor) -> torch.Tensor:
        # On the CPU, so that a seed means the same on every device; float64 never rounds to 0 or 1 here.
        rows = [torch.rand(like.shape[1], generator=each, dtype=torch.float64) for each in self._generators]
        uniform = torch.stack(rows)
        return -(-uniform.clamp_min(torch.finfo(torch.float64).tiny).log()).log().to(like)
