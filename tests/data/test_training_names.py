"""What a prepared data set says of its training split."""

import json
from collections import Counter
from pathlib import Path

import pytest

from r1sgg_cli.data.statistics import SplitStatistics
from r1sgg_cli.data.training_names import required_training_names, training_names
from r1sgg_cli.errors import DataError
from r1sgg_cli.scene_graph.graph import SceneGraph, graph_from_rows


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
