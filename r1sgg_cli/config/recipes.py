"""Recipes: what is learned, shipped under a name or in a file of the user's own; and one validated run."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from r1sgg_cli.config.layers import SHIPPED, YAML_SUFFIXES, load_extended, merge, parse_overrides, validated
from r1sgg_cli.config.schema import GRPORecipe, GRPORun, SFTRecipe, SFTRun
from r1sgg_cli.errors import ConfigError

Run = TypeVar("Run", bound=BaseModel)

_OF_RECIPE = "recipe."
"""What `--set` does without: whatever it names is the recipe's."""


def shipped_recipes() -> dict[str, Path]:
    """Name -> file of every recipe that comes with the package."""
    return {path.stem: path for folder in SHIPPED for path in sorted((folder / "recipes").glob("*.yaml"))}


def find_recipe(name: str) -> Path:
    """The file of a recipe given by name or by path."""
    if name.endswith(YAML_SUFFIXES):
        return Path(name)
    recipes = shipped_recipes()
    if name not in recipes:
        close = difflib.get_close_matches(name, recipes, n=1)
        hint = f"did you mean `{close[0]}`? " if close else ""
        raise ConfigError(f"no recipe `{name}`; {hint}shipped are {', '.join(sorted(recipes))}, or give a .yaml file")
    return recipes[name]


def load_recipe(name: str) -> dict[str, Any]:
    """A recipe's own keys on top of those of the recipe it `extends`."""
    return load_extended("recipe", name, lambda named: [find_recipe(named)])


def resolve_run(kind: type[Run], recipe: str | None, overrides: Sequence[str], **options: Any) -> Run:
    """One validated run: `kind` is the schema, `options` the command's own, those that are None left to the schema."""
    values: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    own = load_recipe(recipe) if recipe else {}
    _insist_on_bare_names(overrides)
    insist_on_stage(kind, recipe, own)
    values["recipe"] = merge(own, parse_overrides(overrides))
    return validated(kind, values)


def _insist_on_bare_names(overrides: Sequence[str]) -> None:
    for one in overrides:
        if one.startswith(_OF_RECIPE):
            raise ConfigError(f"`--set {one}`: leave `{_OF_RECIPE}` out: `--set {one.removeprefix(_OF_RECIPE)}`")


def insist_on_stage(kind: type[BaseModel], recipe: str | None, own: Mapping[str, Any]) -> None:
    """Refuse a recipe that was written for the other trainer, by its name and not by a field nobody typed."""
    stages: dict[type[BaseModel], tuple[str, type[BaseModel]]] = {
        SFTRun: ("sft", SFTRecipe),
        GRPORun: ("grpo", GRPORecipe),
    }
    stage, fields = stages[kind]
    for other, other_fields in stages.values():
        foreign = [key for key in own if key not in fields.model_fields and key in other_fields.model_fields]
        if foreign:
            raise ConfigError(
                f"`{recipe}` is a recipe for `r1sgg {other}` (it names `{foreign[0]}`); give one for `r1sgg {stage}`"
            )
