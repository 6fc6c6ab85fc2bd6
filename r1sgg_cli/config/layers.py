"""YAML files that stand on each other, and what they come to: one validated object, or one line of error.

Merge order: schema defaults < what a file `extends` < the file < the user's own file of that name < `--set`. Mappings
merge, all else is replaced; so are those that `REPLACED` names.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from r1sgg_cli.config.yaml import load_yaml, parse_yaml
from r1sgg_cli.errors import ConfigError

PACKAGE = Path(__file__).resolve().parent.parent
SHIPPED = (PACKAGE / "presets", PACKAGE.parent / "presets")
"""Where presets and recipes come with the package: in a wheel; in a checkout."""

YAML_SUFFIXES = (".yaml", ".yml")
"""By which a path is told from a name."""

Model = TypeVar("Model", bound=BaseModel)

REPLACED = frozenset({"rewards", "tasks"})
"""Mappings that are taken whole: a reward that nobody named must not count."""


def merge(base: Mapping[str, Any], over: Mapping[str, Any], replaced: frozenset[str] = REPLACED) -> dict[str, Any]:
    """`over` on top of `base`: mappings merge, all else and what `replaced` names is replaced."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(merged.get(key), Mapping) and isinstance(value, Mapping) and key not in replaced
        merged[key] = merge(merged[key], value, replaced) if both else value
    return merged


def load_extended(
    kind: str, name: str, files_of: Callable[[str], Sequence[Path]], above: tuple[str, ...] = ()
) -> dict[str, Any]:
    """All files of a name on top of each other, each on top of what it `extends`: a file beside it, or another name.

    `kind` is what has such names, in words; `above` are those that extend this one. Raises `ConfigError`.
    """
    if name in above:
        raise ConfigError(f"{kind} `{name}` extends itself through {' -> '.join(above)}")
    values: dict[str, Any] = {}
    for path in files_of(name):
        own = load_yaml(path)
        parent = own.pop("extends", None)
        if parent is not None:
            beside = path.parent / str(parent)
            # Resolved: two files that extend each other through `..` would else have another name each time.
            is_file = beside.suffix in YAML_SUFFIXES and beside.is_file()
            below = str(beside.resolve()) if is_file else str(parent)
            values = merge(values, load_extended(kind, below, files_of, (*above, name)))
        values = merge(values, own)
    return values


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


FORMS = {
    "tasks": "; write `tasks={sgg: 2, det: 1}`, and leave out what should not be asked",
    "rewards": "; write `rewards={format_reward: 1, edge_reward: 2}`, and leave out what should not count",
}
"""How a mapping is written, for those who wrote something else."""
_NO_MAPPING = ("model_type", "dict_type")
"""pydantic's kinds of error for a value in the place of options."""


def validated(kind: type[Model], values: Mapping[str, Any], prefix: str = "") -> Model:
    """`values` checked against the schema; the first thing that is wrong is said with the closest right name.

    `prefix` is what users type before the names of this schema.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = _typed(first["loc"], prefix)
        fields = _fields_beside(kind, first["loc"])
        if first["type"] == "extra_forbidden":
            beside = _typed(first["loc"][:-1], prefix)
            raise ConfigError(f"no option `{key}`{_closest(str(first['loc'][-1]), fields, beside)}") from error
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] in _NO_MAPPING:
            inside = _fields_of(fields.get(str(first["loc"][-1])))
            message = f"has options of its own{f', such as `{key}.{next(iter(inside))}=`' if inside else ''}"
        hint = next((hint for field, hint in FORMS.items() if key == field or key.startswith(f"{field}.")), "")
        value = "" if isinstance(first["input"], Mapping) else f" (got `{first['input']}`)"
        raise ConfigError(f"{key}: {message}{value}{hint}" if key else message) from error


def _typed(location: tuple[int | str, ...], prefix: str) -> str:
    """A place in the schema as `--set` names it."""
    return prefix + ".".join(str(part) for part in location if part != "[key]").removeprefix("recipe").removeprefix(".")


def _fields_beside(kind: type[BaseModel], location: tuple[int | str, ...]) -> Mapping[str, Any]:
    """The fields of the part of the schema that a place is in; none where it is no schema's."""
    fields: Mapping[str, Any] = kind.model_fields
    for part in location[:-1]:
        fields = _fields_of(fields.get(str(part)))
    return fields


def _fields_of(field: FieldInfo | None) -> Mapping[str, Any]:
    annotation = field.annotation if field else None
    choices = get_args(annotation) or (annotation,)  # `X | None` names X
    models = [choice for choice in choices if isinstance(choice, type) and issubclass(choice, BaseModel)]
    return models[0].model_fields if models else {}


def _closest(name: str, fields: Mapping[str, Any], beside: str) -> str:
    if not fields:
        return ""
    close = difflib.get_close_matches(name, fields, n=1)
    whole = f"{beside}{'' if not beside or beside.endswith('.') else '.'}{close[0]}" if close else ""
    return f"; did you mean `{whole}`?" if close else f"; options are {', '.join(fields)}"
