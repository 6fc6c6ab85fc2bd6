"""Adapters: on which layers, that they learn and go on, and that the finished model has them in its weights."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from peft import PeftModel, get_peft_model
from transformers import AutoModelForImageTextToText

from r1sgg_cli.config.schema import GRPORun, Lora, SFTRun
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.models.families import FAMILIES
from r1sgg_cli.training.grpo import train_grpo
from r1sgg_cli.training.lora import lora_config
from r1sgg_cli.training.sft import train_sft
from tests.training.token_reward import BY_TOKENS
from tests.training.torchrun import logged, run_of

TRAINABLE = [name for name, family in FAMILIES.items() if family.trainable]
ADAPTER = ("lora={rank: 4, alpha: 8, dropout: 0.05}", "learning_rate=0.02")
IN_FOUR_BITS = (*ADAPTER, "lora.quantize=nf4")
NEEDS_BITSANDBYTES = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs `uv sync --extra qlora`")
ADAPTERS = [pytest.param(ADAPTER, id="LoRA"), pytest.param(IN_FOUR_BITS, id="QLoRA", marks=NEEDS_BITSANDBYTES)]


@pytest.mark.parametrize("model_type", TRAINABLE)
def test_every_linear_layer_of_the_language_model_has_one_and_no_other_has(
    model_type: str, tiny_checkpoint: Callable[[str], Path]
) -> None:
    model = AutoModelForImageTextToText.from_pretrained(tiny_checkpoint(model_type))
    linear = {name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    adapted = get_peft_model(model, lora_config(Lora(), model))
    found = {name.split(".lora_A")[0].removeprefix("base_model.model.") for name, _ in adapted.named_parameters()}
    assert found & linear == {name for name in linear if name.startswith("model.language_model.")} != set()


def test_layers_that_the_recipe_names_are_taken_as_peft_takes_them(tiny_checkpoint: Callable[[str], Path]) -> None:
    model = AutoModelForImageTextToText.from_pretrained(tiny_checkpoint("qwen2_vl"))
    config = lora_config(Lora(target_modules=["q_proj", "v_proj"]), model)
    assert config is not None
    assert config.target_modules == {"q_proj", "v_proj"}


def test_layers_that_are_not_there_are_one_line(tiny_checkpoint: Callable[[str], Path]) -> None:
    model = AutoModelForImageTextToText.from_pretrained(tiny_checkpoint("qwen2_vl"))
    with pytest.raises(ConfigError, match=r"`lora.target_modules` \['query'\] names no layer of this model"):
        lora_config(Lora(target_modules=["query"]), model)


def assert_merged(out: Path, model: Path) -> None:
    """The finished model answers as the model it was trained on does with the adapter beside."""
    base = AutoModelForImageTextToText.from_pretrained(model)
    merged = PeftModel.from_pretrained(base, out / "adapter").merge_and_unload().state_dict()
    finished = AutoModelForImageTextToText.from_pretrained(out).state_dict()
    before = AutoModelForImageTextToText.from_pretrained(model).state_dict()
    assert all(torch.equal(finished[name], merged[name]) for name in before)
    moved = {name for name in before if not torch.equal(finished[name], before[name])}
    assert moved
    assert all(name.startswith("model.language_model.") for name in moved)


@pytest.mark.slow
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_adapters_learn_and_a_stopped_run_goes_on(
    adapter: tuple[str, ...], tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path: Path
) -> None:
    stop_file, model = tmp_path / "stop", tiny_checkpoint("qwen2_vl")
    whole = run_of(SFTRun, model, ten_scenes, tmp_path / "whole", *adapter, world_size=1)
    stopped = run_of(SFTRun, model, ten_scenes, tmp_path / "stopped", *adapter, world_size=1, stop_file=stop_file)
    train_sft(whole)
    losses = [loss for _, loss in logged(whole.out, "loss")]
    assert losses[-1] < losses[0] - 0.5
    assert_merged(whole.out, model)
    (usual,) = {path.stat().st_mode for path in whole.out.rglob("*.json")}
    assert {path.stat().st_mode for path in whole.out.rglob("*.safetensors")} == {usual}, "colleagues may read it"
    stop_file.touch()
    train_sft(stopped)
    stop_file.unlink()
    train_sft(stopped)
    for row, other in zip(*(logged(run.out, "loss", "grad_norm") for run in (stopped, whole)), strict=True):
        assert row == pytest.approx(other, abs=1e-6)
    finished = (stopped.out / "model.safetensors").read_bytes()
    for name in ("r1sgg.json", "model.safetensors", "adapter/adapter_model.safetensors"):
        (stopped.out / name).unlink()  # as when the disk was full at the very end
    train_sft(stopped)
    assert (stopped.out / "model.safetensors").read_bytes() == finished
    assert_merged(stopped.out, model)


@pytest.mark.slow
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_adapters_are_moved_by_rewards(
    adapter: tuple[str, ...], tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path: Path
) -> None:
    model = tiny_checkpoint("qwen2_vl")
    options = (*adapter, BY_TOKENS, "max_steps=2")
    run = run_of(GRPORun, model, ten_scenes, tmp_path, *options, world_size=1)
    train_grpo(run)
    assert_merged(tmp_path, model)
