"""Training curves as plain SVG geometry: scales, ticks, lines and hover texts; the template only writes them down."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TypeVar

WIDTH, HEIGHT = 460, 280
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 14, 44
"""Margins around the plot, in the same units; the axes' words live there."""
MAX_POINTS = 400
"""Of one line: as many as its plot has pixels across."""
MAX_HOVER_STEPS = 100
MAX_TABLE_ROWS = 12
TINY = 1e-300
SMOOTHING_SHARE = 20
"""The thick line averages over this part of the points: 1/20."""

Point = tuple[float, float]
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart: (step, value) in ascending steps; values that are not finite leave a gap."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """One chart of the page."""

    title: str
    x_label: str
    """With its unit, such as `"optimizer step"`."""
    y_label: str
    """With its unit, such as `"loss (nats per token)"`."""
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    position: float
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """One series in drawing coordinates."""

    name: str
    raw_path: str
    smooth_path: str


@dataclass(frozen=True, slots=True)
class HoverStep:
    """A vertical band of the plot that tells the values of its step."""

    left: float
    width: float
    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A curve laid out for the template."""

    curve: Curve
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    hover: tuple[HoverStep, ...]
    table: tuple[tuple[str, ...], ...]
    """Rows of step and one value per series, at most `MAX_TABLE_ROWS`."""
    window: int
    """Number of points that one point of the thick line averages."""


def lay_out(curve: Curve) -> Chart | None:
    """The chart of a curve; None when it has no finite value at all."""
    finite = [p for series in curve.series for p in series.points if math.isfinite(p[1])]
    if not finite:
        return None
    x_low, x_high = min(x for x, _ in finite), max(x for x, _ in finite)
    low, high = min(y for _, y in finite), max(y for _, y in finite)
    # From zero, unless the values keep so far away from it that their course would be a flat line.
    y_values = nice_ticks(0.0 if 0 <= low < high / 2 else low, high) if (low, high) != (0, 0) else [0.0, 1.0]
    scale_x = linear_scale(x_low, x_high, LEFT, WIDTH - RIGHT)
    scale_y = linear_scale(y_values[0], y_values[-1], HEIGHT - BOTTOM, TOP)
    steps = sorted({x for series in curve.series for x, _ in series.points})
    window = max(1, max(len(series.points) for series in curve.series) // SMOOTHING_SHARE)
    return Chart(
        curve=curve,
        x_ticks=tuple(Tick(scale_x(x), format_number(x)) for x in nice_ticks(x_low, x_high) if x_low <= x <= x_high),
        y_ticks=tuple(Tick(scale_y(y), format_number(y)) for y in y_values),
        lines=tuple(_line(series, scale_x, scale_y, window) for series in curve.series),
        hover=_hover(curve, thinned(steps, MAX_HOVER_STEPS), scale_x),
        table=_values_at(curve, thinned(steps, MAX_TABLE_ROWS)),
        window=window,
    )


def nice_ticks(low: float, high: float, target: int = 5) -> list[float]:
    """About `target` round numbers (1, 2 or 5 times a power of ten) that enclose `low` and `high`."""
    largest = max(abs(low), abs(high))
    if high - low <= max(1e-8 * largest, TINY):  # no width, or none that floating point could divide
        half = largest / 2 if largest > TINY else 0.5
        low, high = low - half, high + half
    rough = (high - low) / target
    power: float = 10.0 ** math.floor(math.log10(rough))
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def thinned(values: Sequence[Value], limit: int) -> list[Value]:
    """At most `limit` of the values, evenly spaced, first and last included."""
    if len(values) <= limit:
        return list(values)
    return [values[round(i * (len(values) - 1) / (limit - 1))] for i in range(limit)]


def running_mean(points: Sequence[Point], window: int, limit: int = MAX_POINTS) -> list[Point]:
    """At most `limit` of the points, each as the mean of the finite points around it; gaps stay gaps.

    These are `window` points, fewer at the ends.
    """
    is_finite = [math.isfinite(y) for _, y in points]
    values = [y if ok else 0.0 for (_, y), ok in zip(points, is_finite, strict=True)]
    counts = list(accumulate(is_finite, initial=0))
    before, after = (window - 1) // 2, window // 2 + 1
    means = []
    for i in thinned(range(len(points)), limit):
        first, end = max(0, i - before), min(len(points), i + after)
        mean = sum(values[first:end]) / (counts[end] - counts[first]) if is_finite[i] else math.nan
        means.append((points[i][0], mean))
    return means


def extremes(points: Sequence[Point], limit: int) -> list[Point]:
    """At most `limit` of the points: of each stretch the lowest and the highest, so that no spike is lost.

    Gaps between stretches are lost, those of whole stretches are not.
    """
    if len(points) <= limit:
        return list(points)
    num_stretches = limit // 2
    kept = []
    for k in range(num_stretches):
        stretch = points[k * len(points) // num_stretches : (k + 1) * len(points) // num_stretches]
        finite = [p for p in stretch if math.isfinite(p[1])] or [stretch[0]]
        kept += sorted({min(finite, key=lambda p: p[1]), max(finite, key=lambda p: p[1])})
    return kept


def format_number(value: float) -> str:
    """Short text of a number: `12000`, `0.25`, `6e-7`; a dash when it is not finite.

    Below a thousandth with an exponent: `0.00035` would reach into the words beside an axis.
    """
    if not math.isfinite(value):
        return "–"
    text = f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e6 else f"{value:.3g}"
    if 0 < abs(value) < 1e-3:
        digits, exponent = f"{value:.2e}".split("e")
        text = f"{float(digits):g}e{int(exponent)}"
    return text.replace("-", "\N{MINUS SIGN}")


Scale = Callable[[float], float]


def linear_scale(low: float, high: float, start: float, end: float) -> Scale:
    """A linear map from data to drawing coordinates; a range of no width maps to the middle."""

    def position(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(start + share * (end - start), 2)

    return position


def _line(series: Series, scale_x: Scale, scale_y: Scale, window: int) -> Line:
    return Line(
        series.name,
        raw_path=_path(extremes(series.points, MAX_POINTS), scale_x, scale_y) if window > 1 else "",
        smooth_path=_path(running_mean(series.points, window), scale_x, scale_y),
    )


def _path(points: Sequence[Point], scale_x: Scale, scale_y: Scale) -> str:
    parts: list[str] = []
    pen_down = False
    for x, y in points:
        if math.isfinite(y):
            parts.append(f"{'L' if pen_down else 'M'}{scale_x(x):g} {scale_y(y):g}")
        pen_down = math.isfinite(y)
    return "".join(parts)


def _values_at(curve: Curve, steps: Sequence[float]) -> tuple[tuple[str, ...], ...]:
    """For each step its number and the value of every series."""
    by_step = [dict(series.points) for series in curve.series]
    return tuple(
        (format_number(step), *(format_number(values.get(step, math.nan)) for values in by_step)) for step in steps
    )


def _hover(curve: Curve, steps: Sequence[float], scale_x: Scale) -> tuple[HoverStep, ...]:
    centres = [scale_x(step) for step in steps]
    edges = [LEFT, *((a + b) / 2 for a, b in pairwise(centres)), WIDTH - RIGHT]
    names = [series.name for series in curve.series]
    bands = []
    rows = _values_at(curve, steps)
    for (step_text, *values), centre, left, right in zip(rows, centres, edges, edges[1:], strict=False):
        lines = [f"{curve.x_label} {step_text}", *(f"{n}: {v}" for n, v in zip(names, values, strict=True))]
        bands.append(HoverStep(round(left, 2), round(right - left, 2), centre, "\n".join(lines)))
    return tuple(bands)
