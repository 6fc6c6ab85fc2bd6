"""Numbers as functions of how often each image counts, so that resampling images is a product of matrices.

A statistic adds something up over the images and combines the sums. With every image once, that is the number itself;
with the counts of a resample in place of the ones, it is the number of the resample.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from r1sgg_cli.metrics.flat import Mask

Values = NDArray[np.float64]
Weights = NDArray[np.uint8]
"""How often each image counts, shape (images, resamples)."""
Part: TypeAlias = "Values | csr_array"
"""What is added up: one value per image, or a sparse matrix of one row per predicate and one column per image."""
_CELLS = 4_000_000
"""Counts that are multiplied at once, of eight bytes each."""


@dataclass(frozen=True, slots=True, eq=False)
class Statistic:
    """What is added up over the images, and what is made of the sums.

    Statistics that add up the same thing share the part itself, and it is added up once.
    """

    parts: tuple[Part, ...]
    combine: Callable[..., Values]
    """The sums, shape (resamples,) or (rows, resamples) each, to the number in each resample, shape (resamples,)."""


def ratio(numerator: Values, denominator: Values) -> Statistic:
    """Sum by sum; NaN where the denominator is 0."""
    return Statistic((numerator, denominator), shares)


def mean_over_images(values: Values) -> Statistic:
    """Mean over the images that have a value, those that are not NaN."""
    return ratio(np.nan_to_num(values), (~np.isnan(values)).astype(np.float64))


def mean_of_ratios(
    numerators: csr_array, denominators: csr_array, num_rows: int | None = None, rows: Mask | None = None
) -> Statistic:
    """Each row's sum by sum, then the mean of the rows whose denominator is not 0; of those in `rows` where given.

    With `num_rows` the mean is over so many rows, and those that are missing or whose denominator is 0 count as 0.
    """
    return Statistic((numerators, denominators), partial(_mean_of_shares, num_rows=num_rows, rows=rows))


def harmonic_mean(first: Statistic, second: Statistic) -> Statistic:
    """2ab / (a + b); 0 where both are 0."""
    return Statistic((*first.parts, *second.parts), partial(_harmonic, first, second))


def shares(part: NDArray[Any], whole: NDArray[Any]) -> Values:
    """Part by whole, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole != 0)


def values_under(statistics: Sequence[Statistic], weights: Weights) -> list[Values]:
    """The number of each statistic in each resample."""
    parts = {id(part): part for statistic in statistics for part in statistic.parts}
    rows = max([1, *(part.shape[0] for part in parts.values())])  # images, or predicates where there are more
    width = max(1, _CELLS // rows)
    chunks = [
        _values_under(statistics, parts, weights[:, first : first + width].astype(np.float64))
        for first in range(0, weights.shape[1], width)
    ]
    return [np.concatenate(of_one) for of_one in zip(*chunks, strict=True)]


def _values_under(statistics: Sequence[Statistic], parts: Mapping[int, Part], weights: Values) -> list[Values]:
    vectors = {key: part for key, part in parts.items() if isinstance(part, np.ndarray)}
    sums: dict[int, Values] = {}
    if vectors:
        sums.update(zip(vectors, np.stack(list(vectors.values())) @ weights, strict=True))
    sums.update((key, part @ weights) for key, part in parts.items() if key not in vectors)
    return [statistic.combine(*(sums[id(part)] for part in statistic.parts)) for statistic in statistics]


def _mean_of_shares(part: Values, whole: Values, num_rows: int | None, rows: Mask | None) -> Values:
    if rows is not None and not rows.all():
        part, whole = part[rows], whole[rows]
    found = np.nansum(shares(part, whole), axis=0)
    return shares(found, np.count_nonzero(whole, axis=0) if num_rows is None else np.full(len(found), num_rows))


def _harmonic(first: Statistic, second: Statistic, *sums: Values) -> Values:
    middle = len(first.parts)
    a, b = first.combine(*sums[:middle]), second.combine(*sums[middle:])
    return np.where(a + b == 0, 0.0, 2 * a * b / np.where(a + b == 0, 1.0, a + b))
