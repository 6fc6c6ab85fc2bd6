"""A sample shows the same objects as boxes and as nodes, lists every relationship, and names a row that is broken."""

import io
import json
from typing import Any

import pytest
from datasets import Dataset

from r1sgg_cli.data.rows import FEATURES, make_row
from r1sgg_cli.errors import DataError
from r1sgg_cli.report.node_layout import MAX_LINKED, MAX_UNLINKED
from r1sgg_cli.report.samples import MAX_LISTED, Sample, read_sample
from r1sgg_cli.scene_graph.graph import SceneGraph
from tests.report.conftest import draw, make_graph


def sample_of(graph: SceneGraph, **changes: Any) -> Sample:
    """The sample of one row, some of whose columns are changed."""
    buffer = io.BytesIO()
    draw(make_graph([], [], [])).save(buffer, "PNG")
    row = {**make_row("a", buffer.getvalue(), graph), **changes}
    return read_sample(Dataset.from_list([row], features=FEATURES), 0)


def test_boxes_and_nodes_are_the_same_objects_under_the_same_names() -> None:
    graph = make_graph(["cat", "dog", "cat"], [[0, 0, 20, 20], [0, 0, 90, 90], [50, 50, 60, 60]], [(0, "near", 1)])
    sample = sample_of(graph)
    nodes = {sample.graph.numbers[node.object]: node.name for node in sample.graph.drawing.nodes}
    assert {box.number: box.view.name for box in sample.boxes} == nodes
    assert sorted(nodes.values()) == ["cat 1", "cat 2", "dog"]


def test_no_box_hides_a_smaller_one() -> None:
    graph = make_graph(["cat", "dog", "hat"], [[0, 0, 20, 20], [0, 0, 90, 90], [5, 5, 10, 10]], [])
    areas = [box.view.width * box.view.height for box in sample_of(graph).boxes]
    assert areas == sorted(areas, reverse=True)


def test_partners_know_each_other() -> None:
    graph = make_graph(["cat", "dog", "hat"], [[0, 0, 20, 20]] * 3, [(0, "near", 1), (1, "wearing", 2)])
    sample = sample_of(graph)
    number = {node.name: sample.graph.numbers[node.object] for node in sample.graph.drawing.nodes}
    assert sample.graph.classes[number["cat"]].split() == [f"k{number['cat']}", f"n{number['dog']}"]
    assert set(sample.graph.classes[number["dog"]].split()[1:]) == {f"n{number['cat']}", f"n{number['hat']}"}


def test_every_relationship_is_listed_once_also_one_with_itself() -> None:
    graph = make_graph(["cat", "dog"], [[0, 0, 20, 20]] * 2, [(0, "near", 1)] * 2 + [(0, "licking", 0)])
    sample = sample_of(graph)
    listed = [(t.subject, t.predicate, t.object, len(t.numbers)) for t in sample.triplets]
    assert listed == [("cat", "near", "dog", 2), ("cat", "licking", "cat", 1)]
    assert sample.summary == "2 objects · 2 relationships"
    assert sample.graph.notes == ("1 more relationship not drawn.",)


def test_a_huge_graph_says_what_is_not_drawn_and_not_listed() -> None:
    ends = [(a, f"p{k}", b) for k in range(2) for a in range(30) for b in range(30) if a != b]
    sample = sample_of(make_graph(["cat"] * 466, [[0, 0, 20, 20]] * 466, ends))
    assert len(sample.boxes) == len(sample.graph.drawing.nodes) == MAX_LINKED + MAX_UNLINKED
    assert sample.graph.notes[0].startswith(f"{466 - MAX_LINKED - MAX_UNLINKED} more objects not drawn")
    assert (len(sample.triplets), sample.num_unlisted) == (MAX_LISTED, len(ends) - MAX_LISTED)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image": None}, "column `image` is null"),
        ({"image": {"bytes": b"no image", "path": None}}, "image a cannot be read"),
        ({"objects": json.dumps([{"id": "cat.1", "bbox": [300, 300, 400, 400]}])}, "lies outside the image"),
    ],
    ids=["no image", "broken image", "box outside"],
)
def test_a_broken_row_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        sample_of(make_graph([], [], []), **changes)


def test_an_image_without_objects_is_shown_all_the_same() -> None:
    sample = sample_of(make_graph([], [], []))
    assert (sample.boxes, sample.triplets, sample.graph.alt) == ((), (), "no object")
