"""The numbers of one run on a report: the headline with its intervals, and why answers failed."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from r1sgg_cli.counted import counted
from r1sgg_cli.data.predictions import ImagePrediction
from r1sgg_cli.metrics.comparison import LOWER_IS_BETTER_IN, NumberDifference, Outcome
from r1sgg_cli.metrics.evaluation import Evaluation
from r1sgg_cli.metrics.metric import Metric
from r1sgg_cli.report.comparison import Comparison
from r1sgg_cli.report.comparison_words import format_amount, format_change, name_in_words
from r1sgg_cli.report.headline import THIN
from r1sgg_cli.report.histograms import percent
from r1sgg_cli.scene_graph.listing import CAUSES

OUTCOME_SIGNS: Mapping[Outcome, str] = {"better": "✓", "worse": "✗", "differs": "≠", "not shown": "–"}
SCALE_ENDS = (1, 2, 5, 10, 20, 50, 100)
"""Per cent at the right end of a bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadlineNumber:
    """One number, ready to print; positions are per cent of the bar's width."""

    name: str
    symbol: str
    """What the field calls it, such as `"R@50"`; may be empty."""
    better: str
    value: str
    point: float | None
    """None where there is nothing to average."""
    interval: str
    """Such as `"31.2 to 35.0 %"`; empty where none is computed."""
    low: float
    high: float
    counted: str
    scale_end: int
    """Per cent at the right end of the bar: it fits all numbers of the same section, which are read together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedNumber:
    """One number of two runs, ready to print."""

    name: str
    symbol: str
    values: tuple[str, str]
    difference: str
    interval: str
    outcome: str
    sign: str
    counted: str


@dataclass(frozen=True, slots=True)
class CauseBar:
    """How often one thing went wrong."""

    kind: str
    phrase: str
    count: int
    share: str
    length: float
    """Per cent of the longest bar."""


def headline_numbers(evaluation: Evaluation) -> tuple[HeadlineNumber, ...]:
    """The numbers by which models are compared, in their order."""
    ends: dict[str, int] = {}
    for metric in evaluation.headline:
        ends[metric.section] = max(ends.get(metric.section, 0), _scale_end(metric))
    return tuple(_number(metric, ends[metric.section]) for metric in evaluation.headline)


def _scale_end(metric: Metric) -> int:
    """The least of `SCALE_ENDS` that a number and its interval fit."""
    most = 100 * max((end for end in (metric.value, *(metric.interval or ())) if not math.isnan(end)), default=0)
    return next((end for end in SCALE_ENDS if most <= end), SCALE_ENDS[-1])


def _number(metric: Metric, scale_end: int) -> HeadlineNumber:
    name, symbol = _names(metric)
    has_value = not math.isnan(metric.value)
    low, high = metric.interval or (metric.value, metric.value)
    at_low, point, at_high = (
        round(100 * 100 * place / scale_end, 2) if has_value else 0.0 for place in (low, metric.value, high)
    )
    return HeadlineNumber(
        name=name,
        symbol=symbol,
        better="lower" if metric.section in LOWER_IS_BETTER_IN else "higher",
        value=f"{100 * metric.value:.1f}{THIN}%" if has_value else "–",
        point=point if has_value else None,
        interval=f"{100 * low:.1f} to {100 * high:.1f}{THIN}%" if has_value and metric.interval else "",
        low=at_low,
        high=at_high,
        counted=metric.counted,
        scale_end=scale_end,
    )


def _names(metric: Metric) -> tuple[str, str]:
    """What a number is called here, and in the field."""
    name, symbol = name_in_words(metric), metric.symbol.replace("@K", f"@{'all' if metric.k is None else metric.k}")
    return name, "" if name.endswith(symbol) else symbol


def compared_numbers(comparison: Comparison) -> tuple[ComparedNumber, ...]:
    """The same numbers of two runs, with their differences."""
    return tuple(_compared(difference) for difference in comparison.headline)


def _compared(number: NumberDifference) -> ComparedNumber:
    difference, low, high = (format_change(value, number) for value in number.interval)
    first, other = (format_amount(metric.value, number) for metric in (number.metric, number.other))
    name, symbol = _names(number.metric)
    return ComparedNumber(
        name=name,
        symbol=symbol,
        values=(first, other),
        difference=difference,
        interval=f"{low} to {high}",
        outcome=number.outcome,
        sign=OUTCOME_SIGNS[number.outcome],
        counted=number.metric.counted,
    )


def failure_causes(images: Sequence[ImagePrediction]) -> tuple[CauseBar, ...]:
    """Why answers have no graph, the most frequent cause first."""
    counts = Counter(image.failure for image in images if image.failure is not None)
    return _bars(counts, {kind: CAUSES.get(kind, "no graph could be read") for kind in counts}, len(images))


def repairs(images: Sequence[ImagePrediction]) -> tuple[CauseBar, ...]:
    """What was repaired or odd in answers that were read, by the images that have it; the most frequent first."""
    counts = Counter(kind for image in images for kind, count in image.defects.items() if count)
    times = Counter[str]()
    for image in images:
        times.update(image.defects)
    return _bars(counts, {kind: counted(times[kind], "time") for kind in counts}, len(images))


def _bars(counts: Mapping[str, int], phrases: Mapping[str, str], num_images: int) -> tuple[CauseBar, ...]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(
        CauseBar(kind, phrases[kind], count, percent(count, num_images), round(100 * count / ordered[0][1], 2))
        for kind, count in ordered
    )
