"""Which annotated relationships the published evaluator takes for hit, and by which of the predicted ones.

It knows two kinds of hit. "R" and all that derives from it compare boxes as float32, widths `x2 − x1 + 1`; "ngR" and
its kin compare float64, without the extra pixel. In both, one predicted relationship may hit several annotated ones,
and repeats count on either side, so here nothing is paired off and nothing is left out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from r1sgg_cli.metrics.flat import FlatGraphs, Integers, Mask
from r1sgg_cli.metrics.one_to_one import equal_pairs
from r1sgg_cli.scene_graph.boxes import IOU_THRESHOLD, Boxes, paired_box_iou

NEVER = np.iinfo(np.int64).max
"""The place of a hit that does not exist: no K reaches it."""


@dataclass(frozen=True, slots=True, eq=False)
class PublishedHits:
    """For each annotated relationship the place, from 0, of the first prediction that hits it; `NEVER` without one."""

    in_order: Integers
    """Among the relationships of the answer as they were written: what "R", "mR" and "zR" cut at K."""
    among_cells: Integers
    """Among all cells (relationship, predicate), those that were written first: what "ng-R" and its kin cut at K.

    A written relationship has score 1 for its predicate and 0 for every other, and a stable sort by score leaves the
    cells of score 0 in order behind those of score 1. The evaluator keeps them, so pairs of objects that were written
    about get every other predicate for free until the 100 places are full.
    """
    anywhere: Mask
    """Whether any prediction hits it, without a K and without the extra pixel: what "ngR" counts."""


def published_hits(annotated: FlatGraphs, predicted: FlatGraphs, num_predicates: int) -> PublishedHits:
    """The hits of graphs that keep their repeats, whose predicates are numbers below `num_predicates`."""
    annotated_rows, predicted_rows = equal_pairs(_end_names(annotated), _end_names(predicted))
    truth_predicate, predicate = annotated.predicate[annotated_rows], predicted.predicate[predicted_rows]
    is_same = truth_predicate == predicate
    row = predicted.rank[predicted_rows]
    num_rows = np.bincount(predicted.triplet_image, minlength=predicted.num_images)
    behind = num_rows[annotated.triplet_image[annotated_rows]]
    zero_cell = behind + (num_predicates - 1) * row + truth_predicate - (truth_predicate > predicate)
    overlaps, overlaps_plainly = _overlaps(annotated, predicted, annotated_rows, predicted_rows)
    anywhere = np.zeros(len(annotated.predicate), dtype=bool)
    anywhere[annotated_rows[is_same & overlaps_plainly]] = True
    return PublishedHits(
        _first_places(annotated_rows, row, is_same & overlaps, len(anywhere)),
        _first_places(annotated_rows, np.where(is_same, row, zero_cell), overlaps, len(anywhere)),
        anywhere,
    )


def paired_pixel_iou(boxes_a: Boxes, boxes_b: Boxes) -> NDArray[np.float32]:
    """IoU of box i of both, shape (N,), in float32 and with widths `x2 − x1 + 1`; NaN where the union is empty."""
    a, b = boxes_a.astype(np.float32).T, boxes_b.astype(np.float32).T
    one, none = np.float32(1), np.float32(0)
    width = np.maximum(np.minimum(a[2], b[2]) - np.maximum(a[0], b[0]) + one, none)
    height = np.maximum(np.minimum(a[3], b[3]) - np.maximum(a[1], b[1]) + one, none)
    intersection = width * height
    area_a, area_b = ((box[2] - box[0] + one) * (box[3] - box[1] + one) for box in (a, b))
    with np.errstate(divide="ignore", invalid="ignore"):
        iou: NDArray[np.float32] = intersection / (area_a + area_b - intersection)
    return iou


def _end_names(graphs: FlatGraphs) -> Integers:
    names = graphs.object_label
    return np.stack([graphs.triplet_image, names[graphs.subject], names[graphs.object]], axis=1)


def _overlaps(
    annotated: FlatGraphs, predicted: FlatGraphs, annotated_rows: Integers, predicted_rows: Integers
) -> tuple[Mask, Mask]:
    """Whether both ends overlap enough, with the extra pixel and without it."""
    with_pixel, plainly = (np.ones(len(annotated_rows), dtype=bool) for _ in range(2))
    for truth_end, end in ((annotated.subject, predicted.subject), (annotated.object, predicted.object)):
        boxes = annotated.boxes_xyxy[truth_end[annotated_rows]], predicted.boxes_xyxy[end[predicted_rows]]
        with_pixel &= paired_pixel_iou(*boxes) >= IOU_THRESHOLD
        plainly &= paired_box_iou(*boxes) >= IOU_THRESHOLD
    return with_pixel, plainly


def _first_places(annotated_rows: Integers, places: Integers, is_hit: Mask, num_annotated: int) -> Integers:
    first = np.full(num_annotated, NEVER, dtype=np.int64)
    np.minimum.at(first, annotated_rows[is_hit], places[is_hit])
    return first
