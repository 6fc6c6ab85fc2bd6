"""Closed sets of object names and predicates: VG150, PSG, or any list from a file."""

import difflib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TypeGuard

from r1sgg_cli.errors import NOT_JSON, ConfigError, in_words
from r1sgg_cli.scene_graph.labels import normalise_label
from r1sgg_cli.typed_names import closest_beside

BUILT_IN = ("vg150", "psg", "vg150-base")
_FORM = 'write {"objects": ["person", …], "predicates": ["riding", …]} in UTF-8'


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Object names and predicates in normal form, for comparing, and as their source writes them, for prompts."""

    objects: tuple[str, ...]
    predicates: tuple[str, ...]
    written_objects: tuple[str, ...] = field(default=(), compare=False)
    """As the source writes them (`"tree-merged"`), parallel to `objects`; the same where nothing else is known."""
    written_predicates: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "written_objects", self.written_objects or self.objects)
        object.__setattr__(self, "written_predicates", self.written_predicates or self.predicates)


def vocabulary_from_names(objects: Sequence[str], predicates: Sequence[str], source: str) -> Vocabulary:
    """The vocabulary of names as they are written; `source` names their origin in the `ConfigError` of a bad list."""
    return Vocabulary(
        _normal_forms(objects, f"objects of {source}"),
        _normal_forms(predicates, f"predicates of {source}"),
        tuple(objects),
        tuple(predicates),
    )


def load_vocabulary(name_or_path: str) -> Vocabulary:
    """A vocabulary by name (`vg150`, `psg`) or from a JSON file; raises `ConfigError` where there is none."""
    if name_or_path in BUILT_IN:
        text = (resources.files(__package__) / "vocabularies" / f"{name_or_path}.json").read_text(encoding="utf-8")
    else:
        text = _read_file(name_or_path)
    try:
        value = json.loads(text)
    except NOT_JSON as error:
        raise ConfigError(f"the vocabulary `{name_or_path}` cannot be read: {in_words(error)}; {_FORM}") from error
    objects, predicates = (value.get(key) if isinstance(value, dict) else None for key in ("objects", "predicates"))
    if not (_is_list_of_strings(objects) and _is_list_of_strings(predicates)):
        raise ConfigError(f"`{name_or_path}` holds no vocabulary; {_FORM}")
    return vocabulary_from_names(objects, predicates, f"`{name_or_path}`")


def _read_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        names = ", ".join(f"`{name}`" for name in BUILT_IN)
        close = next(iter(difflib.get_close_matches(path, BUILT_IN, n=1)), None) or closest_beside(Path(path))
        meant = f" (did you mean `{close}`?)" if close else ""
        raise ConfigError(f"no vocabulary `{path}`{meant}; give {names} or a JSON file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the vocabulary `{path}` cannot be read: {in_words(error)}; {_FORM}") from error


def _is_list_of_strings(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _normal_forms(names: Sequence[str], what: str) -> tuple[str, ...]:
    """Every name in normal form; a name that is empty, no text or met twice is the writer's mistake."""
    if not all(isinstance(name, str) for name in names):
        raise ConfigError(f"the {what} must be texts, as in `person`; correct the list")
    normal = tuple(normalise_label(name) for name in names)
    if "" in normal or not normal:
        raise ConfigError(f"the {what} lack a name: remove empty strings and list at least one")
    repeated = [name for name, count in Counter(normal).items() if count > 1]
    if repeated:
        raise ConfigError(f"the {what} name `{repeated[0]}` twice (case, `-` and `_` do not tell names apart)")
    return normal
