"""Other words for the classes of a vocabulary."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.errors import ConfigError
from r1sgg_cli.scene_graph.aliases import SHIPPED, load_aliases, plain_predicate, shipped_aliases
from r1sgg_cli.scene_graph.labels import normalise_label
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary

SMALL = Vocabulary(("bike", "man", "traffic light"), ("riding", "on"))


def shipped(name: str) -> dict[str, dict[str, str]]:
    text = resources.files("r1sgg_cli.scene_graph") / "aliases" / f"{name}.json"
    return json.loads(text.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_target_is_a_class_and_no_alias_is_one(name: str) -> None:
    """Of the published targets 59 of 248 and 21 of 36 are no predicates, so that what they map is lost."""
    vocabulary, table = load_vocabulary(name), shipped(name)
    for part, classes in (
        ("objects", vocabulary.objects),
        ("predicates", vocabulary.predicates),
        ("swapped_predicates", vocabulary.predicates),
    ):
        assert set(table[part].values()) <= set(classes)
        assert not set(table[part]) & set(classes)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_table_is_sorted_in_normal_form_and_says_nothing_twice(name: str) -> None:
    table = shipped(name)
    for part in table.values():
        assert list(part) == sorted(part)
        assert all(label == normalise_label(label) for label in (*part, *part.values()))
    assert not set(table["predicates"]) & set(table["swapped_predicates"])


@pytest.mark.parametrize("name", SHIPPED)
def test_ends_are_swapped_by_true_passives_alone(name: str) -> None:
    """The published table also swaps the ends of "parked in" and "placed on"."""
    table = shipped(name)
    assert all(alias.endswith(" by") for alias in table["swapped_predicates"])
    assert all(target.split()[0].endswith("ing") for target in table["swapped_predicates"].values())
    assert not {"standing by", "parked by", "parked in", "placed on"} & set(table["swapped_predicates"])


@pytest.mark.parametrize(
    ("vocabulary", "alias", "target"),
    [
        ("vg150", "bicycles", "bike"),
        ("vg150", "leaves", "leaf"),
        ("vg150", "tyre", "tire"),
        ("psg", "sofa", "couch"),
        ("psg", "motorbike", "motorcycle"),
        ("psg", "doughnut", "donut"),
        ("psg", "tree", "tree merged"),
        ("psg", "sky", "sky other merged"),
        ("psg", "desk", "table merged"),
    ],
)
def test_obvious_words_are_known(vocabulary: str, alias: str, target: str) -> None:
    name, aliases = shipped_aliases(load_vocabulary(vocabulary)) or pytest.fail("no table")
    assert (name, aliases.objects[alias]) == (vocabulary, target)


def test_a_part_of_a_vocabulary_has_the_aliases_of_its_own_classes() -> None:
    """Of VG150's base classes, say; what is outside them stays outside."""
    name, aliases = shipped_aliases(Vocabulary(("man", "tire"), ("on", "riding"))) or pytest.fail("no table")
    assert name == "vg150"
    assert set(aliases.objects.values()) == {"man", "tire"}
    assert aliases.swapped_predicates == {"ridden by": "riding"}


@pytest.mark.parametrize("vocabulary", [Vocabulary(("red circle",), ("left of",)), Vocabulary((), ())])
def test_another_vocabulary_and_an_open_one_have_no_table(vocabulary: Vocabulary) -> None:
    assert shipped_aliases(vocabulary) is None


def _saved(folder: Path, table: Any) -> Path:
    path = folder / "own.json"
    path.write_text(table if isinstance(table, str) else json.dumps(table), encoding="utf-8")
    return path


def test_an_own_table_is_read_in_normal_form(tmp_path: Path) -> None:
    table = {"objects": {"Traffic_Lamp": "traffic-light"}, "swapped_predicates": {"ridden by": "riding"}}
    aliases = load_aliases(_saved(tmp_path, table), SMALL)
    assert aliases.objects == {"traffic lamp": "traffic light"}
    assert (aliases.predicates, aliases.swapped_predicates) == ({}, {"ridden by": "riding"})


@pytest.mark.parametrize(
    ("table", "match"),
    [
        pytest.param("{", "is not JSON", id="no JSON"),
        pytest.param([], "holds no aliases: write", id="a list"),
        pytest.param({"nouns": {}}, "holds no aliases: write", id="another part"),
        pytest.param({"objects": {"a": 1}}, "holds no aliases: write", id="a number"),
        pytest.param({"objects": {"dog": "poodle"}}, "maps `dog` to `poodle`, which is not in", id="no class"),
        pytest.param({"predicates": {"rides": "bike"}}, "maps `rides` to `bike`, which is not in", id="an object"),
        pytest.param({"objects": {"man": "bike"}}, "maps `man`, which is a class itself", id="a class as alias"),
    ],
)
def test_an_own_table_that_maps_nowhere_is_refused(tmp_path: Path, table: Any, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        load_aliases(_saved(tmp_path, table), SMALL)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*own\.json`: No such file or directory; name a JSON"):
        load_aliases(tmp_path / "own.json", SMALL)
    (tmp_path / "owns.json").touch()
    with pytest.raises(ConfigError, match=r"No such file or directory \(did you mean `.*owns\.json`\?\)"):
        load_aliases(tmp_path / "own.json", SMALL)


def test_an_own_table_wins_in_either_part(tmp_path: Path) -> None:
    aliases = (shipped_aliases(load_vocabulary("vg150")) or pytest.fail("no table"))[1]
    table = {"objects": {"baby": "person"}, "predicates": {"ridden by": "under"}, "swapped_predicates": {"below": "on"}}
    merged = aliases.merged(load_aliases(_saved(tmp_path, table), load_vocabulary("vg150")))
    assert (merged.objects["baby"], merged.objects["tyre"]) == ("person", "tire")
    assert (merged.predicates["ridden by"], merged.swapped_predicates["below"]) == ("under", "on")
    assert "ridden by" not in merged.swapped_predicates
    assert "below" not in merged.predicates


@pytest.mark.parametrize(
    ("predicate", "plain"),
    [("is riding a", "riding"), ("are on the", "on"), ("is", "is"), ("in front of", "in front of")],
)
def test_what_says_nothing_is_taken_from_a_predicate(predicate: str, plain: str) -> None:
    assert plain_predicate(predicate) == plain
