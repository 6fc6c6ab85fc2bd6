"""Box AP and AR as COCO defines them, for any number of resamples of the images at once.

A box without a score scores 1.0; where boxes score the same, the order of the images decides: it is the order given.
Classes that are predicted but never annotated do not count, as in COCO.

An image that is drawn several times is there several times, and the copies of a box stand side by side: each box counts
as often as its image is drawn. That is exact, because precision changes one way within copies of one box: where it
rises, the last copy has what COCO's interpolation takes, and where it falls, none of the copies but the box before.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from r1sgg_cli.metrics.box_matching import BoxMatches, match_boxes
from r1sgg_cli.metrics.flat import FlatGraphs, Integers
from r1sgg_cli.metrics.statistic import Values, Weights
from r1sgg_cli.metrics.turns import IOU_THRESHOLDS, RECALL_LEVELS

Counts = NDArray[np.int32]
_CELLS = 4_000_000
"""Boxes of a class times resamples that are looked at together."""


class BoxAP(NamedTuple):
    """Mean over the classes that are annotated, in each resample, shape (resamples,); NaN where nothing is."""

    ap: Values
    """Mean over IoU 0.50, 0.55, … 0.95."""
    ap50: Values
    ar: Values
    """Average recall with 100 boxes per class and image, mean over the same thresholds."""


class BoxDetection:
    """The boxes of a split, matched."""

    def __init__(self, annotated: FlatGraphs, predicted: FlatGraphs) -> None:
        """Match them; the label numbers of both sides are the same."""
        self._matches = match_boxes(annotated, predicted)
        order = np.argsort(annotated.object_label, kind="stable")
        self._annotated_images = np.split(
            annotated.object_image[order],
            np.searchsorted(annotated.object_label[order], self._matches.classes[1:]),
        )

    @property
    def num_classes(self) -> int:
        """Annotated classes."""
        return len(self._matches.classes)

    def under(self, weights: Weights) -> BoxAP:
        """AP, AP@50 and AR; `weights` says how often each image counts in each resample."""
        sums = np.zeros((3, weights.shape[1]))
        num_present = np.zeros(weights.shape[1])
        for number, images in enumerate(self._annotated_images if self.num_classes else ()):
            width = max(1, _CELLS // max(1, int(np.diff(self._matches.edges)[number])))
            for first in range(0, weights.shape[1], width):
                part = slice(first, first + width)
                numbers = _class_numbers(self._matches, number, images, weights[:, part])
                sums[:, part] += np.nan_to_num(numbers)
                num_present[part] += ~np.isnan(numbers[0])
        found = np.divide(sums, num_present, out=np.full(sums.shape, np.nan), where=num_present > 0)
        return BoxAP(*found)


def _class_numbers(matches: BoxMatches, number: int, images: Integers, weights: Weights) -> Values:
    """AP, AP@50 and AR of one class, shape (3, resamples), NaN where it is not annotated.

    `images` are those of its annotated boxes.
    """
    boxes = slice(matches.edges[number], matches.edges[number + 1])
    total = weights[images].sum(axis=0, dtype=np.int64)
    counts = weights[matches.image[boxes]].astype(np.int32)
    seen = _running_sums(counts.copy())
    np.maximum(seen, 1, out=seen)
    precision, recall = (np.zeros((len(IOU_THRESHOLDS), len(total))) for _ in range(2))
    levels = _LevelsReached(np.maximum(total, 1))
    previous = None
    for threshold, is_hit in enumerate(matches.hits[:, boxes]):
        rows = np.flatnonzero(is_hit)
        if previous is not None and np.array_equal(rows, previous):
            precision[threshold], recall[threshold] = precision[threshold - 1], recall[threshold - 1]
        elif len(rows):
            hits = _running_sums(counts[rows])
            precision[threshold] = _interpolated(hits, seen[rows], levels)
            recall[threshold] = hits[-1] / np.maximum(total, 1)
        previous = rows
    numbers = np.stack([precision.mean(axis=0), precision[0], recall.mean(axis=0)])
    numbers[:, total == 0] = np.nan
    return numbers


def _interpolated(hits: Counts, seen: Counts, levels: "_LevelsReached") -> Values:
    """COCO's mean precision over the recall levels; rows are the boxes that hit, columns the resamples.

    At each level that is reached counts the highest precision from there on, which some hit has.
    """
    highest = hits / seen
    for above, row in pairwise(highest[::-1]):  # numpy's own `accumulate` goes down one column after the other
        np.maximum(above, row, out=row)
    new = np.diff(levels.of(hits), axis=0, prepend=np.int8(0))
    return np.einsum("ij,ij->j", new, highest) / len(RECALL_LEVELS)


def _running_sums(rows: Counts) -> Counts:
    """Each row plus all rows before it, in place; likewise."""
    for before, row in pairwise(rows):
        np.add(before, row, out=row)
    return rows


class _LevelsReached:
    """How many of the recall levels are not above so many hits, looked up: both are whole numbers."""

    def __init__(self, total: Integers) -> None:
        """`total` is how many boxes are annotated in each resample."""
        least, width = int(total.min()), int(total.max()) + 1
        recall = np.arange(width) / np.arange(least, width)[:, None]
        self._table = np.searchsorted(RECALL_LEVELS, recall, side="right").astype(np.int8).reshape(-1)
        self._first = (total - least) * width

    def of(self, hits: Counts) -> NDArray[np.int8]:
        """Of each number of hits, shape (…, resamples)."""
        return self._table.take(np.add(hits, self._first, dtype=np.int64), mode="clip")
