"""vLLM as the engine: requests join and leave it one by one, so that no answer waits for the longest of a batch.

- A thread renders prompts ahead (tokens, pixels) while the engine writes. It is one: vLLM's renderer changes torch's
  settings for the whole process while it works.
- The engine holds as many requests as it answers at once and `SPARE` more, so that a place that becomes free is taken
  at once; all other questions are still with whoever asks, and memory does not grow with their number.
- Images are asked about once, so vLLM's cache of processed images is off. Texts about one image share its prefix.
- Each text is a request with a seed of its own: of vLLM's `n` texts of one request no seed would be on record.

On a CPU the engine runs in this process and without a compiler: both take longer to start than they save.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import safe_open
from vllm import LLM, SamplingParams
from vllm.config.lora import LoRAConfig, MaxLoRARanks
from vllm.lora.peft_helper import PEFTHelper
from vllm.lora.request import LoRARequest
from vllm.renderers import TokenizeParams
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
from vllm.v1.engine.exceptions import EngineDeadError

from r1sgg_cli.errors import ConfigError, first_line
from r1sgg_cli.inference.ahead import in_order_ahead
from r1sgg_cli.inference.engine import Question, Reply
from r1sgg_cli.inference.form import ENGINE_OPTIONS
from r1sgg_cli.inference.room import too_long
from r1sgg_cli.models.adapter_folder import ADAPTER_WEIGHTS, adapter_of, base_of
from r1sgg_cli.models.checkpoint import load_processor, stored_end_token_ids
from r1sgg_cli.models.completion import Completion
from r1sgg_cli.models.engine_options import logit_bias, pixel_options
from r1sgg_cli.models.families import quantization_of, unsampled_token_ids
from r1sgg_cli.models.images import ImageLimits
from r1sgg_cli.models.sampling import Sampling
from r1sgg_cli.models.writer import Writer

SPARE = 32
"""Requests, at most, that wait in the engine for a place."""
_RENDERED_AHEAD = 8
_AS_THEY_ARE = TokenizeParams(max_total_tokens=None)
"""vLLM would raise for prompts that are too long; `too_long` can name the limit."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question in the engine, and its texts as far as they are finished, by number."""

    question: Question
    num_prompt_tokens: int
    completions: dict[int, Completion] = field(default_factory=dict)


class VllmEngine:
    """vLLM's own engine."""

    name = "vllm"

    def __init__(
        self, model: str, sampling: Sampling, limits: ImageLimits, room: int, num_at_once: int, grammar: str | None
    ) -> None:
        """Load a checkpoint to write `num_at_once` texts at once, each with its prompt in `room` tokens.

        Texts are of the `grammar`, such as `answer_grammar` gives; None leaves them free.

        Raises `ModelError`, and what vLLM raises where it refuses its settings or memory does not suffice.
        """
        base = base_of(model)
        processor = load_processor(base)
        self.tokenizer: Any = processor.tokenizer
        ends = stored_end_token_ids(processor, base)
        self.writer = Writer(processor, ends, unsampled_token_ids(base), sampling.max_new_tokens)
        self.sampling = sampling
        self.room = room
        self.num_at_once = num_at_once
        self.grammar = grammar
        adapter = adapter_of(model)
        options = _options(limits, quantized=quantization_of(base) is not None) | _adapter_options(adapter)
        self.engine = LLM(base, max_model_len=room, max_num_seqs=num_at_once, **options).llm_engine
        self.adapter = None if adapter is None else LoRARequest("adapter", 1, str(adapter))
        self._asked: dict[int, _Asked] = {}

    def replies(self, questions: Iterable[Question]) -> Iterator[Reply]:
        """A reply for each question, as they are finished. Raises `ConfigError` where the engine ends for itself."""
        most = self.num_at_once + min(SPARE, self.num_at_once)
        with ThreadPoolExecutor(1) as thread:
            waiting = enumerate(in_order_ahead(thread, self._render, questions, _RENDERED_AHEAD))
            try:
                while True:
                    while self.engine.get_num_unfinished_requests() < most and (found := next(waiting, None)):
                        refused = self._ask(*found)
                        if refused is not None:
                            yield refused
                    if not self._asked:
                        return
                    for output in self.engine.step():
                        yield from self._finish(output)
            except (EngineDeadError, torch.OutOfMemoryError) as error:
                raise ConfigError(
                    f"vLLM has ended amid its work ({first_line(error)}); what is answered is kept: run it again, with "
                    f"a smaller `--batch-size` than {self.num_at_once} if it was out of memory"
                ) from error
            finally:
                self._give_up()

    def _render(self, question: Question) -> tuple[Question, Any]:
        """The question, and the prompt's tokens and pixels as the engine takes them."""
        prompt = {"prompt": self.writer.prompt_text(question.messages), "multi_modal_data": {"image": question.image}}
        (rendered,) = self.engine.renderer.render_cmpl([prompt], _AS_THEY_ARE)
        return question, rendered

    def _ask(self, number: int, rendered: tuple[Question, Any]) -> Reply | None:
        """Hand a question to the engine; the reply where there is no room for an answer."""
        question, prompt = rendered
        num_tokens = len(prompt["prompt_token_ids"])
        if said := too_long(num_tokens, self.room):
            return Reply(question, (), num_tokens, said)
        self._asked[number] = _Asked(question, num_tokens)
        for i, seed in enumerate(self.sampling.seeds(question.image_id)):
            self.engine.add_request(f"{number}-{i}", prompt, self._params(num_tokens, seed), lora_request=self.adapter)
        return None

    def _finish(self, output: Any) -> Iterator[Reply]:
        """The reply to a question once the last of its texts is there."""
        number, _, i = output.request_id.partition("-")
        asked, (written,) = self._asked[int(number)], output.outputs
        logprobs = [
            of_token[token].logprob for of_token, token in zip(written.logprobs, written.token_ids, strict=True)
        ]
        asked.completions[int(i)] = self.writer.completion(written.token_ids, logprobs)
        if len(asked.completions) == self.sampling.num_answers:
            del self._asked[int(number)]
            completions = tuple(asked.completions[i] for i in range(self.sampling.num_answers))
            yield Reply(asked.question, completions, asked.num_prompt_tokens)

    def _give_up(self) -> None:
        """Forget what is not finished: whoever asked has stopped listening."""
        numbers = range(self.sampling.num_answers)
        self.engine.abort_request([f"{number}-{i}" for number in self._asked for i in numbers])
        self._asked.clear()

    def _params(self, num_prompt_tokens: int, seed: int) -> SamplingParams:
        sampling = self.sampling
        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            seed=seed if sampling.temperature else None,
            max_tokens=min(sampling.max_new_tokens, self.room - num_prompt_tokens),
            stop_token_ids=list(self.writer.end_ids),
            logit_bias=logit_bias(self.writer.unsampled),
            logprobs=0,  # those of the tokens that are chosen, and of no other
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
            structured_outputs=None if self.grammar is None else StructuredOutputsParams(grammar=self.grammar),
        )


def _options(limits: ImageLimits, quantized: bool) -> dict[str, Any]:
    has_gpu = torch.cuda.is_available()
    width = "bfloat16" if has_gpu else "float32"
    return {
        "dtype": "auto" if quantized else width,
        "enforce_eager": not has_gpu,
        "limit_mm_per_prompt": {"image": 1, "video": 0},
        "mm_processor_kwargs": pixel_options(limits),
        "mm_processor_cache_gb": 0,
        "structured_outputs_config": ENGINE_OPTIONS,
        "use_tqdm_on_load": False,
    }


def _adapter_options(adapter: Path | None) -> dict[str, Any]:
    """What vLLM is told of adapters. Raises `ValueError` for those that it does not have."""
    if adapter is None:
        return {}
    described = PEFTHelper.from_local_dir(str(adapter), max_position_embeddings=None)
    rank = next((rank for rank in get_args(MaxLoRARanks) if rank >= described.r), described.r)
    described.validate_legal(LoRAConfig(max_lora_rank=rank))
    with safe_open(adapter / ADAPTER_WEIGHTS, framework="pt") as weights:
        beyond = next((name for name in weights.keys() if "language_model" not in name), None)  # noqa: SIM118
    if beyond is not None:  # it would go on without them
        raise ValueError(f"it has no adapters outside the language model, such as `{beyond}`")
    return {"enable_lora": True, "max_lora_rank": rank}
