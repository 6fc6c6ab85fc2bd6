"""Muon for the hidden matrices, AdamW for everything else, as one optimizer that the Trainer can save and resume."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import _muon

from r1sgg_cli.config.schema import SFTRecipe

_IN_BF16 = _muon._zeropower_via_newtonschulz


def orthogonalised(
    gradient: Tensor, coefficients: tuple[float, float, float], num_iterations: int, epsilon: float
) -> Tensor:
    """Muon's update of a matrix by Newton–Schulz iterations (Jordan et al., 2024), on a CPU in float32.

    torch has them in bf16, which is for GPUs: on a CPU that was two thirds of a small model's step.
    """
    if gradient.device.type != "cpu":
        return _IN_BF16(gradient, coefficients, num_iterations, epsilon)
    first, second, third = coefficients
    is_tall = gradient.shape[0] > gradient.shape[1]
    matrix = gradient.float().T if is_tall else gradient.float()
    matrix = matrix / matrix.norm().clamp(min=epsilon)
    for _ in range(num_iterations):
        gram = matrix @ matrix.T
        matrix = torch.addmm(matrix, torch.addmm(gram, gram, gram, beta=second, alpha=third), matrix, beta=first)
    return matrix.T if is_tall else matrix


class MuonWithAdamW(torch.optim.Optimizer):
    """Two optimizers behind one face; `param_groups` are theirs, so that one schedule drives both."""

    def __init__(
        self, hidden: list[nn.Parameter], rest: list[nn.Parameter], muon: dict[str, Any], adamw: dict[str, Any]
    ) -> None:
        self.parts: tuple[torch.optim.Optimizer, ...] = ()
        super().__init__([*hidden, *rest], {})
        _muon._zeropower_via_newtonschulz = orthogonalised  # torch's Muon takes no such function
        # "match_rms_adamw" scales Muon's orthogonal updates to AdamW's size (Moonlight, arXiv 2502.16982).
        self.parts = (
            torch.optim.Muon(hidden, adjust_lr_fn="match_rms_adamw", **muon),
            torch.optim.AdamW(rest, **adamw),
        )

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of both parts, live: a part replaces its own when it loads a state."""
        return [group for part in self.parts for group in part.param_groups]

    @param_groups.setter
    def param_groups(self, groups: list[dict[str, Any]]) -> None:
        """Ignored: the parts own their groups; the base class assigns an empty list here."""

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step of both parts."""
        loss = closure() if closure else None
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The state of both parts."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)


def build_muon_with_adamw(
    model: nn.Module, *, muon_learning_rate: float, learning_rate: float, adam_beta2: float, weight_decay: float
) -> MuonWithAdamW:
    """The optimizer over a model's trainable parameters; embeddings, heads, norms and biases go to AdamW."""
    embedding_weights = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    hidden: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_hidden = parameter.ndim == 2 and id(parameter) not in embedding_weights and "lm_head" not in name
            (hidden if is_hidden else rest).append(parameter)
    return MuonWithAdamW(
        hidden,
        rest,
        muon={"lr": muon_learning_rate, "weight_decay": weight_decay},
        adamw={"lr": learning_rate, "betas": (0.9, adam_beta2), "weight_decay": weight_decay},
    )


def optimizer_class_and_options(recipe: SFTRecipe) -> tuple[Any, dict[str, Any]] | None:
    """What the Trainer takes as `optimizer_cls_and_kwargs`; None leaves the optimizer to it (AdamW)."""
    if recipe.optimizer == "adamw":
        return None
    options = {
        "muon_learning_rate": recipe.muon_learning_rate,
        "learning_rate": recipe.learning_rate,
        "adam_beta2": recipe.adam_beta2,
        "weight_decay": recipe.weight_decay,
    }
    return _muon_factory, options


def _muon_factory() -> Callable[..., MuonWithAdamW]:
    """The Trainer calls a factory without arguments, then what it returns with the model."""
    return build_muon_with_adamw
