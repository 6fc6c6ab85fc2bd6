"""What DeepSpeed is told, and what is refused before anything is loaded."""

from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.config.schema import Precision, SFTRun, Sharding
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.training import sharding as module
from r1sgg_cli.training.processes import joined
from r1sgg_cli.training.sharding import deepspeed_config, sharding_options
from tests.training.torchrun import run_of


def sft_run(sharding: Sharding, *overrides: str, **options: Any) -> SFTRun:
    return run_of(SFTRun, Path("m"), Path("d"), Path("out"), *overrides, sharding=sharding, **options)


CPU = {"device": "cpu", "pin_memory": True}


@pytest.mark.parametrize(
    ("sharding", "expected"),
    [
        ("zero2", {"stage": 2}),
        ("zero2-offload", {"stage": 2, "offload_optimizer": CPU}),
        ("zero3", {"stage": 3, "stage3_gather_16bit_weights_on_model_save": True}),
        (
            "zero3-offload",
            {
                "stage": 3,
                "stage3_gather_16bit_weights_on_model_save": True,
                "offload_optimizer": CPU,
                "offload_param": CPU,
            },
        ),
    ],
)
def test_each_zero_stage_is_asked_for(sharding: Sharding, expected: dict[str, Any]) -> None:
    told = deepspeed_config(sft_run(sharding))["zero_optimization"]
    assert {
        key: value for key, value in told.items() if key not in ("overlap_comm", "contiguous_gradients")
    } == expected


@pytest.mark.parametrize(("precision", "told"), [("bf16", {"enabled": True}), ("float32", None)])
def test_deepspeed_is_told_of_bf16_which_it_does_not_take_from_the_trainer(precision: Precision, told: Any) -> None:
    assert deepspeed_config(sft_run("zero3", precision=precision)).get("bf16") == told


def test_weights_that_are_not_cut_need_no_option() -> None:
    assert sharding_options(sft_run("ddp")) == {}


@pytest.mark.parametrize("sharding", ["zero2", "fsdp2"])
def test_muon_is_refused_where_its_matrices_are_cut(sharding: Sharding) -> None:
    with pytest.raises(ConfigError, match="`optimizer: muon` needs whole matrices"):
        sharding_options(sft_run(sharding, "optimizer=muon"))


def test_deepspeed_that_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs DeepSpeed; `uv sync --extra deepspeed` installs it"):
        sharding_options(sft_run("zero2"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"world_size": 2}, "the run is of 2 processes and 1 was started"),
        ({"world_size": 1, "sharding": "zero2"}, "`sharding: zero2` needs torchrun, be it for one process"),
    ],
)
def test_a_run_of_several_processes_does_not_train_alone(options: dict[str, Any], message: str) -> None:
    run = sft_run(**{"sharding": "ddp", **options})
    with pytest.raises(ConfigError, match=message), joined(run):
        pass
