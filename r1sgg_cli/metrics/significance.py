"""How far a mean over images could lie elsewhere had other images been drawn: bootstrap intervals, 95 %.

Images are resampled, never answers, because the images are what another test set would change.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NUM_RESAMPLES = 10_000
CONFIDENCE = 0.95
CHUNK = 2_000_000
"""Draws held in memory at once."""

Values = NDArray[np.float64]
"""One value per image, NaN where the image does not count."""


class MeanInterval(NamedTuple):
    """A mean and its bootstrap interval; all NaN where no image counts."""

    mean: float
    low: float
    high: float


class DifferenceInterval(NamedTuple):
    """The mean difference `b - a` and its bootstrap interval; all NaN where no image counts."""

    difference: float
    low: float
    high: float


def bootstrap_mean(values: Values, seed: int = 0) -> MeanInterval:
    """Mean over the images that count, with its percentile interval."""
    counting = values[~np.isnan(values)]
    if not len(counting):
        return MeanInterval(np.nan, np.nan, np.nan)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(_resampled_means(counting, np.random.default_rng(seed)), [tail, 1 - tail])
    return MeanInterval(float(counting.mean()), float(low), float(high))


def paired_bootstrap(values_a: Values, values_b: Values, seed: int = 0) -> DifferenceInterval:
    """Mean of `b - a` over the images that count in both; row i of both must be the same image."""
    if values_a.shape != values_b.shape:
        raise ValueError(f"paired values need the same images: {values_a.shape} against {values_b.shape}")
    return DifferenceInterval(*bootstrap_mean(values_b - values_a, seed))


def _resampled_means(values: Values, generator: np.random.Generator) -> Values:
    rows = max(1, CHUNK // len(values))
    means = []
    for start in range(0, NUM_RESAMPLES, rows):
        shape = (min(rows, NUM_RESAMPLES - start), len(values))
        means.append(values[generator.integers(len(values), size=shape, dtype=np.int32)].mean(axis=1))
    return np.concatenate(means)
