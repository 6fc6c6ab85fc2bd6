"""What lets vLLM's CPU engine stand in for a GPU's in tests: it then takes new weights after it has started."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState, PartialState
from torch.nn.functional import linear

ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine in this process: its weights can be looked at
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "MASTER_ADDR": "127.0.0.1",
}
LEFT_BEHIND = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT")
"""What TRL sets for vLLM; the next trainer of this process would take itself for one of several."""

FUSED = {"q_proj": "qkv_proj", "k_proj": "qkv_proj", "v_proj": "qkv_proj", "gate_proj": "gate_up_proj"}
FUSED |= {"up_proj": "gate_up_proj"}


def _keep_parameters(layer: Any, remove_weight: bool) -> None:
    """vLLM's own packs a layer's weight for the CPU and leaves an empty parameter, which no update can fill."""
    layer.cpu_linear = lambda inputs, weight, bias: linear(inputs, weight, bias)


@contextmanager
def colocated_on_cpu() -> Iterator[pytest.MonkeyPatch]:
    """Make `rollouts: colocated` possible on a CPU, without a compiler, and leave nothing behind."""
    from trl.generation import vllm_generation
    from vllm.model_executor.layers import utils

    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.setattr(utils, "dispatch_cpu_unquantized_gemm", _keep_parameters)
        patch.setattr(vllm_generation, "LLM", partial(vllm_generation.LLM, enforce_eager=True))
        try:
            yield patch
        finally:
            forget_engine()


def forget_engine() -> None:
    """Let another training start in this process."""
    from vllm.distributed import cleanup_dist_env_and_memory

    gc.collect()
    cleanup_dist_env_and_memory()
    AcceleratorState._reset_state()
    PartialState._reset_state()
    for name in LEFT_BEHIND:
        os.environ.pop(name, None)


def engine_weights(generation: Any) -> dict[str, torch.Tensor]:
    """The weights of TRL's colocated engine, under vLLM's names."""
    runner = generation.llm.llm_engine.model_executor.driver_worker.model_runner
    return dict(runner.model.named_parameters())


def as_vllm_has_them(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a Qwen model under vLLM's names; vLLM joins those that are applied to the same input."""
    joined: dict[str, list[torch.Tensor]] = {}
    for name, weight in model.named_parameters():
        parts = name.removeprefix("model.").replace("language_model.", "language_model.model.").split(".")
        joined.setdefault(".".join(FUSED.get(part, part) for part in parts), []).append(weight.detach())
    return {name: torch.cat(weights) for name, weights in joined.items()}
