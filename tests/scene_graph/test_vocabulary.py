"""Closed sets of names: the two that come with the package, and any list from a file."""

import json
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.errors import ConfigError
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary


@pytest.mark.parametrize(
    ("name", "num_objects", "num_predicates", "an_object", "a_predicate"),
    [
        pytest.param("vg150", 150, 50, "zebra", "walking on", id="VG150"),
        pytest.param("psg", 133, 56, "sky other merged", "parked on", id="PSG"),
    ],
)
def test_published_vocabulary_comes_with_the_package(
    name: str, num_objects: int, num_predicates: int, an_object: str, a_predicate: str
) -> None:
    vocabulary = load_vocabulary(name)
    assert len(vocabulary.objects) == len(vocabulary.written_objects) == num_objects
    assert len(vocabulary.predicates) == len(vocabulary.written_predicates) == num_predicates
    assert an_object in vocabulary.objects
    assert a_predicate in vocabulary.predicates


def test_names_are_kept_as_written_beside_their_normal_form() -> None:
    vocabulary = load_vocabulary("psg")
    position = vocabulary.written_objects.index("sky-other-merged")
    assert vocabulary.objects[position] == "sky other merged"


def test_names_known_in_normal_form_only_are_written_so() -> None:
    vocabulary = Vocabulary(("man",), ("on",))
    assert vocabulary.written_objects == ("man",)
    assert vocabulary.written_predicates == ("on",)


def test_vg150_is_the_list_of_the_annotation_files(shared_dir: Path) -> None:
    lists = json.loads((shared_dir / "data/vg150_meta/VG-SGG-dicts-with-attri.json").read_text())
    vocabulary = load_vocabulary("vg150")
    assert vocabulary.written_objects == tuple(lists["idx_to_label"][str(i)] for i in range(1, 151))
    assert vocabulary.written_predicates == tuple(lists["idx_to_predicate"][str(i)] for i in range(1, 51))


def test_psg_is_the_list_of_the_annotation_files(shared_dir: Path) -> None:
    lists = json.loads((shared_dir / "data/coco_panoptic_sample/psg_style.json").read_text())
    vocabulary = load_vocabulary("psg")
    assert list(vocabulary.written_objects) == lists["thing_classes"] + lists["stuff_classes"]
    assert list(vocabulary.written_predicates) == lists["predicate_classes"]


def test_vocabulary_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "names.json"
    path.write_text(json.dumps({"objects": ["Red-circle"], "predicates": ["left_of"]}))
    assert load_vocabulary(str(path)) == Vocabulary(("red circle",), ("left of",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("{", "is not JSON", id="broken JSON"),
        pytest.param([1], "holds no vocabulary", id="no lists"),
        pytest.param({"objects": ["man"]}, "holds no vocabulary", id="one list missing"),
        pytest.param({"objects": ["man", 1], "predicates": ["on"]}, "holds no vocabulary", id="number as name"),
        pytest.param({"objects": [], "predicates": ["on"]}, "lack a name", id="empty list"),
        pytest.param({"objects": ["-"], "predicates": ["on"]}, "lack a name", id="empty name"),
        pytest.param({"objects": ["a-b", "A b"], "predicates": ["on"]}, "name `a b` twice", id="same name twice"),
    ],
)
def test_unusable_file_says_what_is_wrong(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "names.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ConfigError, match=message):
        load_vocabulary(str(path))


@pytest.mark.parametrize(
    ("name", "meant"),
    [("vg1500", " (did you mean `vg150`?)"), ("nams.json", " (did you mean `names.json`?)"), ("open", "")],
    ids=["one of ours", "a file beside it", "nothing like it"],
)
def test_a_name_of_nothing_is_answered_with_its_likeliest_meaning(
    name: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("names.json").touch()
    with pytest.raises(ConfigError) as refused:
        load_vocabulary(name)
    assert str(refused.value) == f"no vocabulary `{name}`{meant}; give `vg150`, `psg`, `vg150-base` or a JSON file"
