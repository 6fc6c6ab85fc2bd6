"""Box AP as the published evaluator prints it: COCO's over the images that were answered, every score 1.

Annotation ids start at 0 there, and COCO's evaluator takes 0 for "unmatched": the first object of the data set can
never be found, and the box that finds it counts as wrong.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from r1sgg_cli.metrics.flat import FlatGraphs, Integers
from r1sgg_cli.metrics.published_matching import (
    AREAS,
    LaneMatches,
    as_xywh,
    match_in_lanes,
    outside_areas,
)
from r1sgg_cli.metrics.turns import IOU_THRESHOLDS, MAX_DETECTIONS, RECALL_LEVELS, places_by_score

LIMITS = (1, 10, MAX_DETECTIONS)
"""How many boxes of a class in an image count for AR1, AR10 and AR100."""

_MEAN = "IoU 0.50:0.95"
_AREAS = {"s": "area up to 32²", "m": "area 32² to 96²", "l": "area from 96²"}
LINES: Mapping[str, str] = {
    "AP": f"precision at {_MEAN}",
    "AP50": "precision at IoU 0.50",
    "AP75": "precision at IoU 0.75",
    **{f"AP{letter}": f"precision at {_MEAN}, {area}" for letter, area in _AREAS.items()},
    **{f"AR{limit}": f"recall at {_MEAN}, {limit} boxes per class and image" for limit in LIMITS},
    **{f"AR{letter}": f"recall at {_MEAN}, {area}" for letter, area in _AREAS.items()},
    "AR50": "recall at IoU 0.50",
}
"""The 13 lines of COCO's summary by the names of the field, in its order: what each measures."""

Values = NDArray[np.float64]


class PublishedAP(NamedTuple):
    """Fractions; NaN where the evaluator prints −1, because nothing of the kind is annotated."""

    summary: dict[str, tuple[float, int]]
    """By the names of `LINES`, with the number of classes that are annotated in the range of area: it is their mean."""
    per_class: dict[int, float]
    """AP of each class that is annotated, by its number."""


def published_ap(annotated: FlatGraphs, predicted: FlatGraphs, first_object: int | None) -> PublishedAP:
    """AP and AR of graphs that hold the answered images only, in ascending order of the image's id as text; no scores.

    `first_object` is the row of the annotated object that has id 0; None where its image was not answered.
    """
    classes, truth_class = np.unique(annotated.object_label, return_inverse=True)
    num_truths = np.stack(
        [
            np.bincount(truth_class[~outside], minlength=len(classes))
            for outside in outside_areas(as_xywh(annotated.boxes_xyxy))
        ]
    )
    place = places_by_score(predicted)
    matches = match_in_lanes(annotated, predicted, place, first_object)
    rows = np.argsort(predicted.object_label, kind="stable")
    rows = rows[place[rows] < MAX_DETECTIONS]
    edges = np.searchsorted(predicted.object_label[rows], [classes, classes + 1]).T
    shape = len(AREAS), len(IOU_THRESHOLDS), len(classes)
    precision, recall = np.full(shape, np.nan), np.full((*shape, len(LIMITS)), np.nan)
    for number, (first, last) in enumerate(edges.tolist()):
        boxes = rows[first:last]
        for area in np.flatnonzero(num_truths[:, number]).tolist():
            total = int(num_truths[area, number])
            lanes = LaneMatches(*(table[area][:, boxes] for table in matches))
            precision[area, :, number] = [_average_precision(*lane, total) for lane in zip(*lanes, strict=True)]
            recall[area, :, number] = _recalls(lanes, place[boxes], total)
    per_class = {label: float(precision[0, :, number].mean()) for number, label in enumerate(classes.tolist())}
    return PublishedAP(_summary(precision, recall), per_class)


def _average_precision(is_hit: NDArray[np.bool_], is_ignored: NDArray[np.bool_], total: int) -> float:
    """COCO's mean over the recall levels of the highest precision from there on, of one class in one lane."""
    counts = ~is_ignored
    hits = np.flatnonzero(is_hit & counts)
    if not len(hits):
        return 0.0
    num_hits = np.arange(1, len(hits) + 1)
    precision = num_hits / np.cumsum(counts)[hits]
    highest = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(highest[np.searchsorted(num_hits / total, RECALL_LEVELS)].mean())


def _recalls(lanes: LaneMatches, place: Integers, total: int) -> Values:
    """Share of `total` that the first boxes of each image find, shape (thresholds, limits)."""
    found = lanes.is_hit & ~lanes.is_ignored
    return np.stack([found[:, place < limit].sum(axis=1) / total for limit in LIMITS], axis=1)


def _summary(precision: Values, recall: Values) -> dict[str, tuple[float, int]]:
    """`precision` of shape (areas, thresholds, classes), `recall` with the limits behind them."""
    half, three_quarters = 0, 5
    areas = range(1, len(AREAS))
    values = [
        *(precision[0], precision[0, [half]], precision[0, [three_quarters]]),
        *(precision[area] for area in areas),
        *(recall[0, :, :, limit] for limit in range(len(LIMITS))),
        *(recall[area, :, :, -1] for area in areas),
        recall[0, [half], :, -1],
    ]
    return {name: _mean(value) for name, value in zip(LINES, values, strict=True)}


def _mean(values: Values) -> tuple[float, int]:
    """Over the classes that are annotated in the range of area, and how many they are; shape (thresholds, classes)."""
    present = ~np.isnan(values)
    return float(values[present].mean()) if present.any() else np.nan, int(present[0].sum())
