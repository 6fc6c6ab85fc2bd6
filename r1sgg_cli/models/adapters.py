"""Checkpoints as they are asked: whole ones, quantised ones, and adapters beside the model that they belong to.

A run with adapters leaves such folders: `adapter`, and each checkpoint on the way. Training starts from whole
checkpoints alone.
"""

import warnings
from typing import Any

import torch
from peft import PeftModel
from safetensors import SafetensorError, safe_open

from r1sgg_cli.errors import ModelError, first_line
from r1sgg_cli.files import folder_fingerprint
from r1sgg_cli.models.adapter_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, adapter_of, base_of
from r1sgg_cli.models.checkpoint import check_weights, fingerprint, load_checkpoint
from r1sgg_cli.models.families import family_of, quantization_of


def check_to_ask(model: str) -> None:
    """Make sure, as `check_weights` does, that a model of a known family is whole, its adapters too.

    Raises `ModelError`.
    """
    family_of(base_of(model))
    check_weights(base_of(model))
    folder = adapter_of(model)
    if folder is None:
        return
    try:
        with safe_open(folder / ADAPTER_WEIGHTS, framework="pt"):
            pass
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"`{folder}` is not whole: `{ADAPTER_WEIGHTS}` is missing or cut short ({first_line(error)}); copy it again"
        ) from error


def asked_fingerprint(model: str) -> str | None:
    """16 hex digits that change with a model's weights, and with those of its adapters; None for a name on the hub."""
    folder = adapter_of(model)
    if folder is None:
        return fingerprint(model)
    try:
        own = folder_fingerprint(folder, (ADAPTER_CONFIG, ADAPTER_WEIGHTS))
    except OSError as error:
        raise ModelError(f"`{folder}` cannot be read: {first_line(error)}") from error
    of_base = fingerprint(base_of(model))
    return own if of_base is None else f"{own[:8]}{of_base[:8]}"


def load_to_ask(model: str, device: str) -> tuple[Any, Any]:
    """Processor and model on `device`, without dropout; adapters stay beside the weights that they belong to.

    In bf16 on a GPU and float32 on a CPU, but for a quantised checkpoint, which stays as it is. Raises `ModelError`.
    """
    base = base_of(model)
    width: torch.dtype | str = torch.bfloat16 if device == "cuda" else torch.float32
    processor, loaded = load_checkpoint(base, "auto" if quantization_of(base) else width)
    if loaded.device.type != device:
        loaded = loaded.to(device)
    folder = adapter_of(model)
    if folder is not None:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("error", message="Found missing adapter keys")  # peft goes on without
                loaded = PeftModel.from_pretrained(loaded, str(folder))
        except (OSError, ValueError, RuntimeError, UserWarning) as error:
            raise ModelError(f"the adapters in `{folder}` do not fit `{base}`: {first_line(error)}") from error
    return processor, loaded.eval()
