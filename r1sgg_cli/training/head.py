"""The LM head of fine-tuning: only what an answer's tokens are predicted from goes through it.

TRL 1.16's fused head does so on a GPU. Elsewhere it scores every position of a batch, prompts, images and padding
included (`compact` in `trl.trainer.utils.add_fused_lm_head`): with answers of a quarter of a batch, four times as much.
There the backbone hands over the answers' positions alone, as one row, and TRL scores them as labels that are shifted
already, which it does without looking further. Loss, gradients and metrics are sums over the same tokens.
"""

from collections.abc import Mapping
from typing import Any

import torch
from peft import PeftModel

IGNORED = -100
"""The label of a token on which no loss falls, in torch and everything above it."""


class AnswersAlone:
    """A model whose backbone, between `scored` and the forward pass that follows, gives the answers' positions only."""

    def __init__(self, model: Any) -> None:
        """`model` is one with TRL's fused head, with or without adapters, before it is wrapped by anything else."""
        self._positions: torch.Tensor | None = None
        own = model.get_base_model() if isinstance(model, PeftModel) else model
        own.base_model.register_forward_hook(self._select)

    def scored(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """What the model takes in place of a batch with `labels`."""
        given = dict(inputs)
        following = given.pop("labels")[:, 1:]
        positions = following != IGNORED
        if not positions.any():  # one that is ignored, so that the loss, which is 0, still has a gradient
            positions = torch.zeros_like(positions)
            positions[0, 0] = True
        self._positions = positions
        return {**given, "shift_labels": following[positions][None]}

    def _select(self, backbone: Any, arguments: Any, outputs: Any) -> None:
        if self._positions is not None:
            outputs.last_hidden_state = outputs.last_hidden_state[:, :-1][self._positions][None]
            self._positions = None
