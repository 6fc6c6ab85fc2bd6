"""The scene graph as a value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1sgg_cli.scene_graph.graph import ObjectRow, RelationshipRow, Triplet, graph_from_rows

OBJECTS: list[ObjectRow] = [
    {"id": "Traffic-light.1", "bbox": [0, 10, 64, 48]},
    {"id": "pole.2", "bbox": [32, 0, 40, 480]},
]
RELATIONSHIPS: list[RelationshipRow] = [{"subject": "Traffic-light.1", "predicate": "attached_to", "object": "pole.2"}]


def test_rows_become_a_graph_with_normalised_labels() -> None:
    graph = graph_from_rows(OBJECTS, RELATIONSHIPS, (640, 480))
    assert graph.names == ("traffic light", "pole")
    assert graph.triplets == (Triplet(0, "attached to", 1),)


def test_rows_come_back_with_their_ids() -> None:
    objects, relationships = graph_from_rows(OBJECTS, RELATIONSHIPS, (640, 480)).to_rows()
    assert objects == OBJECTS
    assert relationships == [{**RELATIONSHIPS[0], "predicate": "attached to"}]


def test_graph_without_objects_has_no_boxes() -> None:
    graph = graph_from_rows([], [], (640, 480))
    assert graph.boxes_xyxy.shape == (0, 4)
    assert graph.to_rows() == ([], [])


def test_unknown_end_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"names `\S+`, which is no object of the image"):
        graph_from_rows(OBJECTS[:1], RELATIONSHIPS, (640, 480))


@given(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), st.tuples(st.integers(1, 5000), st.integers(1, 5000)))
def test_rescaling_there_and_back_changes_nothing(one_wh: tuple[int, int], other_wh: tuple[int, int]) -> None:
    graph = graph_from_rows([{"id": "whole.1", "bbox": [0, 0, *one_wh]}], [], one_wh)
    other = graph.rescaled(other_wh)
    assert other.space_wh == other_wh
    assert other.boxes_xyxy[0].tolist() == pytest.approx([0, 0, *other_wh])
    assert other.rescaled(one_wh).boxes_xyxy[0].tolist() == pytest.approx([0, 0, *one_wh])


def test_rescaling_to_its_own_space_is_the_graph_itself() -> None:
    graph = graph_from_rows(OBJECTS, RELATIONSHIPS, (640, 480))
    assert graph.rescaled((640, 480)) is graph
