"""The numbers of an evaluation as people read them: the headline with intervals, then all others, then those by K."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from r1sgg_cli.metrics.evaluation import Evaluation, Metric
    from r1sgg_cli.metrics.metric import Cut
    from r1sgg_cli.metrics.published import PublishedEvaluation

COUNTERPARTS = {
    **{"R": "triplet_recall", "ng-R": "triplet_recall", "mR": "mean_recall_vocabulary"},
    **{"ng-mR": "mean_recall_vocabulary", "AP": "box_ap", "AP50": "box_ap50", "AR100": "box_ar"},
    **{"whole ngR": "triplet_recall_pooled", "ngR per image": "triplet_recall", "mean ngR per image": "mean_recall"},
}
"""The published evaluator's name of a number, and the standard number that counts the same thing without its faults.

Its zero-shot recall has none: it counts triplets of a list of VG150's, whatever the data set's own training showed.
"""
K_COLUMNS: tuple[Cut, ...] = (20, 50, 100, "annotated", None)
WIDE = 120
"""Columns of a terminal from which on there is room in the table for how a number is counted."""


def print_numbers(evaluation: Evaluation, console: Console) -> None:
    """Two tables: each number once, the headline first; and those that depend on K, a column for each K.

    How they are counted stands beside the numbers of the first where the terminal is wide, and below each otherwise.
    """
    is_wide = console.width >= WIDE
    console.print(_single_numbers(evaluation, is_wide=is_wide))
    if not is_wide:
        _print_counted(_counted_once(evaluation), console)
    if _names_by_k(evaluation):
        console.print(_numbers_by_k(evaluation))
    _print_counted(_counted_by_k(evaluation), console)
    console.print(escape(evaluation.protocol), soft_wrap=True)
    if evaluation.caution:
        console.print(escape(evaluation.caution), style="bold", soft_wrap=True)


def print_published(published: PublishedEvaluation, evaluation: Evaluation | None, console: Console) -> None:
    """What the published evaluator prints, beside the standard numbers that count the same thing."""
    table = Table("as published", title="the published evaluator's numbers, faults included")
    table.add_column("value", justify="right", no_wrap=True)
    if evaluation is not None:
        table.add_column("standard", justify="right", no_wrap=True)
        table.add_column("which is")
    ours = {} if evaluation is None else {(metric.name, metric.k): metric for metric in evaluation.metrics}
    names: dict[str, list[str]] = {}
    for metric in published.metrics:
        if metric.name.startswith(("AP", "AR")) and metric.name not in COUNTERPARTS:
            continue  # COCO's numbers by size and by limit are in the file
        name = metric.name if metric.k is None else f"{metric.name} @ {metric.k}"
        names.setdefault(metric.counted, []).append(name)
        other = ours.get((COUNTERPARTS.get(metric.name, ""), metric.k))
        beside = ["", ""] if other is None else [number(other.value), _named(other)]
        table.add_row(escape(name), number(metric.value), *(beside if evaluation is not None else ()))
    console.print(table)
    _print_counted(names, console)


def _print_counted(names: Mapping[str, Sequence[str]], console: Console) -> None:
    for counted, those in names.items():
        console.print(f"[bold]{escape(', '.join(those))}[/]: {escape(counted)}", soft_wrap=True)


def _single_numbers(evaluation: Evaluation, *, is_wide: bool) -> Table:
    by_k = _names_by_k(evaluation)
    table = Table("metric", title=f"{evaluation.num_images} images, {evaluation.setting}")
    table.add_column("value", justify="right", no_wrap=True)
    if evaluation.num_resamples:
        table.add_column("95 % interval", no_wrap=True)
    if is_wide:
        table.add_column("how it is counted")
    headline = evaluation.headline
    for metric in headline:
        at = "" if metric.k is None else f" @ {metric.k}"
        name = f"{_named(metric)} @ all" if metric.name in by_k and metric.k is None else f"{_named(metric)}{at}"
        table.add_row(name, *_cells(metric, evaluation, is_wide=is_wide))
    section = ""
    for metric in evaluation.metrics:
        if metric in headline or metric.name in by_k:
            continue
        if metric.section != section:
            section = metric.section
            table.add_section()
            table.add_row(f"[bold]{escape(section)}[/]")
        table.add_row(f"  {_named(metric)}", *_cells(metric, evaluation, is_wide=is_wide))
    return table


def _numbers_by_k(evaluation: Evaluation) -> Table:
    table = Table("metric", title="the first K relationships of each answer")
    for k in K_COLUMNS:
        heading = "all" if k is None else "@ |GT|" if k == "annotated" else f"@ {k}"
        table.add_column(heading, justify="right", no_wrap=True)
    section = ""
    values = {(metric.name, metric.k): metric.value for metric in evaluation.metrics}
    for name, metric in _names_by_k(evaluation).items():
        if metric.section != section:
            section = metric.section
            table.add_section()
        numbers = (number(values[name, k]) for k in K_COLUMNS)
        table.add_row(f"{_named(metric)} ({metric.symbol})", *numbers)
    return table


def _counted_once(evaluation: Evaluation) -> dict[str, list[str]]:
    """How the numbers that do not depend on K are counted, and which of them so."""
    by_k = _names_by_k(evaluation)
    names: dict[str, list[str]] = {}
    for metric in evaluation.metrics:
        if metric.name not in by_k:
            names.setdefault(metric.counted, []).append(metric.name.replace("_", " "))
    return names


def _counted_by_k(evaluation: Evaluation) -> dict[str, list[str]]:
    """How the numbers of the second table are counted, and which of them so."""
    names: dict[str, list[str]] = {}
    for metric in _names_by_k(evaluation).values():
        names.setdefault(metric.counted, []).append(metric.name.replace("_", " "))
    return names


def _names_by_k(evaluation: Evaluation) -> dict[str, Metric]:
    """The metrics that depend on K, each by that of its values which counts all relationships."""
    names = {metric.name for metric in evaluation.metrics if metric.k is not None}
    return {metric.name: metric for metric in evaluation.metrics if metric.name in names and metric.k is None}


def _cells(metric: Metric, evaluation: Evaluation, *, is_wide: bool) -> list[str]:
    """Value, interval and how it is counted, as far as the table has columns for them."""
    interval = "" if metric.interval is None else " – ".join(number(end) for end in metric.interval)
    return [
        number(metric.value),
        *([interval] if evaluation.num_resamples else []),
        *([escape(metric.counted)] if is_wide else []),
    ]


def _named(metric: Metric) -> str:
    return escape(metric.name.replace("_", " "))


def number(value: float) -> str:
    """A share with four digits, a dash for what could not be counted."""
    return "–" if math.isnan(value) else f"{value:.4f}"
