"""Open-vocabulary settings: the base names of OvSGTR for VG150, or a file's."""

import json
from pathlib import Path

import pytest

from r1sgg_cli.data.cleaning import CleaningRules
from r1sgg_cli.data.open_vocabulary import Setting, for_setting
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary

VG150 = CleaningRules(load_vocabulary("vg150"))


@pytest.mark.parametrize(
    ("setting", "num_objects", "num_predicates"),
    [("closed", None, None), ("ovd", 105, None), ("ovr", None, 35), ("ovd+r", 105, 35)],
)
def test_each_setting_shows_its_share_of_vg150(
    setting: Setting, num_objects: int | None, num_predicates: int | None
) -> None:
    rules = for_setting(VG150, setting, None)
    assert (rules.base_objects and len(rules.base_objects)) == num_objects
    assert (rules.base_predicates and len(rules.base_predicates)) == num_predicates


def test_the_novel_predicates_are_those_of_ovsgtr() -> None:
    base = for_setting(VG150, "ovr", None).base_predicates
    assert base is not None
    novel = set(load_vocabulary("vg150").predicates) - base
    assert {"on", "of", "in", "riding", "wears", "eating", "says"} < novel
    assert {"wearing", "has", "near", "flying in"} < base


def test_another_vocabulary_needs_a_file(tmp_path: Path) -> None:
    rules = CleaningRules(Vocabulary(("man", "hat"), ("on", "under")))
    with pytest.raises(ConfigError, match="--base-classes"):
        for_setting(rules, "ovd", None)
    file = tmp_path / "base.json"
    file.write_text(json.dumps({"objects": ["Man"], "predicates": ["on"]}))
    assert for_setting(rules, "ovd+r", file).base_objects == frozenset({"man"})
    file.write_text(json.dumps({"objects": ["cat"], "predicates": ["on"]}))
    with pytest.raises(ConfigError, match="names `cat` among its objects"):
        for_setting(rules, "ovd", file)
