"""Answers by transformers, written in one way: by `infer`, and by the evaluation of a model that is being trained."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from PIL import Image
from transformers import GenerationConfig, LogitsProcessorList

from r1sgg_cli.models.completion import Completion
from r1sgg_cli.models.sampling import TokenChooser


@dataclass(frozen=True, slots=True)
class Writer:
    """Prompts → token ids → answers of one checkpoint."""

    processor: Any
    end_ids: tuple[int, ...]
    """Any of these ends an answer."""
    unsampled: tuple[int, ...]
    """Tokens that are never written."""
    max_new_tokens: int

    def prompts(self, conversations: Sequence[list[dict[str, Any]]], images: Sequence[Image.Image]) -> Any:
        """The processor's batch, padded on the left; each conversation has one image placeholder."""
        texts = [self.prompt_text(messages) for messages in conversations]
        of_each = [[image] for image in images]
        return self.processor(text=texts, images=of_each, padding=True, padding_side="left", return_tensors="pt")

    def prompt_text(self, messages: list[dict[str, Any]]) -> str:
        """A conversation in the checkpoint's chat format, up to where the answer begins; its image one placeholder."""
        text: str = self.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return text

    def generate(self, model: Any, prompts: Any, chooser: TokenChooser | None = None) -> list[list[int]]:
        """transformers' own generation: what follows each prompt, padding included; greedy without a `chooser`."""
        tokenizer = self.processor.tokenizer
        settings = GenerationConfig(
            do_sample=False,
            max_new_tokens=self.max_new_tokens,
            eos_token_id=list(self.end_ids),
            pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
            suppress_tokens=None if chooser else list(self.unsampled),
        )
        with _no_settings_of_its_own(model):
            sequences = model.generate(
                **prompts,
                generation_config=settings,
                logits_processor=LogitsProcessorList([chooser] if chooser else []),
            )
        written: list[list[int]] = sequences[:, prompts["input_ids"].shape[1] :].tolist()
        return written

    def completion(self, token_ids: Sequence[int], token_logprobs: Sequence[float] | None = None) -> Completion:
        """The answer in the tokens that were written, up to the first end token."""
        end = next((i for i, token in enumerate(token_ids) if token in self.end_ids), None)
        written = list(token_ids if end is None else token_ids[:end])
        text = self.processor.tokenizer.decode(written, skip_special_tokens=True)
        logprobs = None if token_logprobs is None else tuple(token_logprobs[: len(written) + (end is not None)])
        return Completion(text, "length" if end is None else "stop", len(written), tuple(written), logprobs)


@contextmanager
def _no_settings_of_its_own(model: Any) -> Iterator[None]:
    """`generate` fills whatever its settings leave open from the checkpoint's, such as a repetition penalty."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model  # of a model with adapters
    kept = base.generation_config
    base.generation_config = GenerationConfig()
    try:
        yield
    finally:
        base.generation_config = kept
