"""Which predicted item stands for which annotated one, when each may stand for one other at most."""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from r1sgg_cli.metrics.flat import Integers

Pairs = tuple[Integers, Integers]
"""Rows of annotated items and rows of predicted items, side by side."""
_MOST = int(np.iinfo(np.int64).max)


def equal_pairs(annotated: Integers, predicted: Integers) -> Pairs:
    """All (annotated row, predicted row) whose keys, arrays of shape (N, k) and (M, k), are equal."""
    codes = _codes(np.concatenate([annotated, predicted]))
    annotated_codes, predicted_codes = codes[: len(annotated)], codes[len(annotated) :]
    order = np.argsort(annotated_codes, kind="stable")
    starts = np.searchsorted(annotated_codes[order], predicted_codes, side="left")
    counts = np.searchsorted(annotated_codes[order], predicted_codes, side="right") - starts
    predicted_rows = np.repeat(np.arange(len(predicted)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[np.repeat(starts, counts) + within], predicted_rows


def _codes(keys: Integers) -> Integers:
    """One number per row of keys, shape (N, k), the same for equal rows alone; no key is negative."""
    codes, highest = np.zeros(len(keys), dtype=np.int64), 0
    for column in keys.T if len(keys) else ():
        size = int(column.max()) + 1
        if (highest + 1) * size > _MOST:
            codes = np.unique(codes, return_inverse=True)[1]
            highest = len(codes)
        codes = codes * size + column
        highest = (highest + 1) * size
    return codes


def most_pairs(candidates: Pairs, num_annotated: int, num_predicted: int) -> Pairs:
    """As many of the candidate pairs as can hold at once when no item is used twice, by annotated row."""
    if not len(candidates[0]):
        return candidates
    graph = csr_array((np.ones(len(candidates[0]), dtype=np.int8), candidates), shape=(num_annotated, num_predicted))
    partner = maximum_bipartite_matching(graph, perm_type="column")
    matched = np.flatnonzero(partner >= 0)
    return matched, partner[matched].astype(np.int64)
