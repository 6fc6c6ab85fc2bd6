"""Starting a colocated vLLM: what keeps it from starting is mostly a setting, and vLLM says so below 200 lines."""

from collections.abc import Callable
from typing import Any

from r1sgg_cli.errors import ConfigError
from r1sgg_cli.models.engine_options import REFUSALS, why_refused

OTHER_WAY = "`--set preset.rollouts=transformers`"


def start_engine(make: Callable[..., Any], **options: Any) -> Any:
    """The engine that `make` gives with vLLM's own `options`.

    Raises `ConfigError` for settings that vLLM refuses, and for memory that does not suffice: both are values to it.
    """
    try:
        return make(**options)
    except REFUSALS as error:
        raise ConfigError(
            f"vLLM does not start: {why_refused(error)}; its share of a GPU is `--set "
            f"preset.gpu_memory_utilization` (now {options['gpu_memory_utilization']:g}), the longest prompt and "
            f"answer `--set trainer.vllm_max_model_length` (now {options['max_model_len']}); or use {OTHER_WAY}"
        ) from error
