"""The model that answers: batches of prompts and images in, texts out, greedily."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from transformers import GenerationConfig

from r1sgg_cli.inference.answers import FinishReason
from r1sgg_cli.models.checkpoint import end_token_ids, load_checkpoint
from r1sgg_cli.models.families import unsampled_token_ids


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model wrote for one request."""

    text: str
    finish_reason: FinishReason
    num_tokens: int


class TransformersEngine:
    """transformers' own generation, on the GPU where there is one."""

    def __init__(self, model: str, max_new_tokens: int) -> None:
        """Load a checkpoint. Raises `ModelError`."""
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.bfloat16 if self.device == "cuda" else torch.float32
        self.processor, loaded = load_checkpoint(model, dtype)
        self.model: Any = loaded.to(self.device).eval()
        tokenizer = self.processor.tokenizer
        self.end_ids = end_token_ids(self.processor, self.model)
        self.settings = GenerationConfig(
            do_sample=False,
            max_new_tokens=max_new_tokens,
            eos_token_id=list(self.end_ids),
            pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
            suppress_tokens=list(unsampled_token_ids(model)),
        )
        # `generate` fills whatever `settings` leaves open from here, such as the checkpoint's repetition penalty.
        self.model.generation_config = GenerationConfig()

    def complete(
        self, conversations: Sequence[list[dict[str, Any]]], images: Sequence[Image.Image]
    ) -> list[Completion]:
        """One completion per conversation; each conversation has one image placeholder."""
        texts = [
            self.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            for messages in conversations
        ]
        batch = self.processor(
            text=texts, images=[[image] for image in images], padding=True, padding_side="left", return_tensors="pt"
        ).to(self.device)
        with torch.inference_mode():
            sequences = self.model.generate(**batch, generation_config=self.settings)
        return [self._completion(ids) for ids in sequences[:, batch["input_ids"].shape[1] :].tolist()]

    def _completion(self, token_ids: list[int]) -> Completion:
        end = next((i for i, token in enumerate(token_ids) if token in self.end_ids), None)
        written = token_ids if end is None else token_ids[:end]
        text = self.processor.tokenizer.decode(written, skip_special_tokens=True)
        return Completion(text, "length" if end is None else "stop", len(written))
