"""From files and `--set` to one validated run, and the run's record on disk.

Merge order: schema defaults < the recipe file's `extends` < the recipe file < `--set key=value`. Mappings merge, all
else is replaced; so are `rewards` and `tasks`, of which a run has exactly those that were named last.
"""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from r1sgg_cli.config.yaml import dump_yaml, load_yaml, parse_yaml
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.files import save_text

_PACKAGE = Path(__file__).resolve().parent.parent
_SHIPPED = (_PACKAGE / "presets" / "recipes", _PACKAGE.parent / "presets" / "recipes")  # in a wheel; in a checkout

Run = TypeVar("Run", bound=BaseModel)
RUN_FILE = "run.yaml"


def shipped_recipes() -> dict[str, Path]:
    """Name -> file of every recipe that comes with the package."""
    return {path.stem: path for folder in _SHIPPED for path in sorted(folder.glob("*.yaml"))}


def find_recipe(name: str) -> Path:
    """The file of a recipe given by name or by path."""
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    recipes = shipped_recipes()
    if name not in recipes:
        close = difflib.get_close_matches(name, recipes, n=1)
        hint = f"did you mean `{close[0]}`? " if close else ""
        raise ConfigError(f"no recipe `{name}`; {hint}shipped are {', '.join(sorted(recipes))}, or give a .yaml file")
    return recipes[name]


REPLACED = frozenset({"rewards", "tasks"})
"""Mappings that are taken whole: a reward that nobody named must not count."""

FORMERLY: Mapping[str, Any] = {
    "think_prompt": "system",
    "tasks": {"sgg": 1.0},
    "shuffle_objects": False,
    "long_answers": "keep",
    "max_answer_tokens": 2048,
}
"""What a run did whose record is older than these fields; it goes on where a new one does the same."""


def merge(base: Mapping[str, Any], over: Mapping[str, Any], replaced: frozenset[str] = REPLACED) -> dict[str, Any]:
    """`over` on top of `base`: mappings merge, all else and what `replaced` names is replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(merged.get(key), Mapping) and isinstance(value, Mapping) and key not in replaced
        merged[key] = merge(merged[key], value) if both else value
    return merged


def load_recipe(name: str, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A recipe's own keys on top of those of the recipe it `extends`."""
    path = find_recipe(name).resolve()
    if path in seen:
        raise ConfigError(f"recipe `{path}` extends itself through {' -> '.join(str(p) for p in seen)}")
    values = load_yaml(path)
    parent = values.pop("extends", None)
    if parent is None:
        return values
    beside = path.parent / str(parent)
    return merge(load_recipe(str(beside if beside.is_file() else parent), (*seen, path)), values)


def parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """`["learning_rate=3e-7", "trainer.loss_type=grpo"]` as nested mappings; values are YAML."""
    values: dict[str, Any] = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"`--set {override}` is not of the form key=value, as in `--set learning_rate=1e-6`")
        nested: Any = parse_yaml(text, f"--set {key}")
        for part in reversed(key.strip().split(".")):
            nested = {part: nested}
        values = merge(values, nested, replaced=frozenset())  # `--set` after `--set` adds to it
    return values


def resolve_run(kind: type[Run], recipe: str | None, overrides: Sequence[str], **options: Any) -> Run:
    """One validated run: `kind` is the schema, `options` the command's own, those that are None left to the schema."""
    values: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    values["recipe"] = merge(load_recipe(recipe) if recipe else {}, parse_overrides(overrides))
    return validated(kind, values)


FORMS = {
    "tasks": "; write `tasks={sgg: 2, det: 1}`, and leave out what should not be asked",
    "rewards": "; write `rewards={format_reward: 1, edge_reward: 2}`, and leave out what should not count",
}
"""How a mapping is written, for those who wrote something else."""


def validated(kind: type[Run], values: Mapping[str, Any]) -> Run:
    """`values` checked against the schema; the first thing that is wrong is said with the closest right name."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if part != "[key]").removeprefix("recipe.")
        if first["type"] == "extra_forbidden":
            raise ConfigError(f"no option `{key}`{_closest(kind, first['loc'])}") from error
        message = first["msg"].removeprefix("Value error, ")
        hint = next((hint for field, hint in FORMS.items() if key == field or key.startswith(f"{field}.")), "")
        value = "" if isinstance(first["input"], Mapping) else f" (got `{first['input']}`)"
        raise ConfigError(f"{key}: {message}{value}{hint}" if key else message) from error


def _closest(kind: type[BaseModel], location: tuple[int | str, ...]) -> str:
    fields: Mapping[str, Any] = kind.model_fields
    for part in location[:-1]:
        annotation = fields[str(part)].annotation if str(part) in fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return ""
        fields = annotation.model_fields
    close = difflib.get_close_matches(str(location[-1]), fields, n=1)
    return f"; did you mean `{close[0]}`?" if close else f"; options are {', '.join(fields)}"


def record_run(run: BaseModel, folder: Path, inputs: Mapping[str, str | None]) -> None:
    """Write the resolved run to `folder/run.yaml`, or, where one has begun, insist that it is the same run.

    `inputs` are fingerprints of what the run reads: a model trained anew in the same folder is another model.
    """
    path = folder / RUN_FILE
    values = {**run.model_dump(mode="json"), "inputs": dict(inputs)}
    has_begun = any(folder.glob("checkpoint-*")) or (folder / "config.json").exists()
    if path.exists() and has_begun:
        changed = differences(_with_former(load_yaml(path), values["recipe"]), values)
        if changed:
            raise ConfigError(
                f"`{folder}` holds another run ({'; '.join(changed)}); "
                "give a new --out, or the same options to continue"
            )
        return
    save_text(dump_yaml(values), path)


def _with_former(record: Mapping[str, Any], recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A run's record with what an older one leaves unsaid of the fields that `recipe` has."""
    former = {key: value for key, value in FORMERLY.items() if key in recipe}
    return {**record, "recipe": {**former, **record.get("recipe", {})}}


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], places: tuple[str, str] = ("there", "here"), prefix: str = ""
) -> list[str]:
    """What differs between two nested mappings, one phrase per key, less what changes nothing that is learned."""
    found: list[str] = []
    for key in dict.fromkeys((*old, *new)):
        a, b = old.get(key), new.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differences(a, b, places, f"{prefix}{key}.")
        elif a != b and key not in ("report_to", "micro_batch"):
            found.append(f"{prefix}{key}: {a} {places[0]}, {b} {places[1]}")
    return found
