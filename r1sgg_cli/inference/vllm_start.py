"""Starting vLLM for `infer`: quietly, and with less where memory does not suffice for what was asked."""

import gc
import importlib
import os
from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from rich.markup import escape

from r1sgg_cli.errors import ConfigError
from r1sgg_cli.inference.engine import Engine
from r1sgg_cli.models.engine_options import REFUSALS, why_refused

GPU_AT_ONCE, CPU_AT_ONCE = 128, 16
"""Texts that are written at once when `--batch-size` is not given: keys and values of 128 texts of 1,000 tokens take
4 GiB of a 2B model, 7 of a 7B one, and vLLM makes those wait for which it has no memory left."""

_ENVIRONMENT = {"VLLM_LOGGING_LEVEL": "ERROR"}  # else 200 lines stand above the progress bar
_CPU_MEMORY = {"VLLM_CPU_KVCACHE_SPACE": "4"}  # GiB; else nearly all of the machine's, which others have a part of
_ONE_PROCESS = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}  # on a CPU, where a second one only costs
_IN_ITS_OWN_PROCESS = "Engine core initialization failed"
"""How the error begins that stands for any in the engine's process, which has said its own."""

Make = Callable[[int, int], Engine]
"""An engine by its room in tokens, and the texts that it writes at once."""


def engine_environment() -> dict[str, str]:
    """What vLLM is told about the memory of this machine, in variables of its own."""
    return {} if torch.cuda.is_available() else _CPU_MEMORY


def vllm_engine_class() -> Any:
    """`VllmEngine`, whose module can be imported only where vLLM is installed, and after its environment is set.

    What the user has set stays.
    """
    for name, value in (
        _ENVIRONMENT | engine_environment() | ({} if torch.cuda.is_available() else _ONE_PROCESS)
    ).items():
        os.environ.setdefault(name, value)
    return importlib.import_module("r1sgg_cli.inference.vllm_engine").VllmEngine


def usual_at_once() -> int:
    """Texts that this machine writes at once when nothing is said."""
    return GPU_AT_ONCE if torch.cuda.is_available() else CPU_AT_ONCE


def start(make: Make, room: int, least_room: int, at_once: int, console: Console) -> Engine:
    """The engine that `make` gives; where memory does not suffice with a quarter of the texts and `least_room`, said.

    Raises `ConfigError` where that does not do either, and for settings that vLLM refuses.
    """
    engine, said = _tried(make, room, at_once)
    if engine is not None:
        return engine
    if "memory" not in said.lower():
        raise ConfigError(f"vLLM does not start: {said}; use `--engine transformers`")
    less = max(1, at_once // 4)
    console.print(
        f"[yellow]vLLM does not start[/]: {escape(said)}; once more, with {less} texts at once instead of {at_once} "
        f"and room for {least_room} tokens instead of {room}"
    )
    gc.collect()  # what the first try held
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    engine, said = _tried(make, least_room, less)
    if engine is None:
        raise ConfigError(
            f"vLLM does not start, with {less} texts at once and room for {least_room} tokens: {said}; end what else "
            "uses the GPU, give a smaller `--max-new-tokens` or a smaller model, or use `--engine transformers`"
        )
    return engine


def _tried(make: Make, room: int, at_once: int) -> tuple[Engine | None, str]:
    """The engine, or None and why."""
    try:
        return make(room, at_once), ""
    except (*REFUSALS, ImportError) as error:
        return None, why_refused(error)
    except RuntimeError as error:
        if not str(error).startswith(_IN_ITS_OWN_PROCESS):
            raise
        return None, "its process ended, for want of memory or as it says above"
