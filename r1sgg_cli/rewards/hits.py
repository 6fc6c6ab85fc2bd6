"""Which predicted items find which annotated ones: equal labels and boxes that overlap, as the hard rewards ask.

`metrics` counts the same hits over arrays of a whole split. For one answer at a time, as a training asks, that takes
sixteen times as long, so that both are there, and a test holds them to the same numbers.
"""

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from scipy.optimize import linear_sum_assignment

from r1sgg_cli.scene_graph.boxes import IOU_THRESHOLD, iou_of_two
from r1sgg_cli.scene_graph.graph import SceneGraph

Pairs = tuple[tuple[int, int], ...]
"""(predicted, annotated) positions."""

_BoxesByNames = dict[tuple[str, str, str], list[tuple[int, list[float], list[float]]]]


@lru_cache(maxsize=4096)
def relationship_hits(prediction: SceneGraph, truth: SceneGraph) -> Pairs:
    """Every (predicted, annotated) relationship with equal labels and IoU ≥ 0.5 at both ends.

    Found once for all rewards of two graphs that `read_answer` and `read_truth` keep.
    """
    names, boxes, by_names = prediction.names, prediction.boxes_xyxy.tolist(), _boxes_by_names(truth)
    hits = []
    for predicted, (subject, predicate, target) in enumerate(prediction.triplets):
        for true, subject_box, target_box in by_names.get((names[subject], predicate, names[target]), ()):
            if (
                iou_of_two(boxes[subject], subject_box) >= IOU_THRESHOLD
                and iou_of_two(boxes[target], target_box) >= IOU_THRESHOLD
            ):
                hits.append((predicted, true))
    return tuple(hits)


def object_hits(prediction: SceneGraph, truth: SceneGraph) -> Pairs:
    """Every (predicted, annotated) object with equal names and IoU ≥ 0.5."""
    by_name: defaultdict[str, list[tuple[int, list[float]]]] = defaultdict(list)
    for true, (name, box) in enumerate(zip(truth.names, truth.boxes_xyxy.tolist(), strict=True)):
        by_name[name].append((true, box))
    return tuple(
        (predicted, true)
        for predicted, (name, box) in enumerate(zip(prediction.names, prediction.boxes_xyxy.tolist(), strict=True))
        for true, true_box in by_name.get(name, ())
        if iou_of_two(box, true_box) >= IOU_THRESHOLD
    )


def num_one_to_one(pairs: Iterable[tuple[int, int]]) -> int:
    """How many of the pairs can hold at once when no item is in two of them."""
    pairs = set(pairs)
    predicted, true = ({pair[side] for pair in pairs} for side in (0, 1))
    if len(predicted) == len(pairs) or len(true) == len(pairs):  # no item has a choice on one of the sides
        return min(len(predicted), len(true))
    rows = {item: row for row, item in enumerate(predicted)}
    columns = {item: column for column, item in enumerate(true)}
    holds = np.zeros((len(rows), len(columns)))
    for one, other in pairs:
        holds[rows[one], columns[other]] = 1.0
    return int(holds[linear_sum_assignment(holds, maximize=True)].sum())


@lru_cache(maxsize=4096)
def _boxes_by_names(truth: SceneGraph) -> _BoxesByNames:
    """By subject name, predicate and object name: number, subject box and object box of each such relationship."""
    boxes = truth.boxes_xyxy.tolist()
    by_names: _BoxesByNames = defaultdict(list)
    for number, (subject, predicate, target) in enumerate(truth.triplets):
        key = (truth.names[subject], predicate, truth.names[target])
        by_names[key].append((number, boxes[subject], boxes[target]))
    return by_names
