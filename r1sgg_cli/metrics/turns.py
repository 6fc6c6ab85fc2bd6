"""Which annotated box each predicted one takes, as COCO's evaluator lets them choose at ten thresholds of IoU.

Within a class and an image the boxes choose in their order, each the annotated box of the highest IoU that is still
free; of equal ones the last. All classes and images choose at once: first the first boxes of each, then the second
ones, and so on. (`faster-coco-eval` and `pycocotools` do the same one image after the other.)
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from r1sgg_cli.metrics.flat import FlatGraphs, Integers, Mask
from r1sgg_cli.metrics.one_to_one import equal_pairs

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""COCO's, to the last digit."""
RECALL_LEVELS = np.linspace(0.0, 1.0, 101)
"""Likewise: some lie a rounding above the fraction that they stand for, and are reached later."""
MAX_DETECTIONS = 100
"""Boxes of one class in one image that choose; those that come later take nothing."""

Values = NDArray[np.float64]
Partners = NDArray[np.int32]
"""Row of the annotated box that each predicted one takes or -1, shape (ranges, thresholds, predicted boxes)."""


def places_by_score(predicted: FlatGraphs) -> Integers:
    """Place of each box among those of its class and image, from 0; equal scores stand in the order of the answer."""
    keys = (-predicted.object_score, predicted.object_image, predicted.object_label)
    order = np.lexsort(keys)
    group = predicted.object_label[order] * predicted.num_images + predicted.object_image[order]
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order)) - np.searchsorted(group, group)
    return places


def take_turns(
    annotated: FlatGraphs,
    predicted: FlatGraphs,
    place: Integers,
    iou_of: Callable[[Integers, Integers], Values],
    is_last_resort: Mask,
) -> Partners:
    """Let the predicted boxes of all images choose.

    `place` is that of each predicted box as `places_by_score` has it; `iou_of` the IoU of rows of
    annotated boxes with as many rows of predicted ones. `is_last_resort`, shape (ranges, annotated boxes), are boxes
    that are taken only where no other is left: COCO's for those outside a range of areas. Ranges choose independently.
    """
    keys = (np.stack([side.object_image, side.object_label], axis=1) for side in (annotated, predicted))
    truths, answers = equal_pairs(*keys)
    iou = iou_of(truths, answers)
    near = (iou >= IOU_THRESHOLDS[0]) & (place[answers] < MAX_DETECTIONS)
    truths, answers, iou = truths[near], answers[near], iou[near]
    order = np.lexsort((truths, answers, place[answers]))
    truths, answers, iou = truths[order], answers[order], iou[order]
    lanes = len(is_last_resort), len(IOU_THRESHOLDS)
    is_free = np.ones((*lanes, len(annotated.object_label)), dtype=bool)
    partner = np.full((*lanes, len(predicted.object_label)), -1, dtype=np.int32)
    turns = np.unique(place[answers], return_index=True)[1]
    for first, last in zip(turns, [*turns[1:], len(answers)], strict=False):
        turn = slice(first, last)
        for row in range(len(is_last_resort)):  # one range after the other: all at once would take as much memory more
            part = slice(row, row + 1)
            _take_turn(truths[turn], answers[turn], iou[turn], is_last_resort[part], is_free[part], partner[part])
    return partner


def _take_turn(
    truths: Integers, answers: Integers, iou: Values, is_last_resort: Mask, is_free: Mask, partner: Partners
) -> None:
    """Let one box of each class and image choose; the pairs of a box stand side by side."""
    starts = np.flatnonzero(np.diff(answers, prepend=-1))
    sizes = np.diff(starts, append=len(answers))
    may = is_free[:, :, truths] & (iou >= IOU_THRESHOLDS[:, None])
    preferred = may & ~is_last_resort[:, None, truths]
    has_preferred = np.repeat(np.logical_or.reduceat(preferred, starts, axis=2), sizes, axis=2)
    may = np.where(has_preferred, preferred, may)
    value = np.where(may, iou, 0.0)
    best = np.repeat(np.maximum.reduceat(value, starts, axis=2), sizes, axis=2)
    pairs = np.where(may & (value == best), np.arange(len(answers)), -1)
    chosen = np.maximum.reduceat(pairs, starts, axis=2)
    in_range, threshold, box = np.nonzero(chosen >= 0)
    pair = chosen[in_range, threshold, box]
    is_free[in_range, threshold, truths[pair]] = False
    partner[in_range, threshold, answers[pair]] = truths[pair]
