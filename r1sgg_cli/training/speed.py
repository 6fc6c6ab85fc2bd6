"""What makes a trainer tell its speed: the phases of its steps are timed, and the tokens counted that it trains on."""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import Any

import torch
from transformers import TrainerCallback

from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.launch.flops import StepTokens
from r1sgg_cli.training.head import IGNORED
from r1sgg_cli.training.phases import Phases, UpdatePhase
from r1sgg_cli.training.throughput import Throughput, count_rollout_tokens, count_tokens


class TellsSpeed:
    """Mixed into TRL's trainers, before everything else: each log of a step says how long it took, and for what."""

    add_callback: Callable[[TrainerCallback], None]
    args: Any
    processing_class: Any

    def __init__(self, *, run: SFTRun | GRPORun, **options: Any) -> None:
        self.phases = Phases()
        super().__init__(**options)
        self.throughput = Throughput(run, self.args.device)
        self.add_callback(UpdatePhase(self.phases))
        self.add_callback(self.throughput)

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """A step's micro-batches."""
        with self.phases.during("data"):
            batches, num_items = super().get_batch_samples(*args, **kwargs)  # type: ignore[misc]
            self.throughput.tokens = self._tokens_of(batches)
        return batches, num_items

    def _tokens_of(self, batches: Sequence[Any]) -> StepTokens | None:
        """Those of a step's sequences, where its batches hold them already."""
        image = self.processing_class.image_token_id
        counted = [count_tokens(b["input_ids"], b["attention_mask"], b["labels"] != IGNORED, image) for b in batches]
        return reduce(add, counted)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """An evaluation between two steps."""
        with self.phases.during("evaluation"):
            return super().evaluate(*args, **kwargs)  # type: ignore[misc]

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        with self.phases.during("checkpoint"):
            super()._save_checkpoint(*args, **kwargs)  # type: ignore[misc]

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Only the logs of training steps have a `loss`; evaluations and the closing totals name theirs otherwise."""
        if "loss" in logs:
            seconds_of = self.phases.per_update()
            logs.update({f"time/{name}": seconds for name, seconds in seconds_of.items()})
            logs.update(self.throughput.measured(seconds_of))
        super().log(logs, *args, **kwargs)  # type: ignore[misc]


class TellsSpeedOfRollouts(TellsSpeed):
    """The same for GRPO, whose steps sample the sequences that they train on."""

    use_vllm: bool
    vllm_generation: Any

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if self.use_vllm:
            self.vllm_generation.sync_weights = self.phases.timed("sync", self.vllm_generation.sync_weights)

    def _tokens_of(self, batches: Sequence[Any]) -> StepTokens | None:
        return self.throughput.tokens  # of the rollouts, which a step may use again

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        with self.phases.during("data"):
            rollouts = super()._generate_and_score_completions(inputs)  # type: ignore[misc]
            self.throughput.tokens = count_rollout_tokens(rollouts, self.processing_class.image_token_id)
        return rollouts

    def _tokenize_prompts(self, *args: Any, **kwargs: Any) -> Any:
        with self.phases.during("data"):
            return super()._tokenize_prompts(*args, **kwargs)  # type: ignore[misc]

    def _generate(self, *args: Any, **kwargs: Any) -> Any:
        with self.phases.during("sampling"):
            return super()._generate(*args, **kwargs)  # type: ignore[misc]

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Any:
        with self.phases.during("reward"):
            return super()._calculate_rewards(*args, **kwargs)  # type: ignore[misc]

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        """With gradients this is the update's own forward pass."""
        if torch.is_grad_enabled():
            return super()._get_per_token_logps_and_entropies(*args, **kwargs)  # type: ignore[misc]
        with self.phases.during("logprobs"):
            return super()._get_per_token_logps_and_entropies(*args, **kwargs)  # type: ignore[misc]
