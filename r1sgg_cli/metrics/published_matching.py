"""Which predicted boxes find an annotated one, as COCO's evaluator matches boxes that all score 1.

COCO matches for ten thresholds and four ranges of area; an annotated box outside the range is taken only where no other
is left, and then neither counts. One threshold in one range is a *lane* here.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from r1sgg_cli.metrics.flat import FlatGraphs, Integers, Mask
from r1sgg_cli.metrics.turns import Values, take_turns

AREAS = {"": (0.0, 1e10), "s": (0.0, 32.0**2), "m": (32.0**2, 96.0**2), "l": (96.0**2, 1e10)}
"""Ranges of a box's area in square pixels, ends included, by the letter in the metric's name."""


class LaneMatches(NamedTuple):
    """What became of each predicted box in each lane, shape (areas, thresholds, boxes)."""

    is_hit: Mask
    is_ignored: Mask
    """Neither right nor wrong: it found a box outside the range of area, or nothing and is outside itself."""


def match_in_lanes(
    annotated: FlatGraphs, predicted: FlatGraphs, place: Integers, first_object: int | None
) -> LaneMatches:
    """Match the boxes of all images; `place` is each predicted box's among those of its class and image, from 0.

    A box that finds the annotated one in row `first_object` takes it and counts as having found nothing. Boxes whose
    place is beyond `turns.MAX_DETECTIONS` find nothing.
    """
    truth_xywh, answer_xywh = as_xywh(annotated.boxes_xyxy), as_xywh(predicted.boxes_xyxy.astype(np.float32))
    is_truth_outside, is_outside = (outside_areas(boxes) for boxes in (truth_xywh, answer_xywh))

    def iou_of(truths: Integers, answers: Integers) -> Values:
        return _coco_iou(truth_xywh[truths], answer_xywh[answers])

    partner = take_turns(annotated, predicted, place, iou_of, is_truth_outside)
    is_hit = (partner >= 0) & (partner != (-1 if first_object is None else first_object))
    found_outside = partner >= 0
    for found, taken, outside in zip(found_outside, partner, is_truth_outside, strict=True):
        found[found] = outside[taken[found]]
    return LaneMatches(is_hit, found_outside | (~is_hit & is_outside[:, None]))


def as_xywh(boxes_xyxy: NDArray[np.floating]) -> Values:
    """Corner, width and height, subtracted in the precision of the boxes, as float64."""
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    return np.concatenate([boxes_xyxy[:, :2], sides], axis=1).astype(np.float64)


def outside_areas(boxes_xywh: Values) -> Mask:
    """Whether each box lies outside each range of area, shape (areas, boxes)."""
    area = boxes_xywh[:, 2] * boxes_xywh[:, 3]
    return np.stack([(area < low) | (area > high) for low, high in AREAS.values()])


def _coco_iou(truth_xywh: Values, answer_xywh: Values) -> Values:
    """IoU of pair i, shape (N,), rounded as COCO's evaluator rounds: ends are a corner plus a width."""
    (x, y, w, h), (other_x, other_y, other_w, other_h) = truth_xywh.T, answer_xywh.T
    width = np.minimum(other_w + other_x, w + x) - np.maximum(other_x, x)
    height = np.minimum(other_h + other_y, h + y) - np.maximum(other_y, y)
    shared = np.where((width > 0) & (height > 0), width * height, 0.0)
    union = other_w * other_h + w * h - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
