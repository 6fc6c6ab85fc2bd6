"""Presets: GPU profiles, shipped under a name; a user's own stand on them.

A name is looked up among the shipped files, in `~/.config/r1sgg/presets`, and beside the experiment: in the working
folder and its `presets/`. Files of one name are laid on top of each other in this order, so that a user's own
`a100-16x.yaml` needs to say no more than the account and the partition.
"""

import difflib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from r1sgg_cli.config.hardware import Preset
from r1sgg_cli.config.layers import SHIPPED, YAML_SUFFIXES, load_extended, merge, validated
from r1sgg_cli.config.yaml import load_yaml
from r1sgg_cli.errors import ConfigError


def preset_folders(home: Path, project: Path) -> tuple[Path, ...]:
    """Where presets are looked for, those that are laid on top last."""
    folders = (*SHIPPED, home / ".config" / "r1sgg" / "presets", project, project / "presets")
    return tuple({folder.resolve(): folder for folder in folders if folder.is_dir()})


def known_presets(folders: Sequence[Path]) -> list[str]:
    """Names of the presets in `folders`; a YAML file that holds anything else, such as `r1sgg.yaml`, is none."""
    return sorted({path.stem for folder in folders for path in folder.glob("*.yaml") if _is_preset(path)})


def _is_preset(path: Path) -> bool:
    try:
        return load_yaml(path).keys() <= {"extends", *Preset.model_fields}
    except ConfigError:  # another tool's file, or one that is named and then read again with its error
        return False


def load_preset(
    name: str, folders: Sequence[Path], overrides: Mapping[str, Any] | None = None, prefix: str = ""
) -> Preset:
    """The preset of that name, or in that .yaml file, with `overrides` on top, before which users typed `prefix`.

    Raises `ConfigError`.
    """
    values = merge(load_extended("preset", name, partial(_files, folders)), overrides or {})
    try:
        return validated(Preset, {**values, "name": Path(name).stem}, prefix if overrides else "")
    except ConfigError as error:
        raise ConfigError(f"preset `{name}`: {error}") from error


def _files(folders: Sequence[Path], name: str) -> list[Path]:
    if name.endswith(YAML_SUFFIXES):
        return [Path(name)]
    found = [folder / f"{name}.yaml" for folder in folders if (folder / f"{name}.yaml").is_file()]
    if not found:
        known = known_presets(folders)
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean `{close[0]}`? " if close else ""
        raise ConfigError(f"no preset `{name}`; {hint}`r1sgg presets` lists them, or give a .yaml file")
    return found
