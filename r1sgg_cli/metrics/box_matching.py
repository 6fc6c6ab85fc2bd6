"""Which predicted boxes hit an annotated one, as COCO matches them: by score, class by class, at ten thresholds.

Within a class and an image the boxes choose in the order of their scores, each the annotated box of the highest IoU
that is still free; of equal ones the last. All classes and images are matched at once: first the first boxes of each,
then the second ones, and so on. (`faster-coco-eval` and `pycocotools` do the same one image after the other; a test
holds the results equal.)
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from r1sgg_cli.metrics.flat import FlatGraphs, Integers
from r1sgg_cli.metrics.one_to_one import equal_pairs
from r1sgg_cli.scene_graph.boxes import paired_box_iou

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""COCO's, to the last digit."""
MAX_DETECTIONS = 100
"""Boxes of one class in one image that count, those that score highest, as in COCO."""


class BoxMatches(NamedTuple):
    """The predicted boxes of annotated classes, ordered by class, then score, the highest first."""

    image: Integers
    """Of each box; equal scores stand in the order of the images, then of the answer."""
    hits: NDArray[np.bool_]
    """Whether each box hits one at each threshold, shape (thresholds, boxes)."""
    edges: Integers
    """Where the boxes of each class begin, shape (classes + 1,)."""
    classes: Integers
    """Labels of the annotated classes, ascending."""


def match_boxes(annotated: FlatGraphs, predicted: FlatGraphs) -> BoxMatches:
    """Match the boxes of all images."""
    classes = np.unique(annotated.object_label)
    place = _places(predicted)
    width, height = (predicted.boxes_xyxy[:, 2:] - predicted.boxes_xyxy[:, :2]).T
    counts = (place < MAX_DETECTIONS) & (width * height >= 0)  # COCO ignores what is outside its range of areas
    rows = np.flatnonzero(counts & np.isin(predicted.object_label, classes))
    hits = _hits(annotated, predicted, place)
    rows = rows[np.lexsort((-predicted.object_score[rows], predicted.object_label[rows]))]
    edges = np.searchsorted(predicted.object_label[rows], classes)
    return BoxMatches(predicted.object_image[rows], hits[:, rows], np.append(edges, len(rows)), classes)


def _places(predicted: FlatGraphs) -> Integers:
    """Place of each box by score among those of its class in its image, from 0."""
    keys = (-predicted.object_score, predicted.object_image, predicted.object_label)
    order = np.lexsort(keys)
    group = predicted.object_label[order] * predicted.num_images + predicted.object_image[order]
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order)) - np.searchsorted(group, group)
    return places


def _hits(annotated: FlatGraphs, predicted: FlatGraphs, place: Integers) -> NDArray[np.bool_]:
    """Shape (thresholds, predicted boxes)."""
    keys = (np.stack([side.object_image, side.object_label], axis=1) for side in (annotated, predicted))
    truths, answers = equal_pairs(*keys)
    iou = paired_box_iou(annotated.boxes_xyxy[truths], predicted.boxes_xyxy[answers])
    near = (iou >= IOU_THRESHOLDS[0]) & (place[answers] < MAX_DETECTIONS)
    truths, answers, iou = truths[near], answers[near], iou[near]
    order = np.lexsort((truths, answers, place[answers]))
    truths, answers, iou = truths[order], answers[order], iou[order]
    turns = np.unique(place[answers], return_index=True)[1]
    is_taken = np.zeros((len(IOU_THRESHOLDS), len(annotated.object_label)), dtype=bool)
    hits = np.zeros((len(IOU_THRESHOLDS), len(predicted.object_label)), dtype=bool)
    for first, last in zip(turns, [*turns[1:], len(answers)], strict=False):
        turn = slice(first, last)
        _take_turn(truths[turn], answers[turn], iou[turn], is_taken, hits)
    return hits


def _take_turn(
    truths: Integers,
    answers: Integers,
    iou: NDArray[np.float64],
    is_taken: NDArray[np.bool_],
    hits: NDArray[np.bool_],
) -> None:
    """Let one box of each class and image choose; the pairs of a box stand side by side, the last of equals wins."""
    is_free = (iou >= IOU_THRESHOLDS[:, None]) & ~is_taken[:, truths]
    value = np.where(is_free, iou, 0.0)
    starts = np.flatnonzero(np.diff(answers, prepend=-1))
    best = np.maximum.reduceat(value, starts, axis=1)
    is_best = is_free & (value == np.repeat(best, np.diff(starts, append=len(answers)), axis=1))
    chosen = np.maximum.reduceat(np.where(is_best, np.arange(len(answers)), -1), starts, axis=1)
    threshold, box = np.nonzero(chosen >= 0)
    pairs = chosen[threshold, box]
    is_taken[threshold, truths[pairs]] = True
    hits[threshold, answers[pairs]] = True
