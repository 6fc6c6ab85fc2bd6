"""The numbers of an evaluation as people read them: the headline with intervals, then all others, then those by K."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from r1sgg_cli.metrics.evaluation import Evaluation, Metric
    from r1sgg_cli.metrics.metric import Cut

K_COLUMNS: tuple[Cut, ...] = (20, 50, 100, "annotated", None)


def tables(evaluation: Evaluation) -> list[Table]:
    """Two tables: each number once, the headline first; and those that depend on K, a column for each K."""
    return [_single_numbers(evaluation), _numbers_by_k(evaluation)]


def _single_numbers(evaluation: Evaluation) -> Table:
    by_k = _names_by_k(evaluation)
    table = Table("metric", title=f"{evaluation.num_images} images, {evaluation.setting}")
    table.add_column("value", justify="right", no_wrap=True)
    if evaluation.num_resamples:
        table.add_column("95 % interval", no_wrap=True)
    table.add_column("how it is counted")
    headline = evaluation.headline
    for metric in headline:
        at = "" if metric.k is None else f" @ {metric.k}"
        name = f"{_named(metric)} @ all" if metric.name in by_k and metric.k is None else f"{_named(metric)}{at}"
        _add(table, metric, name, evaluation)
    section = ""
    for metric in evaluation.metrics:
        if metric in headline or metric.name in by_k:
            continue
        if metric.section != section:
            section = metric.section
            table.add_section()
            table.add_row(f"[bold]{escape(section)}[/]")
        _add(table, metric, f"  {_named(metric)}", evaluation)
    return table


def _numbers_by_k(evaluation: Evaluation) -> Table:
    table = Table("metric", title="the first K relationships of each answer", caption=escape(evaluation.protocol))
    for k in K_COLUMNS:
        table.add_column("all" if k is None else f"@ {k}", justify="right", no_wrap=True)
    table.add_column("how it is counted")
    section = ""
    values = {(metric.name, metric.k): metric.value for metric in evaluation.metrics}
    for name, metric in _names_by_k(evaluation).items():
        if metric.section != section:
            section = metric.section
            table.add_section()
            table.add_row(f"[bold]{escape(section)}[/]")
        numbers = (number(values[name, k]) for k in K_COLUMNS)
        table.add_row(f"  {_named(metric)} ({metric.symbol})", *numbers, escape(metric.counted))
    return table


def _names_by_k(evaluation: Evaluation) -> dict[str, Metric]:
    """The metrics that depend on K, each by that of its values which counts all relationships."""
    names = {metric.name for metric in evaluation.metrics if metric.k is not None}
    return {metric.name: metric for metric in evaluation.metrics if metric.name in names and metric.k is None}


def _add(table: Table, metric: Metric, name: str, evaluation: Evaluation) -> None:
    interval = "" if metric.interval is None else " – ".join(number(end) for end in metric.interval)
    middle = [interval] if evaluation.num_resamples else []
    table.add_row(name, number(metric.value), *middle, escape(metric.counted))


def _named(metric: Metric) -> str:
    return escape(metric.name.replace("_", " "))


def number(value: float) -> str:
    """A share with four digits, a dash for what could not be counted."""
    return "–" if math.isnan(value) else f"{value:.4f}"
