"""Geometry of boxes. All boxes are `xyxy`, all widths `x2 - x1` (no extra pixel), all arrays float64."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]
IOU_THRESHOLD = 0.5
"""Boxes with this IoU or more show the same thing, to the rewards and to the metrics."""

_TINY = float(np.finfo(np.float64).tiny)


class BoxPairs(NamedTuple):
    """Three measures of every pair of N and M boxes, each of shape (N, M)."""

    iou: NDArray[np.float64]
    giou: NDArray[np.float64]
    """Generalised IoU (Rezatofighi et al. 2019). Like the IoU, 0 where the union is empty."""
    l1: NDArray[np.float64]
    """Sum of the four absolute differences."""


def is_box(value: Sequence[Any]) -> bool:
    """Whether these are four finite numbers; `true` and an integer beyond any float are none."""
    if len(value) != 4 or not all(type(number) in (int, float) for number in value):
        return False
    try:
        return all(math.isfinite(number) for number in value)
    except OverflowError:
        return False


def box_iou(boxes_a: Boxes, boxes_b: Boxes) -> NDArray[np.float64]:
    """Pairwise IoU of `xyxy` boxes, shape (N, M). Pairs whose union is empty score 0."""
    columns_a, columns_b = _columns(boxes_a, boxes_b)
    intersection = _area(np.minimum(columns_a[2:], columns_b[2:]) - np.maximum(columns_a[:2], columns_b[:2]))
    return _share(intersection, _union(columns_a, columns_b, intersection))


def paired_box_iou(boxes_a: Boxes, boxes_b: Boxes) -> NDArray[np.float64]:
    """IoU of box i of both, shape (N,). Pairs whose union is empty score 0."""
    columns_a, columns_b = boxes_a.T, boxes_b.T
    intersection = _area(np.minimum(columns_a[2:], columns_b[2:]) - np.maximum(columns_a[:2], columns_b[:2]))
    return _share(intersection, _union(columns_a, columns_b, intersection))


def iou_of_two(box_a: Sequence[float], box_b: Sequence[float]) -> float:
    """What `box_iou` says of one pair, without the cost of an array: for loops that look at few pairs."""
    ax1, ay1, ax2, ay2 = box_a
    bx1, by1, bx2, by2 = box_b
    width = (ax2 if ax2 < bx2 else bx2) - (ax1 if ax1 > bx1 else bx1)
    height = (ay2 if ay2 < by2 else by2) - (ay1 if ay1 > by1 else by1)
    intersection = width * height
    if width <= 0 or intersection <= 0:  # nothing in common, or so little that the product is 0
        return 0.0
    return intersection / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - intersection)


def box_pairs(boxes_a: Boxes, boxes_b: Boxes) -> BoxPairs:
    """IoU, generalised IoU and L1 distance of every pair at once: they share most of their work."""
    columns_a, columns_b = _columns(boxes_a, boxes_b)
    larger, smaller = np.maximum(columns_a, columns_b), np.minimum(columns_a, columns_b)
    intersection = _area(smaller[2:] - larger[:2])
    union = _union(columns_a, columns_b, intersection)
    iou = _share(intersection, union)
    hull = _area(larger[2:] - smaller[:2])
    giou = (iou - _share(hull - union, hull)) * (union > 0)
    return BoxPairs(iou, giou, (larger - smaller).sum(axis=0))


def _columns(boxes_a: Boxes, boxes_b: Boxes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shapes (4, N, 1) and (4, 1, M); one run of memory per coordinate makes what follows four times as fast."""
    return np.ascontiguousarray(boxes_a.T)[:, :, None], np.ascontiguousarray(boxes_b.T)[:, None, :]


def _area(sides: NDArray[np.float64]) -> NDArray[np.float64]:
    """Widths times heights, shape (2, …) to (…); negative sides are none."""
    sides = np.maximum(sides, 0.0)
    area: NDArray[np.float64] = sides[0] * sides[1]
    return area


def _union(
    columns_a: NDArray[np.float64], columns_b: NDArray[np.float64], intersection: NDArray[np.float64]
) -> NDArray[np.float64]:
    return _area(columns_a[2:] - columns_a[:2]) + _area(columns_b[2:] - columns_b[:2]) - intersection


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Part by whole, 0 where the whole is empty."""
    share: NDArray[np.float64] = part / np.maximum(whole, _TINY)
    return share
