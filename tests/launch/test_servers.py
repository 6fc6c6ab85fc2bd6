"""How rollout servers are started, and that vLLM has each of the options."""

from typing import Any

import pytest

from r1sgg_cli.launch.servers import engine_argv, head_options, headless_options
from tests.launch.jobs import MODEL, make_job
from tests.launch.stand_ins import as_dict


def preset(num_nodes: int, per_node: int, tensor_parallel: int, **overrides: Any) -> Any:
    servers = {"num_nodes": num_nodes, "per_node": per_node, "tensor_parallel": tensor_parallel}
    return make_job("torchrun", "rtx4090-120x", {"servers": servers, **overrides}, **MODEL).preset


def test_an_engine_is_told_what_training_needs_of_it() -> None:
    options = as_dict(engine_argv("org/model", preset(1, 1, 4, gpu_memory_utilization=0.9), 3072, 401_408)[3:])
    assert options == {
        "--weight-transfer-config": '{"backend":"nccl"}',
        "--logprobs-mode": "processed_logprobs",
        "--max-logprobs": "-1",
        "--enable-scale-out": True,
        "--dtype": "bfloat16",
        "--tensor-parallel-size": "4",
        "--gpu-memory-utilization": "0.9",
        "--max-model-len": "3072",
        "--limit-mm-per-prompt": '{"image": 1, "video": 0}',
        "--mm-processor-kwargs": '{"max_pixels": 401408}',
    }


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ((1, 1, 4), {"--port": "1"}),
        (
            (10, 2, 2),
            {
                "--port": "1",
                "--api-server-count": "1",
                "--data-parallel-size": "20",
                "--data-parallel-size-local": "1",
                "--data-parallel-address": "10.0.0.7",
                "--data-parallel-rpc-port": "2",
            },
        ),
    ],
    ids=["one server", "two on each of ten nodes"],
)
def test_several_servers_are_one_at_a_single_address(layout: tuple[int, int, int], expected: dict[str, str]) -> None:
    assert as_dict(head_options(preset(*layout), "1", "10.0.0.7", "2")) == expected


def test_the_others_add_to_it_and_sample_by_seeds_of_their_own() -> None:
    assert as_dict(headless_options(preset(10, 2, 2), "6", "10.0.0.7", "2")) == {
        "--headless": True,
        "--data-parallel-start-rank": "6",
        "--seed": "6",
        "--data-parallel-size": "20",
        "--data-parallel-size-local": "1",
        "--data-parallel-address": "10.0.0.7",
        "--data-parallel-rpc-port": "2",
    }


@pytest.mark.slow
def test_vllm_has_these_options() -> None:
    vllm = pytest.importorskip("vllm")
    from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    assert vllm
    spread = preset(10, 2, 2)
    engine = engine_argv("org/model", spread, 3072, 401_408)[2:]
    for more in (
        head_options(spread, "15001", "10.0.0.7", "15002"),
        headless_options(spread, "6", "10.0.0.7", "15002"),
    ):
        arguments = make_arg_parser(FlexibleArgumentParser()).parse_args([*engine, *more])
        validate_parsed_serve_args(arguments)
        assert (arguments.model_tag, arguments.data_parallel_size, arguments.max_logprobs) == ("org/model", 20, -1)
        assert arguments.limit_mm_per_prompt == {"image": 1, "video": 0}
        assert arguments.mm_processor_kwargs == {"max_pixels": 401_408}
        assert arguments.headless == ("--headless" in more)
