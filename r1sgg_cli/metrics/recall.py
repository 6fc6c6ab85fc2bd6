"""Recall of relationships: per image, and per predicate."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from r1sgg_cli.metrics.flat import FlatGraphs, Integers, Mask
from r1sgg_cli.metrics.statistic import Statistic, mean_of_ratios, shares


def recall_per_image(annotated: FlatGraphs, hit_rows: Integers, counts: Mask | None = None) -> NDArray[np.float64]:
    """Share of each image's annotated triplets that is hit, shape (images,); NaN for an image without any.

    `counts` are the annotated triplets that are asked for, None for all.
    """
    images = annotated.triplet_image
    asked, hit = (images, images[hit_rows]) if counts is None else (images[counts], images[hit_rows[counts[hit_rows]]])
    num_asked, num_hit = (np.bincount(each, minlength=annotated.num_images) for each in (asked, hit))
    return shares(num_hit, num_asked)


class PredicateRecall:
    """Recall of each annotated predicate, a mean over the images that contain it."""

    def __init__(self, annotated: FlatGraphs) -> None:
        """Count what is annotated of each predicate in each image."""
        cells, self._cell_of_row, self._counts = np.unique(
            annotated.predicate * annotated.num_images + annotated.triplet_image,
            return_inverse=True,
            return_counts=True,
        )
        num_images = max(1, annotated.num_images)
        self.predicates, self._row_of_cell, self.num_images = np.unique(
            cells // num_images, return_inverse=True, return_counts=True
        )
        """Numbers of the annotated predicates, ascending: rows of what follows; in how many images each is."""
        self._edges = np.concatenate([[0], np.cumsum(self.num_images)])
        self._columns = cells % num_images
        self._shape = len(self.predicates), annotated.num_images
        self.present = self._table(np.ones(len(cells)))
        """1 where an image contains a predicate, shape (annotated predicates, images)."""

    @property
    def num_annotated(self) -> Integers:
        """Annotated triplets of each predicate."""
        return np.bincount(self._row_of_cell, weights=self._counts, minlength=self._shape[0]).astype(np.int64)

    def num_hit(self, hit_rows: Integers) -> Integers:
        """Annotated triplets of each predicate that are hit."""
        rows = self._row_of_cell[self._cell_of_row[hit_rows]]
        return np.bincount(rows, minlength=self._shape[0])

    def per_image(self, hit_rows: Integers) -> csr_array:
        """Recall of each predicate in each image that contains it, shape (annotated predicates, images)."""
        hits = np.bincount(self._cell_of_row[hit_rows], minlength=len(self._counts))
        return self._table(hits / self._counts)

    def mean(self, per_image: csr_array, rows: Mask | None = None, num_rows: int | None = None) -> Statistic:
        """The mean over predicates, those of `rows` where given; `num_rows` as `mean_of_ratios` has it."""
        return mean_of_ratios(per_image, self.present, num_rows, rows)

    def values(self, hit_rows: Integers, num_predicates: int) -> NDArray[np.float64]:
        """Recall of each predicate by its number, shape (predicates,); NaN for one that is not annotated."""
        recall = np.full(num_predicates, np.nan)
        recall[self.predicates] = self.per_image(hit_rows).sum(axis=1) / self.num_images
        return recall

    def _table(self, values: NDArray[np.float64]) -> csr_array:
        return csr_array((values, self._columns, self._edges), shape=self._shape)
