"""Where the hub's libraries keep their files: as `huggingface_hub.constants` has it, and without importing that."""

import os
from collections.abc import Mapping
from pathlib import Path


def hub_home(environ: Mapping[str, str]) -> Path:
    """The folder that holds all the others which are not moved."""
    caches = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _expanded(environ.get("HF_HOME") or f"{caches}/huggingface")


def hub_cache(environ: Mapping[str, str]) -> Path:
    """Where models and data sets of the hub are kept."""
    moved = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE")
    return _expanded(moved) if moved else hub_home(environ) / "hub"


def hub_folders(environ: Mapping[str, str]) -> dict[str, Path]:
    """Every folder with files of the hub, absolute, under the variable by which a process is told of it."""
    found = {"HF_HOME": hub_home(environ)}
    if hub_cache(environ) != hub_home(environ) / "hub":
        found["HF_HUB_CACHE"] = hub_cache(environ)
    if environ.get("HF_DATASETS_CACHE"):
        found["HF_DATASETS_CACHE"] = _expanded(environ["HF_DATASETS_CACHE"])
    return {name: folder.absolute() for name, folder in found.items()}


def _expanded(folder: str) -> Path:
    return Path(os.path.expandvars(folder)).expanduser()
