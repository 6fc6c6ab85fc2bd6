"""Two runs on the same images: how far apart their numbers are, and on how many images each is ahead.

Both runs are scored on the same resamples of the images (a paired bootstrap), so what is hard about an image cancels.
Each number is judged by itself: of twenty numbers that do not differ, one is expected outside of its interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from r1sgg_cli.metrics.answer_numbers import DEFECT, FAILURE
from r1sgg_cli.metrics.metric import Metric, finite
from r1sgg_cli.metrics.resampling import FEW_IMAGES, NUM_RESAMPLES, interval_around, resampled_weights
from r1sgg_cli.metrics.statistic import Values, mean_over_images, values_under

Change = Literal["more", "less", "not shown"]
Outcome = Literal["better", "worse", "differs", "not shown"]
LOWER_IS_BETTER_IN = ("answers",)
"""Sections of numbers that count what went wrong."""
NEITHER_IS_BETTER = ("sizes",)
"""Sections of numbers that are no shares, and of which neither more nor less is better."""
_ROUNDING = 1e-12
"""Sums of the same numbers in another order are not quite equal."""


class DifferenceInterval(NamedTuple):
    """The difference `second - first` of a number and its interval; all NaN where either has no value."""

    difference: float
    low: float
    high: float


class ImageCounts(NamedTuple):
    """In how many images the second run is above, below or level with the first, and how many do not count."""

    won: int
    lost: int
    tied: int
    not_counted: int
    """Images without anything to find."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberDifference:
    """One number of both runs."""

    metric: Metric
    """The first run's; it says how both are counted."""
    other: Metric
    """The second run's."""
    interval: DifferenceInterval
    """Second minus first; all NaN where either has no value."""
    num_images: int
    """Over which both were resampled; of few nothing is shown."""

    @property
    def change(self) -> Change:
        """Whether the second number is above or below the first, where the interval leaves out 0."""
        if self.num_images < FEW_IMAGES:
            return "not shown"
        if self.interval.low > _ROUNDING:
            return "more"
        return "less" if self.interval.high < -_ROUNDING else "not shown"

    @property
    def outcome(self) -> Outcome:
        """What the change means for the second run."""
        if self.change == "not shown":
            return "not shown"
        if self.metric.section in NEITHER_IS_BETTER:
            return "differs"
        is_lower_better = self.metric.section in LOWER_IS_BETTER_IN
        return "better" if (self.change == "less") == is_lower_better else "worse"

    @property
    def is_share(self) -> bool:
        """Whether the number lies between 0 and 1; else it is a count per image."""
        return self.metric.section not in NEITHER_IS_BETTER

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; what is NaN here is null there."""
        difference, low, high = (finite(value) for value in self.interval)
        return {
            "name": self.metric.name,
            "k": self.metric.k,
            "constraint": self.metric.constraint,
            "values": [finite(self.metric.value), finite(self.other.value)],
            "difference": difference,
            "interval": None if low is None else [low, high],
            "verdict": self.outcome,
            "counted": [self.metric.counted, self.other.counted],
        }


def compare_metrics(first: Sequence[Metric], second: Sequence[Metric], num_images: int) -> tuple[NumberDifference, ...]:
    """Every number that both runs have resampled, in the first run's order; resample i of both is of the same images.

    A resample in which either number has no value does not count. A rate by cause that one run lacks is 0 there: causes
    that are not met need not be listed.
    """
    others = {_key(metric): metric for metric in _with_causes(second, first)}
    pairs = [(m, others[_key(m)]) for m in _with_causes(first, second) if _key(m) in others]
    return tuple(
        NumberDifference(
            metric=metric,
            other=other,
            interval=_interval(metric.value, other.value, metric.resampled, other.resampled),
            num_images=num_images,
        )
        for metric, other in pairs
        if metric.resampled is not None and other.resampled is not None
    )


def _with_causes(metrics: Sequence[Metric], others: Sequence[Metric]) -> list[Metric]:
    """The metrics, and as 0 the rates by cause that the other run has beside some that both could have."""
    known = {_key(metric) for metric in metrics}
    kinds = [kind for kind in (FAILURE, DEFECT) if any(metric.name.startswith(kind) for metric in metrics)]
    lacking = [
        replace(other, value=0.0, resampled=np.zeros(len(other.resampled)))
        for other in others
        if other.resampled is not None and _key(other) not in known and other.name.startswith(tuple(kinds))
    ]
    return [*metrics, *lacking]


def compare_means(first: Values, second: Values) -> DifferenceInterval:
    """How far apart two means over images are, values NaN where an image does not count: as `compare_metrics` has it.

    Raises `ValueError` for values of other images.
    """
    if first.shape != second.shape:
        raise ValueError(f"paired values need the same images: {first.shape} against {second.shape}")
    means = [mean_over_images(values) for values in (first, second)]
    (value,), (other,) = values_under(means, np.ones((len(first), 1), dtype=np.uint8))
    chunks = [np.stack(values_under(means, weights)) for weights in resampled_weights(len(first), NUM_RESAMPLES)]
    return _interval(float(value), float(other), *np.concatenate([np.empty((2, 0)), *chunks], axis=1))


def count_images(first: Values, second: Values) -> ImageCounts:
    """Wins of the second run over the first, image by image; values are NaN where an image does not count."""
    counts = ~np.isnan(first) & ~np.isnan(second)
    won, lost = int((second > first)[counts].sum()), int((second < first)[counts].sum())
    return ImageCounts(won, lost, int(counts.sum()) - won - lost, int((~counts).sum()))


def _interval(value: float, other: float, resampled: Values, other_resampled: Values) -> DifferenceInterval:
    if resampled.shape != other_resampled.shape:
        raise ValueError(f"paired numbers need the same resamples: {resampled.shape} against {other_resampled.shape}")
    ends = interval_around(other - value, other_resampled - resampled)
    return DifferenceInterval(np.nan, np.nan, np.nan) if ends is None else DifferenceInterval(other - value, *ends)


def _key(metric: Metric) -> tuple[object, ...]:
    return metric.name, metric.k, metric.constraint
