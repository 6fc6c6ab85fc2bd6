"""Which pairs of objects were found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1sgg_cli.metrics import pairs as module
from r1sgg_cli.metrics.flat import flatten_pair
from r1sgg_cli.metrics.pairs import boxed_pair_hits, named_pair_hits, object_overlaps
from r1sgg_cli.scene_graph.boxes import box_iou
from r1sgg_cli.scene_graph.graph import SceneGraph, graph_from_rows

from .conftest import GraphMaker

OBJECTS = [("man", 0), ("horse", 100), ("hat", 200)]


@pytest.mark.parametrize(
    ("objects", "triplets", "named", "boxed"),
    [
        pytest.param(OBJECTS, [(0, "near", 1)], 1, 1, id="another predicate"),
        pytest.param(OBJECTS, [(1, "on", 0)], 0, 0, id="the other way round"),
        pytest.param([("dog", 0), ("horse", 100)], [(0, "on", 1)], 0, 1, id="another name"),
        pytest.param([("man", 6), ("horse", 100)], [(0, "on", 1)], 0, 0, id="too little overlap at one end"),
        pytest.param(OBJECTS, [(0, "on", 1), (0, "near", 1), (2, "on", 0)], 2, 2, id="a pair counts once"),
    ],
)
def test_a_pair_is_found(
    make_graph: GraphMaker,
    objects: list[tuple[str, float]],
    triplets: list[tuple[int, str, int]],
    named: int,
    boxed: int,
) -> None:
    truth = make_graph(OBJECTS, [(0, "on", 1), (0, "by", 1), (2, "on", 0)])
    sides = flatten_pair([truth], [make_graph(objects, triplets)])
    for hits, num_hits in ((named_pair_hits, named), (boxed_pair_hits, boxed)):
        pairs, (rows, _) = hits(*sides)
        assert (len(pairs.image), len(rows)) == (2, num_hits)


NUMBERS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=4)


def _graph(corners: list[tuple[int, int]]) -> SceneGraph:
    rows = [{"id": f"a.{i}", "bbox": [x, y, x + 4, y + 3]} for i, (x, y) in enumerate(corners, start=1)]
    return graph_from_rows(rows, [], (20, 20))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=4), st.integers(1, 5))
def test_overlaps_are_those_of_all_boxes_of_an_image(
    images: list[tuple[list[tuple[int, int]], list[tuple[int, int]]]], at_once: int
) -> None:
    """Also where a handful of pairs is all that is looked at together."""
    truths, answers = [_graph(truth) for truth, _ in images], [_graph(answer) for _, answer in images]
    patch = pytest.MonkeyPatch()
    with patch.context() as context:
        context.setattr(module, "_AT_ONCE", at_once)
        found = object_overlaps(*flatten_pair(truths, answers)).toarray()
    expected = np.zeros(found.shape)
    row = column = 0
    for truth, answer in zip(truths, answers, strict=True):
        iou = box_iou(truth.boxes_xyxy, answer.boxes_xyxy)
        expected[row : row + len(truth.ids), column : column + len(answer.ids)] = iou >= 0.5
        row, column = row + len(truth.ids), column + len(answer.ids)
    np.testing.assert_array_equal(found, expected)
