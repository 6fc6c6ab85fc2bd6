"""Which ordered pairs of objects were found that some annotated relationship joins, whatever its predicate.

A low pair recall says that the objects or the pairs are missed; a high one beside a low triplet recall says that the
predicates are wrong. Repeated pairs of a graph count once on both sides, and hits are one-to-one.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from r1sgg_cli.metrics.flat import FlatGraphs, Integers
from r1sgg_cli.metrics.one_to_one import Pairs, equal_pairs, most_pairs
from r1sgg_cli.scene_graph.boxes import IOU_THRESHOLD, paired_box_iou

_AT_ONCE = 500_000
"""Pairs of boxes that are compared at once."""


class JoinedPairs(NamedTuple):
    """Ordered pairs of objects, each once; `subject` and `object` are rows of the object arrays."""

    image: Integers
    subject: Integers
    object: Integers


def joined_pairs(graphs: FlatGraphs) -> JoinedPairs:
    """The pairs that the triplets of these graphs join, each once."""
    _, rows = np.unique(graphs.subject * len(graphs.object_image) + graphs.object, return_index=True)
    return JoinedPairs(graphs.triplet_image[rows], graphs.subject[rows], graphs.object[rows])


def named_pair_hits(annotated: FlatGraphs, predicted: FlatGraphs) -> tuple[JoinedPairs, Pairs]:
    """The annotated pairs, and the hits: equal names and IoU of at least 0.5 at both ends."""
    sides = [(graphs, joined_pairs(graphs)) for graphs in (annotated, predicted)]
    keys = (np.stack([p.image, g.object_label[p.subject], g.object_label[p.object]], axis=1) for g, p in sides)
    rows = equal_pairs(*keys)
    overlaps = np.ones(len(rows[0]), dtype=bool)
    for end in ("subject", "object"):
        boxes = [g.boxes_xyxy[getattr(p, end)[r]] for (g, p), r in zip(sides, rows, strict=True)]
        overlaps &= paired_box_iou(*boxes) >= IOU_THRESHOLD
    candidates = rows[0][overlaps], rows[1][overlaps]
    return sides[0][1], most_pairs(candidates, *(len(pairs.image) for _, pairs in sides))


def boxed_pair_hits(annotated: FlatGraphs, predicted: FlatGraphs) -> tuple[JoinedPairs, Pairs]:
    """The same by boxes alone, whatever the objects are called."""
    truth, answer = joined_pairs(annotated), joined_pairs(predicted)
    candidates = end_overlaps(truth, answer, object_overlaps(annotated, predicted))
    return truth, most_pairs(candidates, len(truth.image), len(answer.image))


def object_overlaps(annotated: FlatGraphs, predicted: FlatGraphs) -> csr_array:
    """Which annotated and predicted objects of an image have an IoU of at least 0.5, shape (N, M), names ignored."""
    shape = len(annotated.object_image), len(predicted.object_image)
    starts = np.searchsorted(predicted.object_image, annotated.object_image, side="left")
    counts = np.searchsorted(predicted.object_image, annotated.object_image, side="right") - starts
    found = [(np.empty(0, np.int64), np.empty(0, np.int64))]
    for first, last in _slices(counts):
        rows = np.repeat(np.arange(first, last), counts[first:last])
        within = np.arange(len(rows)) - np.repeat(
            np.cumsum(counts[first:last]) - counts[first:last], counts[first:last]
        )
        columns = starts[rows] + within
        overlaps = paired_box_iou(annotated.boxes_xyxy[rows], predicted.boxes_xyxy[columns]) >= IOU_THRESHOLD
        found.append((rows[overlaps], columns[overlaps]))
    rows, columns = (np.concatenate(side) for side in zip(*found, strict=True))
    return csr_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=shape)


def end_overlaps(annotated: JoinedPairs, predicted: JoinedPairs, overlaps: csr_array) -> Pairs:
    """Which annotated and predicted pairs overlap at both ends, by the overlaps of their objects."""
    both = None
    for end in ("subject", "object"):
        rows, columns = getattr(annotated, end), getattr(predicted, end)
        picks = csr_array(
            (np.ones(len(columns), dtype=np.int8), (columns, np.arange(len(columns)))),
            shape=(overlaps.shape[1], len(columns)),
        )
        found = overlaps[rows] @ picks
        both = found if both is None else both.multiply(found)
    assert both is not None
    table = both.tocoo()
    return table.row.astype(np.int64), table.col.astype(np.int64)


def _slices(counts: Integers) -> list[tuple[int, int]]:
    """Runs of rows that together have few enough pairs; a row with more is a run of its own."""
    parts = (np.cumsum(counts) - counts) // _AT_ONCE
    edges = [0, *(np.flatnonzero(np.diff(parts)) + 1).tolist(), len(counts)] if len(counts) else []
    return [(first, last) for first, last in pairwise(edges) if first < last]
