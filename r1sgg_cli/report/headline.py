"""The headline table and the sentences above it: every word follows from the numbers that are passed in."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from r1sgg_cli.metrics.resampling import few_images
from r1sgg_cli.report.stages import HEADLINE, RECALL, Gain, Measure, Stage

MINUS = "\N{MINUS SIGN}"
UNCLEAR = "The interval contains 0: this run does not show that triplet recall changed."
THIN = "\N{NARROW NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class Change:
    """How one measure moved between the two compared stages, in words that need no colour."""

    text: str
    outcome: Literal["better", "worse", "same", ""]


@dataclass(frozen=True, slots=True)
class HeadlineRow:
    """One measure over the stages, ready to print."""

    measure: Measure
    counted: str
    """Averaging and denominator in a phrase."""
    values: tuple[str, ...]
    change: Change


@dataclass(frozen=True, slots=True)
class IntervalBar:
    """The bootstrap interval on a scale from 0 to 100 (per cent of the bar's width)."""

    zero: float
    low: float
    point: float
    high: float


@dataclass(frozen=True, slots=True)
class Findings:
    """What the run showed, in three sentences and a bar."""

    claim: str
    interval: str
    price: str
    bar: IntervalBar | None
    """None where there is no interval."""


def format_value(value: float, measure: Measure) -> str:
    """The value as the table shows it; a dash when it is not finite."""
    if not math.isfinite(value):
        return "–"
    return f"{100 * value:.1f}{THIN}%" if measure.unit == "%" else f"{value:.2f}"


def format_difference(value: float, measure: Measure, *, points: bool = False) -> str:
    """The signed difference of two values; `points` adds the word for differences of per cents."""
    scaled, digits = (100 * value, 1) if measure.unit == "%" else (value, 2)
    text = f"{scaled:+.{digits}f}".replace("-", MINUS)
    if float(text.replace(MINUS, "-")) == 0:
        text = text[1:]
    return f"{text} points" if points and measure.unit == "%" else text


def headline_rows(stages: Sequence[Stage], gain: Gain) -> tuple[HeadlineRow, ...]:
    """The table, one row per measure of `HEADLINE`; the last column compares the two stages that `gain` names."""
    pair = compared_stages(stages, gain)
    return tuple(
        HeadlineRow(
            measure,
            next(metric.counted for metric in stages[0].evaluation.metrics if metric.name == measure.metric),
            tuple(format_value(_value(stage, measure), measure) for stage in stages),
            _change(pair, measure),
        )
        for measure in HEADLINE
    )


def compared_stages(stages: Sequence[Stage], gain: Gain) -> tuple[Stage, Stage]:
    """The stages before and after the gain."""
    by_name = {stage.name: stage for stage in stages}
    return by_name[gain.before], by_name[gain.after]


def findings(stages: Sequence[Stage], gain: Gain) -> Findings:
    """What may be said about the gain: how much, how sure, and which numbers paid for it."""
    pair = compared_stages(stages, gain)
    if not math.isfinite(gain.difference):
        claim = "Triplet recall is not defined: no held-out image has an annotated relationship."
        return Findings(claim, "", _price(pair), None)
    before, after = (format_value(_value(stage, RECALL), RECALL) for stage in pair)
    move = "rose" if gain.difference > 0 else "fell"
    low, high = format_difference(gain.low, RECALL), format_difference(gain.high, RECALL, points=True)
    return Findings(
        claim=f"Triplet recall {move} from {before} {gain.before} to {after} {gain.after}."
        if gain.difference
        else f"Triplet recall did not move: {before} {gain.before}, {after} {gain.after}.",
        interval=f"Difference {format_difference(gain.difference, RECALL, points=True)}, "
        f"{gain.confidence:.0%} interval {low} to {high} (paired bootstrap over {gain.num_images} held-out images). "
        + ("The interval does not contain 0." if gain.is_clear else few_images(gain.num_images) or UNCLEAR),
        price=_price(pair),
        bar=_interval_bar(gain),
    )


def _value(stage: Stage, measure: Measure) -> float:
    return stage.evaluation.value(measure.metric)


def _change(pair: tuple[Stage, Stage], measure: Measure) -> Change:
    before, after = (_value(stage, measure) for stage in pair)
    if not (math.isfinite(before) and math.isfinite(after)):
        return Change("–", "")
    text = format_difference(after - before, measure)
    if not text.startswith(("+", MINUS)):
        return Change(text, "same")
    if not measure.better:
        return Change(text, "")
    return Change(text, "better" if (after > before) == (measure.better == "higher") else "worse")


def _price(pair: tuple[Stage, Stage]) -> str:
    worse = [
        f"{measure.name} {format_value(_value(pair[0], measure), measure)}"
        f" → {format_value(_value(pair[1], measure), measure)}"
        for measure in HEADLINE
        if _change(pair, measure).outcome == "worse"
    ]
    span = f"({pair[0].name} → {pair[1].name})"
    return f"What got worse {span}: {', '.join(worse)}." if worse else f"No number of the table got worse {span}."


def _interval_bar(gain: Gain) -> IntervalBar:
    left, right = min(0.0, gain.low), max(0.0, gain.high)
    span = (right - left) or 1.0
    pad = 0.08 * span
    zero, low, point, high = (
        round(100 * (x - left + pad) / (span + 2 * pad), 2) for x in (0.0, gain.low, gain.difference, gain.high)
    )
    return IntervalBar(zero, low, point, high)
