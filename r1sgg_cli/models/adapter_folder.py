"""A folder of adapters alone, and the checkpoint that they belong to; imports nothing heavy."""

import json
from pathlib import Path

from r1sgg_cli.errors import ModelError, in_words
from r1sgg_cli.typed_names import adapters_alone, missing_local

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def adapter_of(model: str) -> Path | None:
    """The folder of a model that is adapters alone; None for a whole checkpoint and for a name on the hub."""
    folder = Path(model)
    return folder if adapters_alone(folder) else None


def base_of(model: str) -> str:
    """The whole checkpoint that is asked: the model itself, or the one that its adapters belong to.

    Raises `ModelError` where that is not known, or not there.
    """
    folder = adapter_of(model)
    if folder is None:
        return model
    path = folder / ADAPTER_CONFIG
    try:
        base = str(json.loads(path.read_text(encoding="utf-8"))["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"`{path}` is broken, and does not say what its adapters belong to: {in_words(error)}"
        ) from error
    if said := missing_local(base):
        raise ModelError(f"`{folder}` holds adapters of `{base}`, but {said}; put it there, or its place into `{path}`")
    return base
