"""Open-vocabulary settings: which names the training split may show (OvSGTR, arXiv 2311.10988, section 3).

`closed` shows every name, `ovd` no novel object, `ovr` no novel predicate, `ovd+r` neither. Only the training split is
filtered: evaluation tells base and novel apart. VG150's base classes are those of OvSGTR and VS³: 105 of 150 objects,
35 of 50 predicates.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from r1sgg_cli.data.cleaning import CleaningRules
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary, vocabulary_from_names

Setting = Literal["closed", "ovd", "ovr", "ovd+r"]
VG150_BASE = "vg150-base"


def for_setting(rules: CleaningRules, setting: Setting, base_file: Path | None) -> CleaningRules:
    """The rules with the base names of a setting. Raises `ConfigError` where it is not known which those are."""
    if setting == "closed":
        return rules
    base = _load_base(rules.vocabulary, base_file)
    return replace(
        rules,
        base_objects=frozenset(base.objects) if setting in ("ovd", "ovd+r") else None,
        base_predicates=frozenset(base.predicates) if setting in ("ovr", "ovd+r") else None,
    )


def _load_base(vocabulary: Vocabulary | None, base_file: Path | None) -> Vocabulary:
    if base_file is None:
        if vocabulary is None or set(vocabulary.objects) != set(load_vocabulary("vg150").objects):
            raise ConfigError(
                "base classes are known for VG150 alone (`--vocabulary vg150`); name yours with `--base-classes FILE`"
            )
        return load_vocabulary(VG150_BASE)
    base = load_vocabulary(str(base_file))
    for kind in ("objects", "predicates"):
        unknown = set(getattr(base, kind)) - set(getattr(vocabulary, kind)) if vocabulary else set()
        if unknown:
            raise ConfigError(f"`{base_file}` names `{min(unknown)}` among its {kind}, which the vocabulary lacks")
    return base


def base_names(vocabulary: Vocabulary, rules: CleaningRules) -> Vocabulary:
    """The names that the training split may show, as the vocabulary writes them."""
    objects, predicates = (
        tuple(w for n, w in zip(normal, written, strict=True) if base is None or n in base)
        for normal, written, base in (
            (vocabulary.objects, vocabulary.written_objects, rules.base_objects),
            (vocabulary.predicates, vocabulary.written_predicates, rules.base_predicates),
        )
    )
    return vocabulary_from_names(objects, predicates, "the base classes")
