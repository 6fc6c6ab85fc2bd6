"""Bootstrap over images: resamples drawn once and shared by all numbers, and intervals of 95 %.

Images are resampled, never answers, because the images are what another test set would change. A resample draws as many
images as there are, with replacement; what it does not draw counts zero times there.

An interval is the middle 95 % of the resamples, moved so that their median lies on the number. For a mean over images
that moves nothing. But resamples repeat images, and that alone lifts AP, whose classes are ranked the more easily the
fewer different boxes they have, and shifts means over rare predicates, which many resamples lack: there the spread is
kept and the shift is not.
"""

from collections.abc import Iterator

import numpy as np

from r1sgg_cli.metrics.significance import CONFIDENCE
from r1sgg_cli.metrics.statistic import Values, Weights

NUM_RESAMPLES = 1_000
SEED = 0
Interval = tuple[float, float]
_CHUNK = 50_000_000
"""Counts held in memory at once, of a byte each."""


def resampled_weights(num_images: int, num_resamples: int) -> Iterator[Weights]:
    """How often each image is drawn, shape (images, resamples of a chunk), until all resamples are there.

    The draws depend on nothing but `num_images`, so that two runs on the same images are resampled alike.
    """
    generator = np.random.default_rng(SEED)
    size = max(1, _CHUNK // max(num_images, 1))
    for start in range(0, num_resamples if num_images else 0, size):
        num = min(size, num_resamples - start)
        counts = np.empty((num, num_images), dtype=np.uint8)
        for row in counts:
            row[:] = np.bincount(generator.integers(num_images, size=num_images), minlength=num_images)
        yield np.ascontiguousarray(counts.T)


def interval_around(
    value: float, resampled: Values, lowest: float = -np.inf, highest: float = np.inf
) -> Interval | None:
    """The 95 % interval of a number with these resamples, those without a value left out; None where none has one.

    It never leaves `lowest` to `highest`, between which the number lies by its nature.
    """
    values = resampled[~np.isnan(resampled)]
    if not len(values) or np.isnan(value):
        return None
    tail = (1 - CONFIDENCE) / 2
    low, middle, high = np.quantile(values, [tail, 0.5, 1 - tail])
    return max(float(value + low - middle), lowest), min(float(value + high - middle), highest)
