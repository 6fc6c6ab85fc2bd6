"""Evaluation while a model trains: greedy answers about held-out images, by the Trainer's own schedule.

Decisions.
1. transformers decides when (`eval_steps`, the start, the last step), logs the numbers as `eval_…`, and keeps the best
   checkpoint from rotation. What it would compute is replaced: SFT's loss says little about a graph, and TRL's GRPO
   would sample answers and reward them.
2. Answers come from the engine that writes a run's rollouts: vLLM where there is one, after a synchronisation, else
   `generate` of the training model itself.
3. Training does not notice: random generators, mode and synchronisation stand afterwards as they did before.
4. Every process answers as many images as any other, some of them twice where they do not divide: under ZeRO-3 and
   FSDP each forward pass is one of all processes. `generate` goes on there until the last of them has its answers.
"""

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from rich.console import Console
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl.models import unwrap_model_for_generation

from r1sgg_cli.config.schema import GRPORecipe, SFTRecipe
from r1sgg_cli.models.checkpoint import end_token_ids
from r1sgg_cli.models.sampling import Sampling, TokenChooser
from r1sgg_cli.models.writer import Writer
from r1sgg_cli.training.held_out import Answer, HeldOut, scores
from r1sgg_cli.training.owed import SavesBeforeEvaluation, owes_evaluation
from r1sgg_cli.training.standing_in import not_training

SAMPLED_AT_ONCE = 64
"""Images that are handed to vLLM together by each process; it shares them out over its own batches."""
LOWER_IS_BETTER = frozenset({"failure_rate"})
_GREEDY = {
    "temperature": 0.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": None,
    "repetition_penalty": 1.0,
    "structured_outputs_regex": None,
}
"""TRL's settings for vLLM under which it writes the likeliest token, and nothing else has a say."""


def evaluation_options(recipe: SFTRecipe | GRPORecipe) -> dict[str, Any]:
    """What the Trainer's configuration takes for `recipe.evaluation`."""
    evaluation = recipe.evaluation
    if evaluation is None:
        return {}
    options: dict[str, Any] = {"eval_strategy": "steps", "eval_steps": evaluation.every, "eval_on_start": True}
    if isinstance(recipe, GRPORecipe):
        options["num_generations_eval"] = 1
    if evaluation.best_by is not None:
        options["metric_for_best_model"] = evaluation.best_by
        options["greater_is_better"] = evaluation.best_by not in LOWER_IS_BETTER
        options["save_total_limit"] = recipe.keep_checkpoints + 1  # the Trainer counts the best among them
    return options


def share_of(num_images: int, rank: int, world_size: int) -> list[int]:
    """Positions of the images that a process answers: as many as every other, the first ones again if need be."""
    return [(rank + i * world_size) % num_images for i in range(math.ceil(num_images / world_size))]


class Evaluates(SavesBeforeEvaluation):
    """Mixed into TRL's trainers, before them: `evaluate` scores the graphs that the model writes."""

    model: Any
    model_wrapped: Any
    args: Any
    accelerator: Accelerator
    callback_handler: Any
    processing_class: Any

    def __init__(self, *, held_out: HeldOut | None = None, **options: Any) -> None:
        super().__init__(eval_dataset=held_out.rows if held_out else None, **options)  # type: ignore[call-arg]
        self.held_out = held_out
        self.num_asked = (0, 0)
        """Of an evaluation: images asked about so far, and in all."""

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """The numbers of the held-out images, logged; every process must call it. What is passed is not looked at."""
        assert self.held_out is not None
        began = time.monotonic()
        with _generators_kept(), not_training(self.model):
            answers = self._answers(self.held_out)
        found = {**scores(answers, self.held_out.predicates), "runtime": time.monotonic() - began}
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in found.items()}
        # Not by way of TRL's `log`, which would take what training has gathered since its last line into this one.
        Trainer.log(self, {name: value for name, value in metrics.items() if math.isfinite(value)})
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _answers(self, held_out: HeldOut) -> list[Answer]:
        """One answer for each image, the same list in every process."""
        ends = end_token_ids(self.processing_class, self.model)
        writing = held_out.writing
        writer = Writer(self.processing_class, ends, writing.unsampled, writing.max_new_tokens)
        by_vllm = getattr(self, "use_vllm", False)
        share = share_of(len(held_out), self.accelerator.process_index, self.accelerator.num_processes)
        at_once = SAMPLED_AT_ONCE if by_vllm else writing.at_once
        self._tell(0, len(held_out))
        with _vllm_greedy(self) if by_vllm else self._generating() as model:
            found = [
                answer
                for start in range(0, len(share), at_once)
                for answer in self._answer(held_out, share[start : start + at_once], writer, model)
            ]
        return list({answer.image_id: answer for answer in gather_object(found)}.values())

    def _answer(self, held_out: HeldOut, positions: list[int], writer: Writer, model: Any) -> list[Answer]:
        self.check_stop()
        examples = [held_out.example(position) for position in positions]
        images = [example["image"] for example in examples]
        prompts = writer.prompts([example["prompt"] for example in examples], images)
        written, logprobs = (
            _written_by_vllm(self, prompts, images)
            if model is None
            else _written_greedily(writer, model, Trainer._prepare_inputs(self, prompts))
        )
        self._tell(self.num_asked[0] + len(positions) * self.accelerator.num_processes, len(held_out))
        completions = map(writer.completion, written, logprobs)
        tokenizer = self.processing_class.tokenizer
        return [
            held_out.answer(*one, tokenizer=tokenizer) for one in zip(positions, completions, examples, strict=True)
        ]

    def _tell(self, num_asked: int, num_images: int) -> None:
        """A sign of life for whoever watches. Every process asks about as many; the last ones ask some twice."""
        self.num_asked = (min(num_asked, num_images), num_images)
        self.control = self.callback_handler.on_prediction_step(self.args, self.state, self.control)

    @contextmanager
    def _generating(self) -> Iterator[Any]:
        """The model as `generate` can use it."""
        gather = getattr(self.args, "ds3_gather_for_generation", True)
        checkpointing = self.args.gradient_checkpointing_kwargs
        with (
            unwrap_model_for_generation(
                self.model_wrapped,
                self.accelerator,
                gather_deepspeed3_params=gather,
                gradient_checkpointing_kwargs=checkpointing,
            ) as model,
            torch.no_grad(),
            self.accelerator.autocast(),
        ):
            yield model


@contextmanager
def _vllm_greedy(trainer: Any) -> Iterator[None]:
    """The run's vLLM as a greedy writer; the next rollouts synchronise it anew, as they would without an evaluation."""
    generation, loaded = trainer.vllm_generation, trainer._last_loaded_step
    kept = {name: getattr(generation, name) for name in _GREEDY}
    vars(generation).update(_GREEDY)
    try:
        yield
    finally:
        vars(generation).update(kept)
        trainer._last_loaded_step = loaded


_Written = tuple[list[list[int]], list[list[float]]]
"""Token ids of answers, and the logarithms of their probabilities."""


def _written_greedily(writer: Writer, model: Any, prompts: Any) -> _Written:
    chooser = TokenChooser(Sampling(writer.max_new_tokens), writer.unsampled, ())
    return writer.generate(model, prompts, chooser), chooser.token_logprobs()


def _written_by_vllm(trainer: Any, prompts: Any, images: Sequence[Any]) -> _Written:
    ids = [row[mask.bool()].tolist() for row, mask in zip(prompts["input_ids"], prompts["attention_mask"], strict=True)]
    of_images = {name: value for name, value in prompts.items() if name not in ("input_ids", "attention_mask")}
    written, logprobs = trainer._generate_single_turn(ids, [[image] for image in images], of_images, 1)
    return [list(tokens) for tokens in written], logprobs


@contextmanager
def _generators_kept() -> Iterator[None]:
    """Random numbers go on afterwards as if none had been drawn."""
    own, numpy_state = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(own)
        np.random.set_state(numpy_state)


_TOLD = ("triplet_recall", "mean_recall", "object_recall", "failure_rate")
"""Of the numbers of an evaluation those that are printed; `metrics.jsonl` has all."""


class TellsEvaluation(TrainerCallback):
    """How far an evaluation is, and one line of its numbers; a run that continues begins with one only if it owes that.

    On a terminal `show` puts how far it is behind the bar; elsewhere a line says that one begins.
    """

    def __init__(self, trainer: Any, console: Console, show: Callable[[str], None], best_by: str | None) -> None:
        self.trainer, self.console, self.show = trainer, console, show
        self.told = dict.fromkeys((*_TOLD, *([best_by] if best_by else [])))

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """What a checkpoint scores is on record, unless the run was ended before."""
        args.eval_on_start = args.eval_on_start and (not state.global_step or owes_evaluation(args, state))

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """How far it is."""
        num_asked, num_images = self.trainer.num_asked
        if self.console.is_terminal:
            self.show(f"evaluating step {state.global_step}: {num_asked} of {num_images}")
        elif not num_asked:
            self.console.print(f"evaluating step {state.global_step} on {num_images} images", highlight=False)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float],
        **_: Any,
    ) -> None:
        """The numbers that say most, a dash where there is nothing to average."""
        self.show("")
        values = {name: metrics[f"eval_{name}"] for name in self.told}
        named = (
            f"{name.replace('_', ' ')} {f'{value:.3f}' if math.isfinite(value) else '–'}"
            for name, value in values.items()
        )
        seconds = f"{metrics['eval_runtime']:.0f} s"
        self.console.print(f"evaluation at step {state.global_step}: {', '.join(named)} ({seconds})", highlight=False)
