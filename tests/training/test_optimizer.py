"""Muon and AdamW as one optimizer."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText

from r1sgg_cli.config.schema import SFTRecipe
from r1sgg_cli.training.optimizer import (
    _IN_BF16,
    MuonWithAdamW,
    build_muon_with_adamw,
    optimizer_class_and_options,
    orthogonalised,
)


def build(model: torch.nn.Module) -> MuonWithAdamW:
    return build_muon_with_adamw(model, muon_learning_rate=1e-2, learning_rate=1e-3, adam_beta2=0.98, weight_decay=0.0)


def small_model(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Embedding(5, 4), torch.nn.Linear(4, 4), torch.nn.Linear(4, 4), torch.nn.LayerNorm(4)
    )


def step(model: torch.nn.Module, optimizer: MuonWithAdamW) -> None:
    optimizer.zero_grad()
    model(torch.tensor([0, 1, 2])).square().sum().backward()
    optimizer.step()


def test_every_trainable_parameter_is_in_one_part_and_embeddings_are_adamws(
    tiny_checkpoint: Callable[[str], Path],
) -> None:
    model = AutoModelForImageTextToText.from_pretrained(tiny_checkpoint("qwen2_vl"))
    muon, adamw = build(model).parts
    groups = [{id(p) for group in part.param_groups for p in group["params"]} for part in (muon, adamw)]
    assert groups[0] | groups[1] == {id(p) for p in model.parameters()}
    assert not groups[0] & groups[1]
    assert id(model.get_input_embeddings().weight) in groups[1]
    assert len(groups[0]) > 20


def test_frozen_parameters_are_left_out() -> None:
    model = small_model()
    model[1].requires_grad_(False)
    trained = [p for group in build(model).param_groups for p in group["params"]]
    assert all(p.requires_grad for p in trained)


def test_a_schedule_reaches_both_parts() -> None:
    optimizer = build(small_model())
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 0.5)
    assert [group["lr"] for part in optimizer.parts for group in part.param_groups] == [5e-3, 5e-4]
    assert schedule.get_last_lr() == [5e-3, 5e-4]


def test_training_goes_on_exactly_from_a_saved_state(tmp_path: Path) -> None:
    model = small_model()
    optimizer = build(model)
    step(model, optimizer)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "state.pt")
    step(model, optimizer)
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    again = small_model(seed=1)
    again.load_state_dict(saved["model"])
    restored = build(again)
    restored.load_state_dict(saved["optimizer"])
    step(again, restored)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name


@pytest.mark.parametrize(("optimizer", "is_ours"), [("adamw", False), ("muon", True)])
def test_the_recipe_chooses(optimizer: str, is_ours: bool) -> None:
    chosen = optimizer_class_and_options(SFTRecipe.model_validate({"optimizer": optimizer}))
    assert (chosen is not None) is is_ours


@pytest.mark.parametrize("shape", [(24, 40), (40, 24), (1, 7)], ids=["wide", "tall", "a row"])
def test_on_a_cpu_matrices_are_orthogonalised_as_torch_does_but_in_float32(shape: tuple[int, int]) -> None:
    gradient = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    given = ((3.4445, -4.7750, 2.0315), 5, 1e-7)  # torch's defaults
    update = orthogonalised(gradient, *given)
    assert update.dtype == torch.float32
    assert torch.allclose(update, _IN_BF16(gradient, *given).float(), atol=0.02)
    assert (torch.linalg.svdvals(update) - 1).abs().max() < 0.5  # for which the coefficients were made


def test_a_step_of_muon_takes_the_update_in_float32() -> None:
    model = small_model()
    optimizer = build(model)
    step(model, optimizer)
    assert isinstance(optimizer.parts[0], torch.optim.Muon)
    assert torch.optim._muon._zeropower_via_newtonschulz is orthogonalised
