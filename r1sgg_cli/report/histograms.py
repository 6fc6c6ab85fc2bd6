"""Counts as something to look at: labels by frequency, with their tail, and how numbers are distributed."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from r1sgg_cli.report.curves import Tick, nice_ticks

NUM_BARS = 30
MAX_TAIL = 300
"""Labels of the tail that are listed by name."""
SHARES = ((0.5, "half"), (0.9, "90 %"))
MAX_BINS = 24
WIDEST_BAR = 44.0
WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 56, 6, 10, 40
RARE = 10

Band = Literal["head", "middle", "tail"]
"""Labels that make the first half of all, those up to 90 %, and the rest."""


@dataclass(frozen=True, slots=True)
class LabelBar:
    """One label's count."""

    label: str
    count: int
    share: str
    length: float
    """Percent of the longest bar."""
    band: Band
    mark: str
    """What is reached with this label, such as `"half of all, with 3 of 50 names"`; mostly empty."""


@dataclass(frozen=True, slots=True)
class LabelHistogram:
    """Labels by count, most frequent first."""

    total: int
    num_labels: int
    bars: tuple[LabelBar, ...]
    tail: str
    """`"and 104 more with 2.0 % of all"`; empty without a tail."""
    tail_labels: tuple[tuple[str, int], ...]
    num_unlisted: int
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NumberBar:
    """One bin of a histogram, in drawing coordinates."""

    x: float
    y: float
    width: float
    height: float
    label: str
    hover: str


@dataclass(frozen=True, slots=True)
class NumberHistogram:
    """A distribution laid out for the template."""

    title: str
    x_label: str
    y_label: str
    bars: tuple[NumberBar, ...]
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    facts: str


def label_histogram(counts: Counter[str], noun: str, vocabulary: Collection[str] = ()) -> LabelHistogram:
    """Bars of the most frequent labels and a summary of the others; `noun` is what a label is, in the plural.

    Of equally frequent labels the first in the alphabet comes first.
    """
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    total = sum(counts.values())
    bars = _label_bars(ordered, total, noun)
    rest = ordered[len(bars) :]
    tail = f"and {len(rest):,} more with {percent(sum(count for _, count in rest), total)} of all" if rest else ""
    return LabelHistogram(
        total,
        len(ordered),
        bars,
        tail,
        tuple(rest[:MAX_TAIL]),
        max(0, len(rest) - MAX_TAIL),
        _label_facts(counts, noun, vocabulary),
    )


def _label_bars(ordered: Sequence[tuple[str, int]], total: int, noun: str) -> tuple[LabelBar, ...]:
    bars = []
    reached, so_far = 0.0, 0
    for rank, (label, count) in enumerate(ordered[:NUM_BARS], start=1):
        band: Band = "head" if reached < SHARES[0][0] else "middle" if reached < SHARES[1][0] else "tail"
        before, so_far = reached, so_far + count
        reached = so_far / total
        passed = [name for share, name in SHARES if before < share <= reached]
        mark = f"{passed[-1]} of all, with {rank:,} of {len(ordered):,} {noun}" if passed and len(ordered) > 3 else ""
        bars.append(LabelBar(label, count, percent(count, total), round(100 * count / ordered[0][1], 2), band, mark))
    return tuple(bars)


def _label_facts(counts: Counter[str], noun: str, vocabulary: Collection[str]) -> tuple[str, ...]:
    """What the bars cannot say, as sentences."""
    known = set(vocabulary)
    rare = sum(1 for count in counts.values() if count < RARE)
    facts = [f"{rare:,} of {len(counts):,} {noun} occur fewer than {RARE} times."] if rare else []
    if unused := sorted(known - counts.keys()):
        facts.append(f"{len(unused):,} of the vocabulary’s {len(known):,} never occur: {_enumerated(unused)}.")
    if known and (unknown := sorted(counts.keys() - known)):
        facts.append(f"{len(unknown):,} are not in the vocabulary: {_enumerated(unknown)}.")
    return tuple(facts)


def _enumerated(labels: Sequence[str], limit: int = 8) -> str:
    shown = ", ".join(labels[:limit])
    return f"{shown} and {len(labels) - limit:,} more" if len(labels) > limit else shown


def percent(part: int, whole: int) -> str:
    """A share with two digits that matter, such as `"12 %"`, `"2.1 %"`, `"< 0.01 %"`; a dash of nothing."""
    if whole == 0:
        return "–"
    value = 100 * part / whole
    if 0 < value < 0.01:
        return "< 0.01 %"
    return f"{value:.0f} %" if value >= 9.95 or value == 0 else f"{value:.1f} %" if value >= 0.095 else f"{value:.2f} %"


def count_histogram(title: str, noun: str, images_with: Mapping[int, int]) -> NumberHistogram | None:
    """How many images have how many of something; None without images. The last bin may hold all that is larger."""
    if not images_with:
        return None
    lowest, highest = min(images_with), max(images_with)
    shown = quantile(images_with, 0.99)
    width = next(
        step
        for power in range(9)
        for step in (10**power, 2 * 10**power, 5 * 10**power)
        if shown - lowest < step * MAX_BINS
    )
    first, last = lowest // width, min(shown // width + 1, highest // width)
    bins = [0] * (last - first + 1)
    for value, images in images_with.items():
        bins[min(value // width, last) - first] += images
    names = [_range_name(i * width, (i + 1) * width - 1) for i in range(first, last + 1)]
    if highest >= (last + 1) * width:
        names[-1] = f"{last * width}+"
    mean = sum(value * images for value, images in images_with.items()) / sum(images_with.values())
    facts = f"median {quantile(images_with, 0.5)}, mean {mean:.1f}, at most {highest}"
    return _number_histogram(title, f"{noun} in an image", "images", names, bins, facts)


def _range_name(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}–{high}"


def side_histogram(sides: Mapping[int, int]) -> NumberHistogram | None:
    """How large the boxes are, each bin twice as wide as the one before; None without boxes."""
    if not sides:
        return None
    low, high = min(sides), max(sides)
    names = [f"{2**k}–{2 ** (k + 1)}" if k else "< 2" for k in range(low, high + 1)]
    small = percent(_below(sides, 5), sum(sides.values()))
    facts = (
        f"median {names[quantile(sides, 0.5) - low]} px; {small} are below 32 px; each bin is twice as wide as the last"
    )
    label = "side of a box: √area in pixels (log scale)"
    return _number_histogram("Box sizes", label, "boxes", names, [sides.get(k, 0) for k in range(low, high + 1)], facts)


def _below(sides: Mapping[int, int], exponent: int) -> int:
    return sum(count for k, count in sides.items() if k < exponent)


def quantile(counts: Mapping[int, int], share: float) -> int:
    """The smallest number that this share of all do not exceed; `counts` says how often each number occurs."""
    wanted, so_far = share * sum(counts.values()), 0
    for value in sorted(counts):
        so_far += counts[value]
        if so_far >= wanted:
            return value
    raise ValueError("no numbers, no quantile")


def _number_histogram(
    title: str, x_label: str, y_label: str, names: Sequence[str], bins: Sequence[int], facts: str
) -> NumberHistogram:
    y_values = [y for y in nice_ticks(0, max(bins), target=4) if float(y).is_integer()]  # nothing is counted in halves
    slot = (WIDTH - LEFT - RIGHT) / len(bins)
    width = min(0.88 * slot, WIDEST_BAR)
    scale = (HEIGHT - TOP - BOTTOM) / y_values[-1]
    floor = HEIGHT - BOTTOM
    bars = tuple(
        NumberBar(
            x=round(LEFT + (i + 0.5) * slot - width / 2, 2),
            y=round(floor - count * scale, 2),
            width=round(width, 2),
            height=round(count * scale, 2),
            label=name,
            hover=f"{name}: {count:,} {y_label} ({percent(count, sum(bins))})",
        )
        for i, (name, count) in enumerate(zip(names, bins, strict=True))
    )
    every = max(1, -(-max(len(name) for name in names) * len(names) // 46))  # about 46 characters fit below the axis
    return NumberHistogram(
        title,
        x_label,
        y_label,
        bars,
        tuple(Tick(round(floor - y * scale, 2), f"{y:,.0f}") for y in y_values),
        tuple(Tick(round(LEFT + (i + 0.5) * slot, 2), name) for i, name in enumerate(names) if i % every == 0),
        facts,
    )
