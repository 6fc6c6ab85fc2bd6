"""A checkpoint's config.json: where it is found, and its numbers by name."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import huggingface_hub

from r1sgg_cli.config.model_config import read_config, read_local_config
from r1sgg_cli.errors import ModelError, why_unfetched

_PUBLISHED = Path(__file__).with_name("published_shapes.json")


def load_config(model: str, *, fetch: bool) -> tuple[dict[str, Any], str] | None:
    """A checkpoint's config.json and where it was found: its folder, the hub's cache, the hub if `fetch`, this package.

    None where nothing is known of a name on the hub. Raises `ModelError` for a path that holds no checkpoint, for a
    broken config.json, and for a model that cannot be fetched and is not one of those that this package knows.
    """
    if (config := read_local_config(model)) is not None:
        return config, "config.json of the folder"
    return _config_of_name(model, fetch)


def _config_of_name(model: str, fetch: bool) -> tuple[dict[str, Any], str] | None:
    published = json.loads(_PUBLISHED.read_text(encoding="utf-8"))["models"].get(model)
    try:
        cached = huggingface_hub.try_to_load_from_cache(model, "config.json")
        if isinstance(cached, str):
            return read_config(Path(cached), model), "hub cache"
        if fetch:
            return read_config(Path(huggingface_hub.hf_hub_download(model, "config.json")), model), "hub"
    except (OSError, ValueError) as error:  # no such name, no network, a name that cannot be one
        if published is None:
            raise ModelError(
                f"`{model}` is no checkpoint folder, nor a model that can be fetched: {why_unfetched(error)}"
            ) from error
    return None if published is None else (published, "published shape")


class ConfigFields:
    """A part of a config.json whose numbers are asked for by name."""

    def __init__(self, values: Mapping[str, Any], model: str, where: str) -> None:
        self.values = values
        self.model = model
        self.where = where

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number; the side of a square may be written as a pair."""
        value = self.values.get(name)
        if isinstance(value, list | tuple) and value:
            value = value[0]
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            said = "is missing" if value is None else f"is `{json.dumps(value)}`"
            raise ModelError(
                f"`{self.model}`: `{name}` {said} in its config.json ({self.where}); use the checkpoint's own config"
            )
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Whether something is switched on."""
        value = self.values.get(name)
        return default if value is None else bool(value)
