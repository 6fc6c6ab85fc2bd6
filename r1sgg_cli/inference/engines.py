"""Which engine answers, and how it is loaded."""

from rich.console import Console

from r1sgg_cli.errors import ConfigError
from r1sgg_cli.inference.asker import Asker
from r1sgg_cli.inference.engine import Engine
from r1sgg_cli.inference.request import EngineName, InferRequest
from r1sgg_cli.inference.transformers_engine import TransformersEngine

TRANSFORMERS_BATCH = 8


def choose_engine(request: InferRequest, console: Console) -> EngineName:
    """The engine that is asked for, else the one that this machine has; says which. Raises `ConfigError`."""
    if request.engine == "vllm":
        raise ConfigError("answers by vLLM are not there yet")
    if request.structured:
        raise ConfigError("`--structured` needs vLLM, which constrains decoding: `uv sync --extra vllm`")
    console.print("engine: transformers")
    return "transformers"


def load_engine(request: InferRequest, name: EngineName, asker: Asker) -> Engine:
    """The engine with the request's model. Raises `R1SGGError`."""
    return TransformersEngine(request.model, request.sampling, request.batch_size or TRANSFORMERS_BATCH)
