"""Geometry of boxes: a table of cases, and properties on random boxes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1sgg_cli.scene_graph.boxes import Boxes, box_iou, box_pairs, iou_of_two, paired_box_iou

SIDE = st.integers(0, 4000).map(lambda number: number / 40)
SIDES = st.tuples(SIDE, SIDE).map(sorted)
BOX = st.tuples(SIDES, SIDES).map(lambda sides: [sides[0][0], sides[1][0], sides[0][1], sides[1][1]])
BOXES = st.lists(BOX, min_size=1, max_size=4).map(lambda rows: np.array(rows, dtype=np.float64))


@pytest.mark.parametrize(
    ("box_a", "box_b", "iou", "giou", "l1"),
    [
        pytest.param([0, 0, 2, 2], [0, 0, 2, 2], 1.0, 1.0, 0, id="equal"),
        pytest.param([0, 0, 2, 2], [1, 0, 3, 2], 1 / 3, 1 / 3, 2, id="overlapping"),
        pytest.param([0, 0, 2, 2], [2, 0, 4, 2], 0.0, 0.0, 4, id="touching"),
        pytest.param([0, 0, 1, 1], [3, 0, 4, 1], 0.0, -0.5, 6, id="apart"),
        pytest.param([0, 0, 4, 4], [1, 1, 2, 2], 1 / 16, 1 / 16, 6, id="inside"),
        pytest.param([1, 1, 1, 1], [1, 1, 1, 1], 0.0, 0.0, 0, id="equal points"),
        pytest.param([1, 1, 1, 1], [0, 0, 2, 2], 0.0, 0.0, 4, id="point inside"),
        pytest.param([0, 0, 0, 2], [0, 0, 2, 0], 0.0, 0.0, 4, id="crossing lines"),
    ],
)
def test_pair_of_boxes(box_a: list[float], box_b: list[float], iou: float, giou: float, l1: float) -> None:
    a, b = np.array([box_a], dtype=np.float64), np.array([box_b], dtype=np.float64)
    pairs = box_pairs(a, b)
    assert pairs.iou.item() == pytest.approx(iou)
    assert pairs.giou.item() == pytest.approx(giou)
    assert pairs.l1.item() == pytest.approx(l1)


@given(BOXES, BOXES)
def test_measures_are_bounded_and_symmetric(boxes_a: Boxes, boxes_b: Boxes) -> None:
    pairs, swapped = box_pairs(boxes_a, boxes_b), box_pairs(boxes_b, boxes_a)
    assert ((pairs.iou >= 0) & (pairs.iou <= 1 + 1e-9)).all()
    assert (pairs.giou <= pairs.iou + 1e-9).all()
    assert (pairs.giou >= -1 - 1e-9).all()
    for measure, other in zip(pairs, swapped, strict=True):
        assert np.allclose(measure, other.T)


@given(BOXES, BOXES)
def test_single_measures_agree_with_the_joint_one(boxes_a: Boxes, boxes_b: Boxes) -> None:
    pairs = box_pairs(boxes_a, boxes_b)
    assert np.array_equal(box_iou(boxes_a, boxes_b), pairs.iou)
    num = min(len(boxes_a), len(boxes_b))
    assert np.array_equal(paired_box_iou(boxes_a[:num], boxes_b[:num]), np.diagonal(pairs.iou))
    one_by_one = [[iou_of_two(a, b) for b in boxes_b.tolist()] for a in boxes_a.tolist()]
    assert np.allclose(one_by_one, pairs.iou, rtol=1e-12, atol=1e-12)


@given(BOXES)
def test_box_meets_itself_wholly_unless_it_is_empty(boxes: Boxes) -> None:
    diagonal = np.diagonal(box_iou(boxes, boxes))
    assert np.allclose(diagonal, (boxes[:, 2:] > boxes[:, :2]).all(axis=1))


def test_no_boxes_give_an_empty_table() -> None:
    none, one = np.zeros((0, 4)), np.zeros((1, 4))
    assert box_iou(none, one).shape == (0, 1)
    assert box_pairs(one, none).giou.shape == (1, 0)


def test_boxes_too_small_for_an_area_share_nothing() -> None:
    tiny = [0.0, 0.0, 1e-200, 1e-200]
    assert iou_of_two(tiny, tiny) == 0
    assert box_iou(np.array([tiny]), np.array([tiny])).item() == 0
