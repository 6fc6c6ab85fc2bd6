"""What a prepared data set says of its training split."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from r1sgg_cli.data.statistics import SplitStatistics
from r1sgg_cli.data.training_names import required_training_names, training_names
from r1sgg_cli.errors import DataError
from r1sgg_cli.scene_graph.graph import SceneGraph, graph_from_rows
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary


@pytest.fixture
def graph() -> SceneGraph:
    """One triplet that training showed, under another spelling, and one that it did not."""
    rows = [{"id": f"{name}.{i}", "bbox": [0, 0, 1, 1]} for i, name in enumerate(["man", "traffic light"], start=1)]
    ends = [("man.1", "near", "traffic light.2"), ("traffic light.2", "near", "man.1")]
    return graph_from_rows(rows, [{"subject": s, "predicate": p, "object": o} for s, p, o in ends], (2, 2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set's statistics, without the data set."""
    shown = SplitStatistics(
        2, predicates=Counter(Near=3, on=1), triplets=Counter({("man", "Near", "traffic-light"): 3})
    )
    (tmp_path / "train_statistics.json").write_text(json.dumps(shown.to_json()))
    return tmp_path


def test_counts_and_unseen_triplets_are_compared_in_normal_form(folder: Path, graph: SceneGraph) -> None:
    names = training_names(str(folder), [graph])
    assert names is not None
    assert names.predicate_counts == {"near": 3, "on": 1}
    assert names.unseen_triplets == {("traffic light", "near", "man")}
    assert (names.base, names.novel) == (None, None)


def test_an_open_vocabulary_setting_tells_base_from_novel(folder: Path, graph: SceneGraph) -> None:
    whole = {"objects": ["man", "traffic-light"], "predicates": ["near", "on"]}
    (folder / "vocabulary.json").write_text(json.dumps(whole))
    (folder / "base_vocabulary.json").write_text(json.dumps({**whole, "objects": ["man"]}))
    names = required_training_names(str(folder), [graph])
    assert names.base is not None
    assert names.novel is not None
    assert (names.base.objects, names.base.predicates) == (("man",), ("near", "on"))
    assert (names.novel.objects, names.novel.predicates) == (("traffic light",), ())


@pytest.mark.parametrize("dataset", ["OWNER/NAME", "."])
def test_where_nothing_says_it_nothing_is_known(dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert training_names(dataset, []) is None
    with pytest.raises(DataError, match=r"has no `train_statistics\.json`"):
        required_training_names(dataset, [])


@pytest.mark.parametrize(
    "content", ["{", "{}", '{"num_images": 1, "objects": {}, "predicates": {}, "triplets": [[1]]}']
)
def test_broken_statistics_are_named(folder: Path, content: str) -> None:
    (folder / "train_statistics.json").write_text(content)
    with pytest.raises(DataError, match=r"train_statistics\.json` is not what `r1sgg prepare` writes"):
        training_names(str(folder), [])


def _named(names: Sequence[str], predicates: Sequence[str]) -> SceneGraph:
    """A graph of these names and predicates, the latter all between its first object and itself."""
    rows = [{"id": f"{name}.{i}", "bbox": [0, 0, 1, 1]} for i, name in enumerate(names, start=1)]
    first = rows[0]["id"]
    return graph_from_rows(rows, [{"subject": first, "predicate": p, "object": first} for p in predicates], (2, 2))


def _list_names(folder: Path, vocabulary: Vocabulary) -> None:
    names = {"objects": vocabulary.written_objects, "predicates": vocabulary.written_predicates}
    (folder / "vocabulary.json").write_text(json.dumps(names))


def test_the_training_of_another_data_set_is_refused(folder: Path) -> None:
    said = r"is of another data set than the annotations: it has 0 of the 1 predicates and 0 of the 2 object names"
    with pytest.raises(DataError, match=said):
        required_training_names(str(folder), [_named(["man", "horse"], ["riding"])])


@pytest.mark.parametrize(("named", "asked"), [("psg", "vg150"), ("vg150", "psg")])
def test_two_data_sets_may_share_some_names(folder: Path, named: str, asked: str) -> None:
    _list_names(folder, load_vocabulary(named))
    vocabulary = load_vocabulary(asked)
    with pytest.raises(DataError, match=r"it has 2[01] of the \d+ predicates and 50 of the \d+ object"):
        required_training_names(str(folder), [_named(vocabulary.objects, vocabulary.predicates)])


@pytest.mark.parametrize(("named", "asked"), [("vg150", "vg150-base"), ("vg150-base", "vg150"), ("psg", "psg")])
def test_a_data_set_with_more_names_or_fewer_is_the_same(folder: Path, named: str, asked: str) -> None:
    _list_names(folder, load_vocabulary(named))
    vocabulary = load_vocabulary(asked)
    graph = _named(vocabulary.objects, vocabulary.predicates)
    assert len(required_training_names(str(folder), [graph]).unseen_triplets) == len(vocabulary.predicates)


def test_a_predicate_that_is_listed_and_never_shown_is_no_sign_of_another_data_set(folder: Path) -> None:
    _list_names(folder, Vocabulary(("man", "horse"), ("near", "riding")))
    names = required_training_names(str(folder), [_named(["man", "horse"], ["riding"])])
    assert names.unseen_triplets == {("man", "riding", "man")}


def test_images_without_relationships_fit_any_data_set_of_their_objects(folder: Path) -> None:
    _list_names(folder, Vocabulary(("man", "horse"), ("near",)))
    assert not required_training_names(str(folder), [_named(["man"], [])]).unseen_triplets
