"""A number as it is counted, before it is added up: with its statistic, and then with its value and interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from r1sgg_cli.metrics.detection import BoxDetection
from r1sgg_cli.metrics.metric import Averaging, Constraint, Cut, Metric
from r1sgg_cli.metrics.resampling import (
    Interval,
    interval_around,
    mirrored_interval,
    resampled_weights,
    wilson_interval,
)
from r1sgg_cli.metrics.statistic import Statistic, Values, Weights, values_under

IntervalKind = Literal["moved", "mirrored", "wilson"]
"""How an interval lies to its resamples, as `resampling` explains it; or Wilson's, of a rate of images."""
IOU = "≥ 0.5, x2 − x1"
"""How the IoU of a hit is counted: no extra pixel."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Number:
    """One number to be; the fields are those of `Metric`."""

    name: str
    statistic: Statistic | int
    """What it is made of; for box detection which of AP, AP@50 and AR it is."""
    counted: str
    averaging: Averaging
    denominator: int
    section: str
    symbol: str = ""
    k: Cut = None
    constraint: Constraint | None = None
    iou: str | None = IOU
    highest: float = 1.0
    """No value is above it; none is below 0."""
    interval: IntervalKind = "moved"


def measured(numbers: Sequence[Number], boxes: BoxDetection, num_images: int, num_resamples: int) -> tuple[Metric, ...]:
    """The value of each number, and where resamples are asked for its interval."""
    values = _under(numbers, boxes, np.ones((num_images, 1), dtype=np.uint8))
    chunks = [_under(numbers, boxes, weights) for weights in resampled_weights(num_images, num_resamples)]
    resampled = np.concatenate(chunks, axis=1) if chunks else None
    return tuple(
        Metric(
            name=number.name,
            value=float(values[row, 0]),
            counted=number.counted,
            k=number.k,
            interval=None if resampled is None else _interval(number, float(values[row, 0]), resampled[row]),
            symbol=number.symbol,
            section=number.section,
            constraint=number.constraint,
            averaging=number.averaging,
            iou=number.iou,
            denominator=number.denominator,
            resampled=None if resampled is None else resampled[row],
        )
        for row, number in enumerate(numbers)
    )


def _interval(number: Number, value: float, resampled: Values) -> Interval | None:
    if number.interval == "mirrored":
        return mirrored_interval(value, resampled, 0.0, number.highest)
    if number.interval == "wilson":
        return wilson_interval(value, number.denominator)
    return interval_around(value, resampled, 0.0, number.highest)


def _under(numbers: Sequence[Number], boxes: BoxDetection, weights: Weights) -> Values:
    """Shape (numbers, resamples)."""
    detection = boxes.under(weights) if any(isinstance(number.statistic, int) for number in numbers) else ()
    statistics = [number.statistic for number in numbers if isinstance(number.statistic, Statistic)]
    others = iter(values_under(statistics, weights))
    return np.stack([detection[n.statistic] if isinstance(n.statistic, int) else next(others) for n in numbers])
