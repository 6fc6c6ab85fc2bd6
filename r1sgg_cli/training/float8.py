"""FP8 (arXiv 2209.05433): the language model's linear layers multiply 8-bit numbers; weights and updates are float32.

torchao's layers scale each tensor as a whole and anew each time it is used: e4m3 for inputs and weights, e5m2 for
gradients. All else is bf16 by autocast, as under `precision: bf16`: image encoder, head, attention.

accelerate's own `mixed_precision="fp8"` is not used: the Trainer takes it from the environment alone, without a word
where it also says bf16, and it converts all linear layers but the first and the last, the image encoder's included.
"""

from importlib import import_module
from importlib.util import find_spec

import torch

from r1sgg_cli.errors import ConfigError

_LANGUAGE_MODEL = "model.language_model."
_CAPABILITY = (8, 9)


def compute_in_float8(model: torch.nn.Module) -> None:
    """Let the language model's linear layers multiply in FP8, as a GPU does; a CPU emulates it, for tests.

    Raises `ConfigError` where torchao is not installed or the GPU is too old.
    """
    if find_spec("torchao") is None:
        raise ConfigError("`precision: fp8` needs torchao; `uv sync --extra fp8` installs it")
    on_gpu = torch.cuda.is_available()
    if on_gpu and torch.cuda.get_device_capability() < _CAPABILITY:
        raise ConfigError(
            f"`{torch.cuda.get_device_name()}` does not multiply in FP8; use `--set preset.precision=bf16`"
        )
    float8 = import_module("torchao.float8")
    config = float8.Float8LinearConfig(emulate=not on_gpu, pad_inner_dim=True)  # any number of tokens
    float8.convert_to_float8_training(
        model, config=config, module_filter_fn=lambda _, name: name.startswith(_LANGUAGE_MODEL)
    )


def computes_in_float8(model: torch.nn.Module) -> bool:
    """Whether every linear layer of the language model does; `model` may be wrapped."""
    linear = [m for name, m in model.named_modules() if _LANGUAGE_MODEL in name and isinstance(m, torch.nn.Linear)]
    return bool(linear) and all("Float8Linear" in type(layer).__name__ for layer in linear)
