"""Recall of relationships: per image, and per predicate."""

import numpy as np
from numpy.typing import NDArray

from r1sgg_cli.metrics.flat import FlatGraphs, Integers


def recall_per_image(annotated: FlatGraphs, hit_rows: Integers) -> NDArray[np.float64]:
    """Share of each image's annotated triplets that is hit, shape (images,); NaN for an image without any."""
    counts = np.bincount(annotated.triplet_image, minlength=annotated.num_images)
    hits = np.bincount(annotated.triplet_image[hit_rows], minlength=annotated.num_images)
    return np.divide(hits, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def recall_per_predicate(annotated: FlatGraphs, hit_rows: Integers, num_predicates: int) -> NDArray[np.float64]:
    """Recall of each predicate, mean over the images that contain it, shape (predicates,); NaN where none does."""
    cells, cell_of_row, counts = np.unique(
        annotated.triplet_image * num_predicates + annotated.predicate, return_inverse=True, return_counts=True
    )
    recall = np.bincount(cell_of_row[hit_rows], minlength=len(cells)) / counts
    predicates = cells % max(1, num_predicates)
    sums = np.bincount(predicates, weights=recall, minlength=num_predicates)
    images = np.bincount(predicates, minlength=num_predicates)
    return np.divide(sums, images, out=np.full(num_predicates, np.nan), where=images > 0)
