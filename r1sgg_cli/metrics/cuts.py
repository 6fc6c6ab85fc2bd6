"""Which predicted triplets of an image count: the first K by rank, under a constraint."""

import numpy as np

from r1sgg_cli.metrics.flat import FlatGraphs, Integers, Mask
from r1sgg_cli.metrics.metric import Cut

CUTS: tuple[Cut, ...] = (None, 20, 50, 100, "annotated")
"""The K of R@K."""
UNRANKED = int(np.iinfo(np.int64).max)
"""The place of a triplet that never counts."""


def first_of_pair(graphs: FlatGraphs) -> Mask:
    """Which triplets rank first among those of their ordered pair of objects: what a graph constraint leaves."""
    _, firsts = np.unique(graphs.subject * len(graphs.object_image) + graphs.object, return_index=True)
    mask = np.zeros(len(graphs.predicate), dtype=bool)
    mask[firsts] = True
    return mask


def ranks_among(graphs: FlatGraphs, mask: Mask) -> Integers:
    """Place of each triplet among those of its graph that the mask has, from 0; `UNRANKED` for the others."""
    so_far = np.concatenate([[0], np.cumsum(mask)])
    first_rows = np.searchsorted(graphs.triplet_image, graphs.triplet_image)
    return np.where(mask, so_far[:-1] - so_far[first_rows], UNRANKED)


def within(cut: Cut, ranks: Integers, annotated: FlatGraphs, predicted: FlatGraphs) -> Mask:
    """Which predicted triplets are among the first of their image, `ranks` being their places."""
    if cut is None:
        return ranks < UNRANKED
    if cut == "annotated":
        counts = np.bincount(annotated.triplet_image, minlength=annotated.num_images)
        return ranks < counts[predicted.triplet_image]
    return ranks < cut
