"""How fast a run is: tokens per second, how much of the cards' peak that takes, and their memory.

    tokens_per_s_per_gpu    tokens of the sequences that a step trains on (prompt, image and answer; no padding), by the
                            whole step's wall time and all cards, those of rollout servers included
    mfu                     the operations that the forward and backward pass over these tokens would need, each
                            sequence by itself (`launch.flops`), as a share of what all cards could do in the step's
                            wall time; GRPO, which runs a prompt once for its answers, can do with less
    mfu_update              the same in the time of the update alone: what verl and EasyR1 call the MFU of the actor
    memory/peak_gib         the most that this process held of its card at once since the log before

Counted in the first process, whose share of a step has as many sequences as any other's. On a CPU there is only
`tokens_per_s_per_process`: a peak that means something is stated for cards alone.
"""

from collections.abc import Mapping
from functools import cache, reduce
from operator import add
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.launch.architectures import load_shape
from r1sgg_cli.launch.flops import StepTokens, step_flops
from r1sgg_cli.launch.memory import GIB
from r1sgg_cli.launch.shape import ModelShape
from r1sgg_cli.training.phases import UPDATE


def count_tokens(ids: torch.Tensor, mask: torch.Tensor, is_answer: torch.Tensor, image_token_id: int) -> StepTokens:
    """The tokens of padded sequences, shape (B, T), which `mask` says are there."""
    lengths = mask.sum(dim=1)
    counts = (lengths, (ids == image_token_id) & mask.bool(), is_answer, lengths.square())
    return StepTokens(*torch.stack([count.sum() for count in counts]).tolist())


def count_rollout_tokens(rollouts: Mapping[str, torch.Tensor], image_token_id: int) -> StepTokens:
    """The same of what TRL has sampled for a step."""
    ids = torch.cat([rollouts["prompt_ids"], rollouts["completion_ids"]], dim=1)
    is_answer = torch.cat([torch.zeros_like(rollouts["prompt_mask"]), rollouts["completion_mask"]], dim=1)
    mask = torch.cat([rollouts["prompt_mask"], rollouts["completion_mask"]], dim=1)
    return count_tokens(ids, mask, is_answer, image_token_id)


class Throughput(TrainerCallback):
    """What a run's logs say of its speed: of all steps since the log before."""

    def __init__(self, run: SFTRun | GRPORun, device: torch.device) -> None:
        self.run = run
        self.is_cuda = device.type == "cuda"
        self.tokens: StepTokens | None = None
        """Of the running step; where rollouts are used again, those of the step that sampled them."""
        self._of_steps: list[StepTokens] = []

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Count the step's tokens."""
        if self.tokens is not None:
            self._of_steps.append(self.tokens)

    def measured(self, seconds_of: Mapping[str, float]) -> dict[str, float]:
        """The figures of steps that took so long in each phase, each of them on average."""
        if not self._of_steps:
            return {}
        tokens, num_steps = reduce(add, self._of_steps), len(self._of_steps)
        taken = {name: num_steps * seconds for name, seconds in seconds_of.items()}
        self._of_steps.clear()
        if not self.is_cuda:
            return {"tokens_per_s_per_process": tokens.total / sum(taken.values())}
        peak = torch.cuda.max_memory_allocated() / GIB
        torch.cuda.reset_peak_memory_stats()
        return {**speed_on_cards(self.run, tokens, taken), "memory/peak_gib": peak}


def speed_on_cards(run: SFTRun | GRPORun, tokens: StepTokens, seconds_of: Mapping[str, float]) -> dict[str, float]:
    """Tokens per second, and, where the peak of the run's cards is known, the share of it that they took."""
    seconds = sum(seconds_of.values())
    num_cards = run.cards.number if run.cards else run.world_size
    figures = {"tokens_per_s_per_gpu": tokens.total * run.world_size / num_cards / seconds}
    if run.cards is not None and run.cards.bf16_tflops is not None:
        trains_vision = not run.recipe.freeze_vision
        flops = step_flops(
            _shape(run.model), tokens, trains_weights=run.recipe.lora is None, trains_vision=trains_vision
        )
        at_peak = flops / (run.cards.bf16_tflops * 1e12)
        figures["mfu"] = at_peak * run.world_size / num_cards / seconds
        figures["mfu_update"] = at_peak / seconds_of[UPDATE]
    return figures


@cache
def _shape(model: str) -> ModelShape:
    return load_shape(model)
