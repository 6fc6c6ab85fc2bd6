"""The command of a vLLM server that samples for GRPO.

TRL takes one address. Several servers are therefore one: the first answers, and shares requests with the others, its
data-parallel ranks. Each has a process and a seed of its own: vLLM seeds all ranks of a process alike, so that two of
them that get the same prompt at once write the same answer, and a group of answers has nothing to compare.
"""

import json
from collections.abc import Mapping

from r1sgg_cli.config.hardware import Preset
from r1sgg_cli.config.schema import Precision

_WEIGHTS_FROM_TRAINER = ("--weight-transfer-config", '{"backend":"nccl"}')
_LOGPROBS_AS_SAMPLED = ("--logprobs-mode", "processed_logprobs", "--max-logprobs", "-1")
_IMAGES_AS_TOKENS = ("--enable-scale-out",)
_ONE_IMAGE = ("--limit-mm-per-prompt", '{"image": 1, "video": 0}')
VLLM_DTYPES: Mapping[Precision, str] = {"bf16": "bfloat16", "float32": "float32"}
"""Precisions by the names that vLLM has for them."""


def engine_argv(
    model: str, preset: Preset, max_model_len: int | None = None, max_pixels: int | None = None
) -> list[str]:
    """`vllm serve` with what every node's engines are told.

    Of images and videos too: vLLM otherwise plans memory for the largest that the checkpoint takes.
    """
    assert preset.servers is not None
    argv = ["vllm", "serve", model, *_WEIGHTS_FROM_TRAINER, *_LOGPROBS_AS_SAMPLED, *_IMAGES_AS_TOKENS, *_ONE_IMAGE]
    argv += ["--dtype", VLLM_DTYPES[preset.precision], "--tensor-parallel-size", str(preset.servers.tensor_parallel)]
    if preset.gpu_memory_utilization is not None:
        argv += ["--gpu-memory-utilization", str(preset.gpu_memory_utilization)]
    if max_model_len is not None:
        argv += ["--max-model-len", str(max_model_len)]
    if max_pixels is not None:
        # By this vLLM plans its memory. transformers 5.17 does not resize by it: the trainer's images are that small.
        argv += ["--mm-processor-kwargs", json.dumps({"max_pixels": max_pixels})]
    return argv


def head_options(preset: Preset, port: str, address: str, rpc_port: str) -> list[str]:
    """More for the first server: it answers at `port`, and the others find it at `address`, an IP address."""
    shared = _shared(preset, address, rpc_port)
    # One API server: each more is a process of its own, and weights are synchronised through whichever answers.
    return ["--port", port, *(["--api-server-count", "1", *shared] if shared else [])]


def headless_options(preset: Preset, rank: str, address: str, rpc_port: str) -> list[str]:
    """More for every other server, the deployment's `rank`-th."""
    return ["--headless", "--data-parallel-start-rank", rank, "--seed", rank, *_shared(preset, address, rpc_port)]


def _shared(preset: Preset, address: str, rpc_port: str) -> list[str]:
    assert preset.servers is not None
    num_servers = preset.servers.num_nodes * preset.servers.per_node
    if num_servers == 1:
        return []
    options = ["--data-parallel-size", str(num_servers), "--data-parallel-size-local", "1"]
    return [*options, "--data-parallel-address", address, "--data-parallel-rpc-port", rpc_port]
