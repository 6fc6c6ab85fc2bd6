"""Joins and maximum matching on arrays."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from r1sgg_cli.metrics.one_to_one import equal_pairs, most_pairs
from r1sgg_cli.scene_graph.boxes import box_iou, paired_box_iou

rows = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=12)
coordinates = st.lists(st.floats(0, 100), min_size=4, max_size=4)


@settings(deadline=None)
@given(annotated=rows, predicted=rows)
def test_equal_pairs_are_all_pairs_of_equal_rows(
    annotated: list[tuple[int, int]], predicted: list[tuple[int, int]]
) -> None:
    keys = (np.array(side, dtype=np.int64).reshape(-1, 2) for side in (annotated, predicted))
    found = list(zip(*(side.tolist() for side in equal_pairs(*keys)), strict=True))
    expected = {(i, j) for i, a in enumerate(annotated) for j, p in enumerate(predicted) if a == p}
    assert len(found) == len(expected)
    assert set(found) == expected


def test_most_pairs_uses_no_item_twice_and_as_many_as_it_can() -> None:
    annotated, predicted = most_pairs((np.array([0, 0, 1]), np.array([0, 1, 0])), 3, 2)
    assert annotated.tolist() == [0, 1]
    assert predicted.tolist() == [1, 0]


def test_no_candidates_make_no_pairs() -> None:
    none = np.empty(0, dtype=np.int64)
    assert [len(side) for side in most_pairs((none, none), 0, 5)] == [0, 0]


@settings(deadline=None)
@given(boxes=st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=8))
def test_paired_iou_is_the_diagonal_of_pairwise_iou(boxes: list[tuple[list[float], list[float]]]) -> None:
    corners = np.sort(np.array(boxes).reshape(-1, 2, 2, 2), axis=2).reshape(-1, 2, 4)
    boxes_a, boxes_b = corners[:, 0], corners[:, 1]
    np.testing.assert_allclose(paired_box_iou(boxes_a, boxes_b), np.diag(box_iou(boxes_a, boxes_b)))
