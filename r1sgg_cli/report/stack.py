"""Where a run's time went, as layers on top of one another over its steps: plain SVG geometry for the template."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from r1sgg_cli.report.curves import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    HoverStep,
    Tick,
    format_number,
    linear_scale,
    nice_ticks,
)

MAX_STRETCHES = 100
"""Parts of a run, each of which is drawn by its mean step."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One part of all steps' time."""

    name: str
    path: str
    mean: str
    """Seconds per step."""
    share: str


@dataclass(frozen=True, slots=True)
class Stack:
    """Layers in the order in which they stand, the lowest first."""

    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    layers: tuple[Layer, ...]
    hover: tuple[HoverStep, ...]
    num_steps: int
    total: str
    """Seconds of a mean step."""


def lay_out_stack(rows: Sequence[Mapping[str, Any]], prefix: str, order: Sequence[str]) -> Stack | None:
    """Layers of what rows have under keys that begin with `prefix`: those in `order` first, then any other.

    None where no row has any. What a row does not have took no time.
    """
    measured = [row for row in rows if any(key.startswith(prefix) for key in row)]
    if not measured:
        return None
    present = {key.removeprefix(prefix) for row in measured for key in row if key.startswith(prefix)}
    names = [*(name for name in order if name in present), *sorted(present - set(order))]
    stretches = [_mean_step(stretch, prefix, names) for stretch in _stretches(measured)]
    steps, values = [step for step, _ in stretches], [seconds for _, seconds in stretches]
    heights = [[0.0, *accumulate(seconds)] for seconds in values]
    y_values = nice_ticks(0.0, max(column[-1] for column in heights))
    scale_x = linear_scale(steps[0], steps[-1], LEFT, WIDTH - RIGHT)
    scale_y = linear_scale(0.0, y_values[-1], HEIGHT - BOTTOM, TOP)
    xs = [scale_x(step) for step in steps] if len(steps) > 1 else [LEFT, WIDTH - RIGHT]  # one step is drawn wide
    columns = heights if len(steps) > 1 else heights * 2
    means = [sum(row.get(prefix + name) or 0.0 for row in measured) / len(measured) for name in names]
    ticks = [step for step in nice_ticks(steps[0], steps[-1]) if steps[0] <= step <= steps[-1]]
    return Stack(
        x_ticks=tuple(Tick(scale_x(step), format_number(step)) for step in ticks),
        y_ticks=tuple(Tick(scale_y(value), format_number(value)) for value in y_values),
        layers=tuple(
            Layer(
                name,
                _area(xs, [scale_y(column[i]) for column in columns], [scale_y(column[i + 1]) for column in columns]),
                format_number(mean),
                f"{mean / max(sum(means), 1e-9):.1%}",
            )
            for i, (name, mean) in enumerate(zip(names, means, strict=True))
        ),
        hover=_hover(steps, values, names, [scale_x(step) for step in steps]),
        num_steps=len(measured),
        total=format_number(sum(means)),
    )


def _stretches(rows: Sequence[Mapping[str, Any]]) -> list[Sequence[Mapping[str, Any]]]:
    number = min(MAX_STRETCHES, len(rows))
    return [rows[k * len(rows) // number : (k + 1) * len(rows) // number] for k in range(number)]


def _mean_step(rows: Sequence[Mapping[str, Any]], prefix: str, names: Sequence[str]) -> tuple[float, list[float]]:
    """The middle of a stretch and its mean seconds of each name."""
    seconds = [sum(row.get(prefix + name) or 0.0 for row in rows) / len(rows) for name in names]
    return (rows[0]["step"] + rows[-1]["step"]) / 2, seconds


def _area(xs: Sequence[float], low: Sequence[float], high: Sequence[float]) -> str:
    """Along the upper edge and back along the lower one."""
    corners = [*zip(xs, high, strict=True), *reversed(list(zip(xs, low, strict=True)))]
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in corners) + "Z"


def _hover(
    steps: Sequence[float], values: Sequence[Sequence[float]], names: Sequence[str], centres: Sequence[float]
) -> tuple[HoverStep, ...]:
    edges = [LEFT, *((a + b) / 2 for a, b in pairwise(centres)), WIDTH - RIGHT]
    bands = []
    for step, seconds, centre, (left, right) in zip(steps, values, centres, pairwise(edges), strict=True):
        told = [f"{name}: {value:.3g} s" for name, value in zip(names, seconds, strict=True) if value]
        text = "\n".join([f"step {format_number(step)}: {sum(seconds):.3g} s", *told])
        bands.append(HoverStep(round(left, 2), round(right - left, 2), centre, text))
    return tuple(bands)
