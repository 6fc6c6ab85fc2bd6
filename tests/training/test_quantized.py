"""QLoRA: which weights are in 4 bits, that they compute and teach as their values say, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.training import quantized as module
from r1sgg_cli.training.quantized import four_bits
from r1sgg_cli.training.sft import train_sft
from r1sgg_cli.training.worker import load_model
from tests.training.test_lora import IN_FOUR_BITS, NEEDS_BITSANDBYTES, TRAINABLE, assert_merged
from tests.training.torchrun import logged, run_of, torchrun

pytestmark = NEEDS_BITSANDBYTES


def loaded(model: Path, **options: Any) -> Any:
    """The model as a worker of a QLoRA run has it."""
    run = run_of(SFTRun, model, Path("d"), Path("out"), *IN_FOUR_BITS, world_size=1, **options)
    return load_model(run)[2]


def layers_in_four_bits(model: Any) -> dict[str, Any]:
    return {name: layer for name, layer in model.named_modules() if type(layer).__name__ == "Linear4bit"}


def values_of(layer: Any) -> torch.Tensor:
    """The matrix that a layer in 4 bits stands for: code times scale of its block, scales times scale of theirs."""
    state = layer.weight.quant_state
    outer = state.state2
    scales = outer.code[state.absmax.long()] * outer.absmax.repeat_interleave(256)[: len(state.absmax)] + state.offset
    codes = torch.stack([layer.weight >> 4, layer.weight & 15], -1).flatten()
    return (state.code[codes.long()] * scales.repeat_interleave(64)).reshape(state.shape)


@pytest.mark.parametrize("model_type", TRAINABLE)
def test_the_language_models_linear_layers_are_in_four_bits_and_nothing_else_is(
    model_type: str, tiny_checkpoint: Callable[[str], Path]
) -> None:
    checkpoint = tiny_checkpoint(model_type)
    original = AutoModelForImageTextToText.from_pretrained(checkpoint)
    model = loaded(checkpoint)
    layers = layers_in_four_bits(model)
    linear = {name for name, layer in original.named_modules() if isinstance(layer, torch.nn.Linear)}
    assert layers.keys() == {name for name in linear if name.startswith("model.language_model.")} != set()
    state = model.state_dict()
    for name, weight in original.state_dict().items():
        if name.removesuffix(".weight") in layers:
            values = values_of(layers[name.removesuffix(".weight")])
            assert (values - weight).abs().mean() < 0.1 * weight.abs().mean()
        else:
            assert torch.equal(state[name], weight), name


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bf16", torch.bfloat16)])
def test_a_layer_computes_with_its_values_also_after_it_was_evaluated(
    precision: str, dtype: torch.dtype, tiny_checkpoint: Callable[[str], Path]
) -> None:
    """bitsandbytes repacks weights in an evaluation on a CPU with AVX512-BF16, and gradients end there."""
    model = loaded(tiny_checkpoint("qwen2_vl"), precision=precision)
    layer = model.model.language_model.layers[0].mlp.gate_proj
    values = values_of(layer).to(dtype)
    inputs = torch.randn(8, layer.in_features, dtype=dtype, requires_grad=True)
    with torch.no_grad():
        layer.eval()(inputs.detach())
    layer.train()(inputs).sum().backward()
    assert torch.allclose(layer(inputs), inputs @ values.T, atol=1e-6 if dtype == torch.float32 else 1e-2)
    assert inputs.grad is not None
    assert torch.allclose(inputs.grad, values.sum(0).expand(8, -1), atol=1e-5 if dtype == torch.float32 else 2e-2)


@pytest.mark.slow
def test_two_processes_learn_what_one_does_also_when_they_are_stopped_in_between(
    tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path: Path
) -> None:
    model, stop_file = tiny_checkpoint("qwen2_vl"), tmp_path / "stop"
    options = (*IN_FOUR_BITS, "lora.dropout=0")  # each process would draw its own
    alone = run_of(SFTRun, model, ten_scenes, tmp_path / "alone", *options, world_size=1)
    train_sft(alone)
    run = run_of(SFTRun, model, ten_scenes, tmp_path / "run", *options, micro_batch=1, stop_file=stop_file)
    stop_file.touch()
    code, stderr = torchrun(run)
    assert code == 0, stderr
    stop_file.unlink()
    code, stderr = torchrun(run)
    assert code == 0, stderr
    for row, other in zip(*(logged(out, "loss", "grad_norm") for out in (run.out, alone.out)), strict=True):
        assert row == pytest.approx(other, rel=1e-4)
    adapters = load_file(run.out / "adapter" / "adapter_model.safetensors")
    assert {weight.dtype for weight in adapters.values()} == {torch.float32}  # TRL would train them in bf16
    assert_merged(run.out, model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"sharding": "zero3"}, r"`sharding: zero3` would cut .*`--set preset.sharding=ddp`", id="ZeRO-3"),
        pytest.param({"sharding": "fsdp2"}, "`sharding: fsdp2` would cut or convert", id="FSDP2"),
        pytest.param(
            {"rollouts": {"engine": "colocated"}},
            r"`lora.quantize` does not go with vLLM: .*`--set preset.rollouts=transformers`",
            id="vLLM",
        ),
    ],
)
def test_what_four_bits_would_not_survive_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run_of(GRPORun, Path("m"), Path("d"), Path("out"), *IN_FOUR_BITS, **options)


def test_bitsandbytes_that_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs bitsandbytes; `uv sync --extra qlora` installs it"):
        four_bits(torch.float32)
