"""How fast a run is: tokens per second, how much of the cards' peak that takes, and their memory.

    tokens_per_s_per_gpu    tokens of the sequences that a step trains on (prompt, image and answer; no padding), by the
                            whole step's wall time and all cards, those of rollout servers included
    mfu                     the operations that the forward and backward pass over these tokens needs at least
                            (`launch.flops`), as a share of what all cards could do in the step's wall time
    mfu_update              the same in the time of the update alone: what verl and EasyR1 call the MFU of the actor
    memory/peak_gib         the most that this process held of its card at once since the log before

Counted in the first process, whose share of a step has as many sequences as any other's. On a CPU there is only
`tokens_per_s_per_process`: a peak that means something is stated for cards alone.
"""

import torch

from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.launch.architectures import parse_shape
from r1sgg_cli.launch.config_json import load_config
from r1sgg_cli.launch.flops import StepTokens, step_flops
from r1sgg_cli.launch.shape import ModelShape
from r1sgg_cli.training.phases import UPDATE

GIB = 1024**3


def count_tokens(ids: torch.Tensor, mask: torch.Tensor, is_answer: torch.Tensor, image_token_id: int) -> StepTokens:
    """The tokens of padded sequences, shape (B, T), which `mask` says are there."""
    lengths = mask.sum(dim=1)
    counts = (lengths, (ids == image_token_id) & mask.bool(), is_answer, lengths.square())
    return StepTokens(*torch.stack([count.sum() for count in counts]).tolist())


class Throughput:
    """What a run's logs say of its speed."""

    def __init__(self, run: SFTRun | GRPORun, device: torch.device) -> None:
        self.run = run
        self.is_cuda = device.type == "cuda"
        self.tokens: StepTokens | None = None
        """Of the last step; where rollouts are used again, those of the step that sampled them."""

    def measured(self, seconds_of: dict[str, float]) -> dict[str, float]:
        """The figures of a step that took so long in each phase."""
        if self.tokens is None:
            return {}
        seconds = sum(seconds_of.values())
        if not self.is_cuda:
            return {"tokens_per_s_per_process": self.tokens.total / seconds}
        cards = self.run.cards
        trained = self.run.world_size / (cards.number if cards else self.run.world_size)  # others serve rollouts
        figures = {
            "tokens_per_s_per_gpu": self.tokens.total * trained / seconds,
            "memory/peak_gib": torch.cuda.max_memory_allocated() / GIB,
        }
        torch.cuda.reset_peak_memory_stats()
        if cards is not None and cards.bf16_tflops is not None:
            at_peak = self._flops(self.tokens) / (cards.bf16_tflops * 1e12)
            figures["mfu"] = at_peak * trained / seconds
            figures["mfu_update"] = at_peak / seconds_of[UPDATE]
        return figures

    def _flops(self, tokens: StepTokens) -> float:
        recipe = self.run.recipe
        trains_vision = not recipe.freeze_vision
        return step_flops(self._shape(), tokens, trains_weights=recipe.lora is None, trains_vision=trains_vision)

    def _shape(self) -> ModelShape:
        loaded = load_config(self.run.model, fetch=False)
        assert loaded is not None, "the model is loaded"
        return parse_shape(loaded[0], self.run.model)
