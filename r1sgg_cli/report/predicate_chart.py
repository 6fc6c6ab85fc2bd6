"""Recall of each predicate against how often training showed it: plain SVG geometry, the frequency on a log axis."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from r1sgg_cli.metrics.predicates import PredicateCount
from r1sgg_cli.report.curves import Tick, linear_scale
from r1sgg_cli.report.overlay import text_width

WIDTH, HEIGHT = 640.0, 380.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 36.0, 16.0, 48.0
ZERO_GAP = 42.0
"""Width of the column of what training never showed, where there is such."""
ZERO_RISE = 14.0
"""How far above the axis a recall of 0 lies, so that the axis strikes through no name."""
SAME_DOT = 4.0
"""Dots closer than this look like one."""
RADII = (3.0, 10.0)
FONT_SIZE = 11.5
LABEL_HEIGHT = 13.0

Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class PredicatePoint:
    """One predicate."""

    predicate: str
    frequency: int
    """How often it is annotated in the training split, or here where that is not known."""
    annotated: int
    """How often it is annotated in the images of the report."""
    group: str
    """Head, body or tail of the training split; empty where that is not known."""
    recalls: tuple[str, ...]
    """Of one run or of two, as text."""
    positions: tuple[tuple[float, float], ...]
    """Of the same, in drawing coordinates."""
    radius: float
    label: str
    """Its name, with the number of those that lie under the same dot."""
    label_xy: tuple[float, float] | None
    """Left end and baseline of that; None where it would cover others, and for those under another's dot."""
    title: str

    @property
    def label_width(self) -> float:
        """How wide the label is set, whatever the font: no wider than the place that was found for it."""
        return text_width(self.label, FONT_SIZE)


@dataclass(frozen=True, slots=True)
class PredicateChart:
    """The chart, its points by falling frequency."""

    points: tuple[PredicatePoint, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_label: str
    has_training: bool


def lay_out_predicates(runs: Sequence[Sequence[PredicateCount]]) -> PredicateChart | None:
    """The chart of the predicates that are annotated, None where there are none, of one run or of two on one split.

    Where it is not known how often training showed them, the frequency is that of the split itself.
    """
    of_runs = [{count.name: count for count in counts if count.num_annotated} for counts in runs]
    counts = of_runs[0]
    if not counts:
        return None
    has_training = all(count.num_training is not None for count in counts.values())
    frequency = {name: (c.num_training if has_training else c.num_annotated) or 0 for name, c in counts.items()}
    scale_x, x_ticks = _log_axis(frequency.values())
    scale_y = linear_scale(0, 1, HEIGHT - BOTTOM - ZERO_RISE, TOP)
    most = math.sqrt(max(count.num_annotated for count in counts.values()))
    drawn = {}
    for name in sorted(counts, key=lambda name: (-frequency[name], -counts[name].num_annotated, name)):
        radius = round(max(RADII[0], RADII[1] * math.sqrt(counts[name].num_annotated) / most), 1)
        drawn[name] = [(scale_x[frequency[name]], scale_y(run[name].recall)) for run in of_runs], radius
    last = {name: (places[-1], radius) for name, (places, radius) in drawn.items()}
    under = _under_one_dot(last)
    texts = {name: f"{name} +{len(others)}" if (others := under.get(name)) else name for name in drawn}
    labels = _place_labels({name: (texts[name], *last[name]) for name in under})
    points = (
        _point([run[name] for run in of_runs], frequency[name], place, (texts[name], labels.get(name)))
        for name, place in drawn.items()
    )
    y_ticks = tuple(Tick(scale_y(share / 100), f"{share} %") for share in range(0, 101, 20))
    where = "the training split" if has_training else "these images"
    return PredicateChart(tuple(points), x_ticks, y_ticks, f"times annotated in {where} (log scale)", has_training)


def _point(
    counts: Sequence[PredicateCount],
    frequency: int,
    drawn: tuple[Sequence[tuple[float, float]], float],
    label: tuple[str, tuple[float, float] | None],
) -> PredicatePoint:
    first = counts[0]
    told = tuple(f"{100 * count.recall:.1f} %" for count in counts)
    here = f"{first.num_annotated:,} annotated here"
    title = f"{first.name}: recall {' → '.join(told)}; {here}, {frequency:,} on the axis"
    positions = tuple(drawn[0])
    group = first.group or ""
    return PredicatePoint(first.name, frequency, first.num_annotated, group, told, positions, drawn[1], *label, title)


def _log_axis(frequencies: Iterable[int]) -> tuple[dict[int, float], tuple[Tick, ...]]:
    """Position of each frequency, and the ticks; zero has a column of its own, left of the axis."""
    values = sorted(set(frequencies))
    positive = [value for value in values if value] or [1]
    has_zero = values[0] == 0
    low, high = math.floor(math.log10(positive[0])), math.ceil(math.log10(positive[-1]))
    high = max(high, low + 1)
    scale = linear_scale(low, high, LEFT + (ZERO_GAP if has_zero else 12), WIDTH - RIGHT)
    positions = {value: scale(math.log10(value)) if value else LEFT + 14 for value in values}
    factors = (1, 2, 5) if high - low <= 2 else (1,)
    marks = [f * 10**power for power in range(low, high + 1) for f in factors if f * 10**power <= 10**high]
    ticks = [Tick(scale(math.log10(mark)), f"{mark:,}") for mark in marks]
    return positions, (*([Tick(LEFT + 14, "0")] if has_zero else []), *ticks)


def _under_one_dot(points: Mapping[str, tuple[tuple[float, float], float]]) -> dict[str, list[str]]:
    """For each name that has a dot to itself or is the first of those under one, the others."""
    under: dict[str, list[str]] = {}
    for name, (place, _) in points.items():
        first = next((other for other in under if math.dist(points[other][0], place) < SAME_DOT), None)
        if first is None:
            under[name] = []
        else:
            under[first].append(name)
    return under


def _place_labels(
    points: Mapping[str, tuple[str, tuple[float, float], float]],
) -> dict[str, tuple[float, float] | None]:
    """For each label its place right of its point, left, above or below; None where each would cover something."""
    taken: list[Rectangle] = [(x - r, y - r, x + r, y + r) for _, (x, y), r in points.values()]
    taken.append((LEFT, HEIGHT - BOTTOM - 1, WIDTH, HEIGHT - BOTTOM + 1))
    placed: dict[str, tuple[float, float] | None] = {}
    for name, (text, (x, y), radius) in sorted(points.items(), key=lambda item: -item[1][2]):
        width = text_width(text, FONT_SIZE)
        lefts_tops = (
            (x + radius + 3, y - LABEL_HEIGHT / 2),
            (x - radius - 3 - width, y - LABEL_HEIGHT / 2),
            (x - width / 2, y - radius - 1 - LABEL_HEIGHT),
            (x - width / 2, y + radius + 1),
        )
        rectangles = [(left, top, left + width, top + LABEL_HEIGHT) for left, top in lefts_tops]
        free = [r for r in rectangles if _is_inside(r) and not any(_overlap(r, other) for other in taken)]
        placed[name] = (round(free[0][0], 1), round(free[0][1] + LABEL_HEIGHT - 3, 1)) if free else None
        taken += free[:1]
    return placed


def _is_inside(rectangle: Rectangle) -> bool:
    left, top, right, bottom = rectangle
    return left >= LEFT and top >= 0 and right <= WIDTH and bottom <= HEIGHT - BOTTOM + 8


def _overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
