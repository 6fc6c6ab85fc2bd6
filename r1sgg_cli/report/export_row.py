"""The paper's columns as a row of a table: CSV, Markdown or LaTeX, one row per predictions file, header included.

Every number is followed by its 95 % interval over images where it has one, and each table says how its
columns are counted. A CSV table grows: a file's row replaces its older one and others stay. It names files by their
path from the table's folder, so that `preds.json` of one run's folder is not that of another's.
"""

import csv
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from r1sgg_cli.data.predictions import Predictions
from r1sgg_cli.data.provenance import limit_of
from r1sgg_cli.errors import OutputError, in_words
from r1sgg_cli.metrics.evaluation import Evaluation, Metric
from r1sgg_cli.report.escaping import escape_latex, escape_markdown

MARKDOWN_MARK = "<!-- r1sgg row -->"
LATEX_MARK = "% r1sgg row"


class Column(NamedTuple):
    """One number of the table; where it has a K, all relationships of an answer count."""

    title: str
    metric: str


COLUMNS = (
    Column("Fail", "failure_rate"),
    Column("AP@50", "box_ap50"),
    Column("Recall", "triplet_recall"),
    Column("mRecall", "mean_recall"),
)
"""The paper's, in its order."""
WHOSE = ("predictions", "model", "dataset", "split", "images")
CSV_HEADER = [*WHOSE, *(f"{c.metric}{end}" for c in COLUMNS for end in ("", "_low", "_high"))]


@dataclass(frozen=True, slots=True)
class Row:
    """The numbers of one predictions file, and whose they are."""

    predictions: str
    """The file's path as it was given."""
    model: str
    dataset: str
    split: str
    """With the limit of a trial, in words."""
    num_images: int
    metrics: tuple[Metric, ...]
    """One per column."""


def row_of(path: Path, predictions: Predictions, evaluation: Evaluation) -> Row:
    """The row of a predictions file."""
    provenance = predictions.provenance
    limit = limit_of(provenance)
    by_name = {metric.name: metric for metric in evaluation.metrics if metric.k is None}
    return Row(
        predictions=str(path),
        model=str(provenance.get("model", "unknown model")),
        dataset=str(provenance.get("dataset", "unknown data set")),
        split=str(provenance.get("split") or "") + (f", {limit}" if limit else ""),
        num_images=evaluation.num_images,
        metrics=tuple(
            by_name.get(column.metric, Metric(column.metric, math.nan, "not asked for")) for column in COLUMNS
        ),
    )


def csv_table(rows: Sequence[Row], path: Path) -> str:
    """The table of `path` with these rows in it, fractions; rows of other files stay. Raises `OutputError`."""
    table = {row[0]: row for row in csv_rows_of(path)}
    for row in rows:
        predictions = os.path.relpath(row.predictions, path.parent)
        numbers = [number for metric in row.metrics for number in (metric.value, *(metric.interval or ("", "")))]
        cells = [predictions, row.model, row.dataset, row.split, row.num_images, *numbers]
        table[predictions] = ["" if cell != cell else str(cell) for cell in cells]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([CSV_HEADER, *table.values()])
    return text.getvalue()


def csv_rows_of(path: Path) -> list[list[str]]:
    """The rows of a table that is to grow, none where there is no file. Raises `OutputError` for another table."""
    if not path.exists():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = list(csv.reader(file)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OutputError(f"cannot read the table in `{path}`: {in_words(error)}; name another file") from error
    if header != CSV_HEADER or any(len(row) != len(header) for row in rows):
        raise OutputError(f"`{path}` is a table with other columns, which would be lost; name another file")
    return rows


def markdown_table(rows: Sequence[Row]) -> str:
    """A table in GitHub's Markdown, per cent, with how each column is counted below it."""
    header = ["Model", "Data set", "Images", *(f"{column.title} (%)" for column in COLUMNS)]
    lines = [MARKDOWN_MARK, "", _piped(header), _piped(["---"] * 3 + ["---:"] * len(COLUMNS))]
    for row in rows:
        names = [escape_markdown(name) for name in (row.model, _of_split(row))]
        lines.append(_piped([*names, str(row.num_images), *(_cell(metric) for metric in row.metrics)]))
    notes = [f"- {title}: {escape_markdown(said)}" for title, said in _how_counted(rows)]
    return "\n".join([*lines, "", *_brackets(rows), *notes]) + "\n"


def latex_table(rows: Sequence[Row]) -> str:
    """A `tabular` that needs `booktabs`, per cent, with how each column is counted in comments above it."""
    header = ["Model", "Data set", "Images", *(rf"{escape_latex(column.title)} (\%)" for column in COLUMNS)]
    lines = [rf"{LATEX_MARK}; needs \usepackage{{booktabs}}", *(f"% {said}" for said in _brackets(rows) if said)]
    lines += [f"% {title}: {' '.join(said.split())}" for title, said in _how_counted(rows)]
    lines += [rf"\begin{{tabular}}{{lll{'r' * len(COLUMNS)}}}", r"\toprule", _joined(header), r"\midrule"]
    for row in rows:
        names = [escape_latex(name) for name in (row.model, _of_split(row), str(row.num_images))]
        lines.append(_joined([*names, *(_cell(metric).replace("–", "--") for metric in row.metrics)]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _of_split(row: Row) -> str:
    return f"{row.dataset} ({row.split})" if row.split else row.dataset


def _cell(metric: Metric) -> str:
    if math.isnan(metric.value):
        return "–"
    value = f"{100 * metric.value:.2f}"
    if metric.interval is None:
        return value
    low, high = metric.interval
    return f"{value} [{100 * low:.2f}, {100 * high:.2f}]"


def _brackets(rows: Sequence[Row]) -> list[str]:
    has_intervals = any(metric.interval for row in rows for metric in row.metrics)
    return ["95 % intervals over images in brackets: bootstrap, of Fail Wilson's.", ""] if has_intervals else []


def how_counted(metric: Metric) -> str:
    """Averaging, denominator, and for relationships K, constraint and IoU."""
    if metric.constraint is None:
        return metric.counted
    return f"{metric.counted}; all relationships of an answer, no graph constraint, one-to-one, IoU {metric.iou}"


def _how_counted(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Title and convention of each column; where the rows differ in one, all are said."""
    said = [dict.fromkeys(how_counted(row.metrics[i]) for row in rows) for i in range(len(COLUMNS))]
    return [(column.title, " / ".join(each)) for column, each in zip(COLUMNS, said, strict=True)]


def _piped(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _joined(cells: Sequence[str]) -> str:
    return rf"{' & '.join(cells)} \\"
