"""transformers as the engine: batches one after another, on the GPU where there is one."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import torch
from rich.console import Console

from r1sgg_cli.counted import counted
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.inference.engine import Question, Reply
from r1sgg_cli.inference.room import too_long
from r1sgg_cli.models.adapter_folder import base_of
from r1sgg_cli.models.adapters import load_to_ask
from r1sgg_cli.models.checkpoint import end_token_ids
from r1sgg_cli.models.completion import Completion
from r1sgg_cli.models.families import unsampled_token_ids
from r1sgg_cli.models.sampling import Sampling, TokenChooser
from r1sgg_cli.models.writer import Writer

_CPU_OUT_OF_MEMORY = "DefaultCPUAllocator: "
"""In the message of the `RuntimeError` that torch raises where there is no memory for a tensor on the CPU."""


class TransformersEngine:
    """transformers' own generation."""

    name = "transformers"

    def __init__(self, model: str, sampling: Sampling, batch_size: int, room: int, console: Console) -> None:
        """Load a checkpoint to answer `batch_size` images at once, each with its prompt in `room` tokens.

        Raises `ModelError`.
        """
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        processor, self.model = load_to_ask(model, self.device)
        self.tokenizer: Any = processor.tokenizer
        ends, unsampled = end_token_ids(processor, self.model), unsampled_token_ids(base_of(model))
        self.writer = Writer(processor, ends, unsampled, sampling.max_new_tokens)
        self.sampling = sampling
        self.batch_size = batch_size
        self.room = room
        self._console = console
        self._has_halved = False

    def replies(self, questions: Iterable[Question]) -> Iterator[Reply]:
        """A reply for each question, batch by batch, in order.

        A batch for which memory does not suffice is halved, and so are all after it. Raises `ConfigError` where it
        still does not.
        """
        waiting = iter(questions)
        while batch := list(islice(waiting, self.batch_size)):
            replies = self._reply_if_it_fits(batch)
            if replies is None:
                self._halve()
                waiting = chain(batch, waiting)
            else:
                yield from replies

    def _reply_if_it_fits(self, batch: Sequence[Question]) -> list[Reply] | None:
        try:
            return self._reply(batch)
        except torch.OutOfMemoryError:
            return None
        except RuntimeError as error:
            if _CPU_OUT_OF_MEMORY not in str(error):
                raise
            return None

    def _halve(self) -> None:
        size = self.batch_size
        if self._has_halved or size == 1:
            raise ConfigError(
                f"out of memory with {counted(size, 'image')} at once; what is answered is kept: run it again "
                "with a smaller `--batch-size`, or with fewer `--max-pixels` or `--max-new-tokens` in another folder"
            )
        self.batch_size, self._has_halved = size // 2, True
        if self.device == "cuda":
            torch.cuda.empty_cache()
        self._console.print(
            f"[yellow]out of memory[/] with {size} images at once; from here on it is {self.batch_size}"
        )

    def _reply(self, batch: Sequence[Question]) -> list[Reply]:
        each = self.sampling.num_answers
        asked = [question for question in batch for _ in range(each)]
        prompts = self.writer.prompts([one.messages for one in asked], [one.image for one in asked])
        num_tokens = prompts["attention_mask"].sum(dim=1).tolist()
        refused = {i: said for i in range(len(batch)) if (said := too_long(num_tokens[i * each], self.room))}
        if refused:
            return self._reply_without(batch, refused, num_tokens[::each])
        seeds = [seed for question in batch for seed in self.sampling.seeds(question.image_id)]
        completions = self._write(prompts.to(self.device), num_tokens, seeds)
        return [
            Reply(question, tuple(completions[i * each : (i + 1) * each]), num_tokens[i * each])
            for i, question in enumerate(batch)
        ]

    def _reply_without(
        self, batch: Sequence[Question], refused: dict[int, str], num_tokens: Sequence[int]
    ) -> list[Reply]:
        """Replies to a batch of which some prompts are too long, for the reasons in `refused`."""
        fitting = [question for i, question in enumerate(batch) if i not in refused]
        answered = iter(self._reply(fitting) if fitting else ())
        return [
            Reply(question, (), num_tokens[i], refused[i]) if i in refused else next(answered)
            for i, question in enumerate(batch)
        ]

    def _write(self, prompts: Any, num_tokens: Sequence[int], seeds: Sequence[int]) -> list[Completion]:
        chooser = TokenChooser(self.sampling, self.writer.unsampled, seeds)
        with torch.inference_mode():
            written = self.writer.generate(self.model, prompts, chooser)
        return [
            self.writer.completion(tokens[: self.room - length], logprobs)
            for tokens, logprobs, length in zip(written, chooser.token_logprobs(), num_tokens, strict=True)
        ]
