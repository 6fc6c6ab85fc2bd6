"""The model that answers: batches of prompts and images in, texts out, greedily."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image

from r1sgg_cli.models.checkpoint import end_token_ids, load_checkpoint
from r1sgg_cli.models.completion import Completion
from r1sgg_cli.models.families import unsampled_token_ids
from r1sgg_cli.models.greedy import GreedyWriter


class TransformersEngine:
    """transformers' own generation, on the GPU where there is one."""

    def __init__(self, model: str, max_new_tokens: int) -> None:
        """Load a checkpoint. Raises `ModelError`."""
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.bfloat16 if self.device == "cuda" else torch.float32
        processor, loaded = load_checkpoint(model, dtype)
        self.model: Any = loaded.to(self.device).eval()
        ends, unsampled = end_token_ids(processor, self.model), unsampled_token_ids(model)
        self.writer = GreedyWriter(processor, ends, unsampled, max_new_tokens)

    def complete(
        self, conversations: Sequence[list[dict[str, Any]]], images: Sequence[Image.Image]
    ) -> list[Completion]:
        """One completion per conversation; each conversation has one image placeholder."""
        prompts = self.writer.prompts(conversations, images).to(self.device)
        with torch.inference_mode():
            written = self.writer.generate(self.model, prompts)
        return [self.writer.completion(ids) for ids in written]
