"""Starting vLLM with less where memory does not suffice; `training/test_engine_start.py` has what vLLM itself says."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from rich.console import Console

from r1sgg_cli.errors import ConfigError
from r1sgg_cli.inference.vllm_start import start

ENGINE = object()
CACHE = "To serve at least one request, 1.9 GiB KV cache is needed, larger than the available KV cache memory."
ENGINE_PROCESS = "Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}"


def refusing(error: Exception, tries: list[tuple[int, int]], at_most: int) -> Callable[[int, int], Any]:
    """What starts with `at_most` texts at once, and raises with more."""

    def make(room: int, at_once: int) -> Any:
        tries.append((room, at_once))
        if at_once > at_most:
            raise error
        return ENGINE

    return make


@pytest.mark.parametrize(
    "error",
    [ValueError(CACHE), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), RuntimeError(ENGINE_PROCESS)],
    ids=["keys and values", "weights", "in its own process"],
)
def test_what_does_not_fit_is_tried_once_with_less(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    tries: list[tuple[int, int]] = []
    console = Console(stderr=True, soft_wrap=True)
    assert start(refusing(error, tries, at_most=2), 9000, 3000, 8, console) is ENGINE
    assert tries == [(9000, 8), (3000, 2)]
    said = capsys.readouterr().err
    assert "with 2 texts at once instead of 8 and room for 3000 tokens instead of 9000" in said
    with pytest.raises(ConfigError, match=r"^vLLM does not start, with 2 texts .* `--engine transformers`$"):
        start(refusing(error, tries, at_most=1), 9000, 3000, 8, console)


def test_another_refusal_is_one_line_at_once() -> None:
    tries: list[tuple[int, int]] = []
    with pytest.raises(ConfigError, match="vLLM does not start: no such dtype; use `--engine transformers`"):
        start(refusing(ValueError("no such dtype.\nmore"), tries, at_most=1), 9000, 3000, 8, Console())
    assert len(tries) == 1


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(RuntimeError, match="shapes differ"):
        start(refusing(RuntimeError("shapes differ"), [], at_most=1), 9000, 3000, 8, Console())
