"""The config.json of a checkpoint on this disk, by which its family and its shape are known."""

import json
from pathlib import Path
from typing import Any

from r1sgg_cli.config.record import why_no_model
from r1sgg_cli.errors import NOT_JSON, ModelError, in_words
from r1sgg_cli.typed_names import adapters_alone, missing_local


def read_local_config(model: str) -> dict[str, Any] | None:
    """What the config.json of a checkpoint's folder holds; None for what may be a name on the hub.

    Raises `ModelError` for a path that holds no checkpoint, or none yet, and for a config.json that is broken.
    """
    folder = Path(model)
    if (folder / "config.json").is_file():
        return read_config(folder / "config.json", model)
    if said := adapters_alone(folder) or why_no_model(folder):
        raise ModelError(said)
    if folder.is_dir():
        raise ModelError(f"`{model}` is no checkpoint: it holds no `config.json`; give the folder that does")
    if folder.is_file():
        raise ModelError(f"`{model}` is a file, not a checkpoint; give the folder that holds its `config.json`")
    if said := missing_local(model):
        raise ModelError(f"{said}; give a checkpoint's folder, or a name on the hub (`OWNER/NAME`)")
    return None


def read_config(path: Path, model: str) -> dict[str, Any]:
    """What `model`'s config.json at `path` holds. Raises `ModelError`."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, *NOT_JSON) as error:
        raise ModelError(
            f"`{model}` is not a whole checkpoint: its `config.json` is broken: {in_words(error)}"
        ) from error
    if not isinstance(config, dict):
        raise ModelError(f"`{model}` is not a whole checkpoint: its `config.json` is no JSON object")
    return config
