"""FP8: which layers multiply in 8 bits, that they teach what bf16 teaches, and what is refused. A CPU emulates it."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText

from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.training import float8 as module
from r1sgg_cli.training.float8 import compute_in_float8, computes_in_float8
from r1sgg_cli.training.sft import train_sft
from tests.training.test_lora import ADAPTER, TRAINABLE
from tests.training.torchrun import R1SGG_WITH_FSDP, logged, run_of, torchrun

NEEDS_TORCHAO = pytest.mark.skipif(find_spec("torchao") is None, reason="needs `uv sync --extra fp8`")
LEARNING = ("learning_rate=0.002",)


@NEEDS_TORCHAO
@pytest.mark.parametrize("model_type", TRAINABLE)
def test_the_language_models_linear_layers_multiply_in_eight_bits_and_no_other_does(
    model_type: str, tiny_checkpoint: Callable[[str], Path]
) -> None:
    model = AutoModelForImageTextToText.from_pretrained(tiny_checkpoint(model_type))
    before = model.state_dict()
    linear = {name for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear)}
    assert not computes_in_float8(model)
    compute_in_float8(model)
    assert computes_in_float8(model)
    eight_bits = {name for name, layer in model.named_modules() if type(layer).__name__ == "Float8Linear"}
    assert eight_bits == {name for name in linear if name.startswith("model.language_model.")}
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


@NEEDS_TORCHAO
@pytest.mark.slow
def test_it_learns_as_bf16_does_and_a_stopped_run_goes_on(
    tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path: Path
) -> None:
    model, stop_file = tiny_checkpoint("qwen2_vl"), tmp_path / "stop"
    options: dict[str, Any] = {"world_size": 1}
    bf16 = run_of(SFTRun, model, ten_scenes, tmp_path / "bf16", *LEARNING, precision="bf16", **options)
    whole = run_of(SFTRun, model, ten_scenes, tmp_path / "whole", *LEARNING, precision="fp8", **options)
    options["stop_file"] = stop_file
    stopped = run_of(SFTRun, model, ten_scenes, tmp_path / "stopped", *LEARNING, precision="fp8", **options)
    train_sft(bf16)
    train_sft(whole)
    stop_file.touch()
    train_sft(stopped)
    stop_file.unlink()
    train_sft(stopped)
    losses, in_bf16 = ([loss for _, loss in logged(run.out, "loss")] for run in (whole, bf16))
    assert losses[-1] < losses[0] - 0.5
    assert losses == pytest.approx(in_bf16, rel=0.05)
    assert losses != in_bf16
    for row, other in zip(*(logged(run.out, "loss", "grad_norm") for run in (stopped, whole)), strict=True):
        assert row == pytest.approx(other, abs=1e-6)
    assert AutoModelForImageTextToText.from_pretrained(whole.out, dtype="auto").dtype == torch.float32


@NEEDS_TORCHAO
@pytest.mark.slow
def test_shards_of_fsdp_learn_what_one_process_does(
    tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path: Path
) -> None:
    model = tiny_checkpoint("qwen2_vl")
    alone = run_of(SFTRun, model, ten_scenes, tmp_path / "alone", *LEARNING, precision="fp8", world_size=1)
    train_sft(alone)
    cut = run_of(SFTRun, model, ten_scenes, tmp_path / "cut", *LEARNING, precision="fp8", sharding="fsdp2")
    code, stderr = torchrun(cut, module=R1SGG_WITH_FSDP)
    assert code == 0, stderr
    for row, other in zip(*(logged(out, "loss") for out in (cut.out, alone.out)), strict=True):
        assert row == pytest.approx(other, rel=0.02)


@pytest.mark.parametrize(
    ("kind", "overrides", "options", "message"),
    [
        pytest.param(GRPORun, (), {}, "is for `sft`: in GRPO .*use `--set preset.precision=bf16`", id="GRPO"),
        pytest.param(SFTRun, ADAPTER, {}, "for training all weights, not for adapters", id="LoRA"),
        pytest.param(
            *(SFTRun, (), {"sharding": "zero3"}),
            "`sharding: zero3`; use `--set preset.sharding=fsdp2`",
            id="ZeRO-3",
        ),
    ],
)
def test_what_eight_bits_are_not_for_is_refused(
    kind: Any, overrides: tuple[str, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run_of(kind, Path("m"), Path("d"), Path("out"), *overrides, precision="fp8", **options)


def test_torchao_that_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs torchao; `uv sync --extra fp8` installs it"):
        compute_in_float8(torch.nn.Linear(2, 2))
