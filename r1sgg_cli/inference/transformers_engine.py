"""transformers as the engine: batches one after another, on the GPU where there is one."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch

from r1sgg_cli.inference.engine import Question, Reply
from r1sgg_cli.models.checkpoint import end_token_ids, load_checkpoint
from r1sgg_cli.models.completion import Completion
from r1sgg_cli.models.families import unsampled_token_ids
from r1sgg_cli.models.sampling import Sampling, TokenChooser
from r1sgg_cli.models.writer import Writer


class TransformersEngine:
    """transformers' own generation."""

    name = "transformers"

    def __init__(self, model: str, sampling: Sampling, batch_size: int) -> None:
        """Load a checkpoint to answer `batch_size` images at once. Raises `ModelError`."""
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.bfloat16 if self.device == "cuda" else torch.float32
        processor, loaded = load_checkpoint(model, dtype)
        self.model: Any = loaded.to(self.device).eval()
        self.tokenizer: Any = processor.tokenizer
        ends, unsampled = end_token_ids(processor, self.model), unsampled_token_ids(model)
        self.writer = Writer(processor, ends, unsampled, sampling.max_new_tokens)
        self.sampling = sampling
        self.batch_size = batch_size

    def replies(self, questions: Iterable[Question]) -> Iterator[Reply]:
        """A reply for each question, batch by batch, in order."""
        waiting = iter(questions)
        while batch := list(islice(waiting, self.batch_size)):
            yield from self._reply(batch)

    def _reply(self, batch: Sequence[Question]) -> list[Reply]:
        each = self.sampling.num_answers
        asked = [question for question in batch for _ in range(each)]
        prompts = self.writer.prompts([one.messages for one in asked], [one.image for one in asked])
        num_tokens = prompts["attention_mask"].sum(dim=1).tolist()
        seeds = [seed for question in batch for seed in self.sampling.seeds(question.image_id)]
        completions = self._write(prompts.to(self.device), seeds)
        return [
            Reply(question, tuple(completions[i * each : (i + 1) * each]), num_tokens[i * each])
            for i, question in enumerate(batch)
        ]

    def _write(self, prompts: Any, seeds: Sequence[int]) -> list[Completion]:
        chooser = TokenChooser(self.sampling, self.writer.unsampled, seeds)
        with torch.inference_mode():
            written = self.writer.generate(self.model, prompts, chooser)
        return [self.writer.completion(*row) for row in zip(written, chooser.token_logprobs(), strict=True)]
