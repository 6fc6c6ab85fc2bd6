"""The importance ratio of what vLLM sampled, from the update's own log-probabilities.

vLLM and the trainer differ by rounding in a token's probability, and TRL weighs each token by the ratio of the two. It
runs the model a second time for the trainer's, though the policy that is updated is still the one that sampled: a
quarter of a step's training work, a fifth with gradient checkpointing. Here the update gives them itself.
"""

from typing import Any, Literal

import torch
from torch import Tensor

from r1sgg_cli.training.standing_in import standing_in

Mode = Literal["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"]
"""TRL's `vllm_importance_sampling_mode`: a ratio for each token or each answer; one outside the bounds is moved to
them, or becomes 0."""


def importance_ratio(difference: Tensor, mode: Mode, least: float | None, most: float | None) -> Tensor:
    """Ratios of the policy's probabilities to the sampler's, (answers, tokens), or (answers, 1) for whole answers.

    `difference` (answers, tokens) is that of the log-probabilities, 0 behind an answer's end, NaN where the sampler
    gave none: such a token counts as if both agreed.
    """
    difference = difference.nan_to_num(nan=0.0)
    if mode.startswith("sequence"):
        difference = difference.sum(dim=-1, keepdim=True)
    ratio = difference.exp()
    bounded = ratio.clamp(min=least, max=most)
    return bounded if mode.endswith("truncate") else torch.where(ratio == bounded, ratio, 0.0)


class RatioFromUpdate:
    """Mixed into TRL's trainer, before it."""

    accelerator: Any
    use_vllm: bool
    vllm_importance_sampling_correction: bool
    vllm_importance_sampling_mode: Mode
    vllm_importance_sampling_clip_min: float | None
    vllm_importance_sampling_clip_max: float | None
    num_iterations: int
    _metrics: Any
    _learned_from: dict[str, Any] | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._ratios: list[tuple[Tensor, Tensor]] = []

    @property
    def takes_ratio_from_update(self) -> bool:
        """Whether each rollout is for a single update."""
        return self.use_vllm and self.vllm_importance_sampling_correction and self.num_iterations == 1

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        needs_pass = self.vllm_importance_sampling_correction and not self.takes_ratio_from_update
        with standing_in(self, "vllm_importance_sampling_correction", needs_pass):
            return super()._generate_and_score_completions(inputs)  # type: ignore[misc]

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        """TRL's loss; it reads the ratio after it has asked for the log-probabilities, which put it there."""
        with standing_in(self, "_learned_from", inputs if self.takes_ratio_from_update else None):
            return super()._compute_loss(model, inputs)  # type: ignore[misc]

    def _get_per_token_logps_and_entropies(self, *arguments: Any, **options: Any) -> Any:
        scores = super()._get_per_token_logps_and_entropies(*arguments, **options)  # type: ignore[misc]
        if (inputs := self._learned_from) is not None:
            mask = inputs["completion_mask"]
            difference = (scores[0].detach() - inputs["sampling_per_token_logps"]) * mask
            ratio = importance_ratio(
                difference,
                self.vllm_importance_sampling_mode,
                self.vllm_importance_sampling_clip_min,
                self.vllm_importance_sampling_clip_max,
            )
            inputs["importance_sampling_ratio"] = ratio
            self._ratios.append((difference[mask.bool()], ratio[mask.bool()] if ratio.shape == mask.shape else ratio))
            if self.accelerator.sync_gradients:  # the last micro-batch of the step
                self._log_ratios()
        return scores

    def _log_ratios(self) -> None:
        """What TRL logs of the two engines for a step, under its names."""
        differences, ratios = (
            torch.cat([part.flatten() for part in parts]) for parts in zip(*self._ratios, strict=True)
        )
        self._ratios.clear()
        differences = differences[~differences.isnan()].abs()
        if not len(differences):  # no token of this process's answers is learned from
            differences, ratios = differences.new_zeros(1), ratios.new_ones(1)
        local = [differences.mean(), differences.max(), ratios.min(), ratios.mean(), ratios.max()]
        difference, largest, least, ratio, most = self.accelerator.gather(torch.stack(local)[None]).unbind(dim=1)
        log = self._metrics["train"]
        log["sampling/sampling_logp_difference/mean"].append(difference.mean().item())
        log["sampling/sampling_logp_difference/max"].append(largest.max().item())
        log["sampling/importance_sampling_ratio/min"].append(least.min().item())
        log["sampling/importance_sampling_ratio/mean"].append(ratio.mean().item())
        log["sampling/importance_sampling_ratio/max"].append(most.max().item())
