"""Other words for the classes of a vocabulary: plurals, synonyms, spellings, and passives that swap a triplet's ends.

The shipped tables, `aliases/*.json`, are read as they stand: what is not in them is not mapped, and every target is a
class. A predicate is also looked up without what says nothing: a leading "is" or "are", a trailing article.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from r1sgg_cli.errors import NOT_JSON, ConfigError, in_words
from r1sgg_cli.scene_graph.labels import normalise_label
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary
from r1sgg_cli.typed_names import closest_beside

SHIPPED = ("vg150", "psg")
"""Vocabularies with a table of aliases."""
_PARTS = ("objects", "predicates", "swapped_predicates")
_COPULAS = frozenset({"is", "are", "was", "were"})
_ARTICLES = frozenset({"a", "an", "the"})


@dataclass(frozen=True, slots=True)
class Aliases:
    """Alias → class, both in normal form."""

    objects: Mapping[str, str]
    predicates: Mapping[str, str]
    swapped_predicates: Mapping[str, str]
    """Passives: (horse, `ridden by`, man) says (man, `riding`, horse)."""

    def merged(self, others: "Aliases") -> "Aliases":
        """Both tables as one; where both know an alias, `others` wins."""
        theirs = {*others.predicates, *others.swapped_predicates}
        return Aliases(
            {**self.objects, **others.objects},
            {**{name: to for name, to in self.predicates.items() if name not in theirs}, **others.predicates},
            {
                **{name: to for name, to in self.swapped_predicates.items() if name not in theirs},
                **others.swapped_predicates,
            },
        )


def shipped_aliases(vocabulary: Vocabulary) -> tuple[str, Aliases] | None:
    """Name and table of the shipped vocabulary of which this one is all or a part; None where it is of none.

    Aliases of classes that a part lacks are left out, as are aliases that it has as classes. An open vocabulary, which
    names nothing, is of none.
    """
    if not (vocabulary.objects or vocabulary.predicates):
        return None
    for name in SHIPPED:
        whole = load_vocabulary(name)
        if set(vocabulary.objects) <= set(whole.objects) and set(vocabulary.predicates) <= set(whole.predicates):
            text = (resources.files(__package__) / "aliases" / f"{name}.json").read_text(encoding="utf-8")
            return name, _within(_parsed(json.loads(text)), vocabulary)
    return None


def load_aliases(path: Path, vocabulary: Vocabulary) -> Aliases:
    """A user's own table. Raises `ConfigError`, also for a target that is no class and an alias that is one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        close = closest_beside(path) if isinstance(error, FileNotFoundError) else None
        meant = f" (did you mean `{close}`?)" if close else ""
        raise ConfigError(f"cannot read `{path}`: {error.strerror}{meant}; name a JSON file of aliases") from error
    except NOT_JSON as error:
        raise ConfigError(f"the aliases in `{path}` cannot be read: {in_words(error)}; correct it") from error
    if not _is_table(value):
        raise ConfigError(
            f'`{path}` holds no aliases: write {{"objects": {{"bicycle": "bike"}}, "predicates": {{"on top of": "on"}},'
            ' "swapped_predicates": {"ridden by": "riding"}}, any of the three'
        )
    aliases = _parsed(value)
    for part, classes in zip(_PARTS, (vocabulary.objects, *[vocabulary.predicates] * 2), strict=True):
        for alias, target in getattr(aliases, part).items():
            if target not in classes:
                raise ConfigError(f"`{path}` maps `{alias}` to `{target}`, which is not in the vocabulary; correct it")
            if alias in classes:
                raise ConfigError(f"`{path}` maps `{alias}`, which is a class itself and stays one; take it out")
    return aliases


def plain_predicate(predicate: str) -> str:
    """A predicate in normal form without a leading copula and a trailing article: `is riding a` is `riding`."""
    words = predicate.split()
    while len(words) > 1 and words[0] in _COPULAS:
        words = words[1:]
    while len(words) > 1 and words[-1] in _ARTICLES:
        words = words[:-1]
    return " ".join(words)


def _is_table(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) <= set(_PARTS)
        and all(isinstance(part, dict) and all(isinstance(to, str) for to in part.values()) for part in value.values())
    )


def _parsed(value: Mapping[str, Mapping[str, str]]) -> Aliases:
    return Aliases(
        *({normalise_label(name): normalise_label(to) for name, to in value.get(part, {}).items()} for part in _PARTS)
    )


def _within(aliases: Aliases, vocabulary: Vocabulary) -> Aliases:
    objects, predicates = set(vocabulary.objects), set(vocabulary.predicates)
    return Aliases(
        *(
            {name: to for name, to in table.items() if to in classes and name not in classes}
            for table, classes in (
                (aliases.objects, objects),
                (aliases.predicates, predicates),
                (aliases.swapped_predicates, predicates),
            )
        )
    )
