"""Open-vocabulary settings: which names the training split may show (OvSGTR, arXiv 2311.10988, section 3).

`closed` shows every name, `ovd` no novel object, `ovr` no novel predicate, `ovd+r` neither. Only the training split is
filtered: evaluation tells base and novel apart. VG150's base classes are those of OvSGTR and VS³: 105 of 150 objects,
35 of 50 predicates.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from r1sgg_cli.data.cleaning import CleaningRules
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary

Setting = Literal["closed", "ovd", "ovr", "ovd+r"]
SETTINGS: tuple[Setting, ...] = get_args(Setting)
VG150_BASE = "vg150-base"


def for_setting(rules: CleaningRules, setting: Setting, base_file: Path | None) -> CleaningRules:
    """The rules with the base names of a setting. Raises `ConfigError` where it is not known which those are."""
    if setting == "closed":
        return rules
    base = _base_names(rules.vocabulary, base_file)
    return replace(
        rules,
        base_objects=frozenset(base.objects) if setting in ("ovd", "ovd+r") else None,
        base_predicates=frozenset(base.predicates) if setting in ("ovr", "ovd+r") else None,
    )


def _base_names(vocabulary: Vocabulary | None, base_file: Path | None) -> Vocabulary:
    if base_file is None:
        if vocabulary is None or set(vocabulary.objects) != set(load_vocabulary("vg150").objects):
            raise ConfigError("base classes are known for VG150 alone; name yours with `--base-classes FILE`")
        return load_vocabulary(VG150_BASE)
    base = load_vocabulary(str(base_file))
    for kind in ("objects", "predicates"):
        unknown = set(getattr(base, kind)) - set(getattr(vocabulary, kind)) if vocabulary else set()
        if unknown:
            raise ConfigError(f"`{base_file}` names `{min(unknown)}` among its {kind}, which the vocabulary lacks")
    return base
