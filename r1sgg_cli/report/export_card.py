"""The numbers as part of a model's card: `model-index` in its metadata, which the hub shows, and a section of text.

A card that is there keeps all else it says. Numbers of the same data set and split replace the older ones, others stay;
data sets are told apart by their whole name, as `alice/vg150` is not `bob/vg150`.
"""

import hashlib
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from r1sgg_cli import __version__
from r1sgg_cli.errors import OutputError, first_line
from r1sgg_cli.report.escaping import escape_markdown
from r1sgg_cli.report.export_row import COLUMNS, Row, how_counted

TASK = "image-text-to-text"
"""The hub knows no task of scene graphs; this is the one of the models' cards."""


def model_card_with(row: Row, path: Path) -> str:
    """The text of the card at `path`, a new one where there is none, with these numbers in it. Raises `OutputError`."""
    card = load_card(path)
    results = _results(row)
    replaced = {(result.dataset_name, result.dataset_split) for result in results}
    data = card.data
    assert isinstance(data, ModelCardData)
    others = [
        result for result in data.eval_results or [] if (result.dataset_name, result.dataset_split) not in replaced
    ]
    if results or others:
        data.eval_results = [*others, *results]
        data.model_name = data.model_name or _short(row.model)
    section = _section(row)
    begin, end = section.splitlines()[0], section.splitlines()[-1]
    old = re.compile(rf"{re.escape(begin)}.*?{re.escape(end)}\n?", re.DOTALL)
    rest = old.sub("", card.text).strip()
    card.text = "\n".join(["", *([rest, ""] if rest else []), section])
    return f"{card}"


def load_card(path: Path) -> ModelCard:
    """The card at `path`, an empty one where there is none. Raises `OutputError` for a file that is no card."""
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        return ModelCard(text if text.lstrip().startswith("---") else f"---\n\n---\n{text}")
    except OSError as error:
        raise OutputError(f"cannot read the card `{path}`: {error.strerror}; name another file") from error
    except (ValueError, yaml.YAMLError) as error:
        raise OutputError(
            f"`{path}` is no model card that can be read ({first_line(error)}); mend its metadata, or name another file"
        ) from error


def _results(row: Row) -> list[EvalResult]:
    """One per number that has a value."""
    return [
        EvalResult(
            task_type=TASK,
            task_name="Scene graph generation",
            dataset_type=row.dataset,  # by which the hub's library puts results together
            dataset_name=row.dataset,
            dataset_split=row.split or None,
            metric_type=metric.name,
            metric_name=column.title,
            metric_value=round(metric.value, 6),
            metric_args=_arguments(how_counted(metric), metric.interval),
        )
        for column, metric in zip(COLUMNS, row.metrics, strict=True)
        if math.isfinite(metric.value)
    ]


def _arguments(counted: str, interval: Sequence[float] | None) -> dict[str, Any]:
    said: dict[str, Any] = {"counted": counted}
    return said | ({"interval_95": [round(end, 6) for end in interval]} if interval else {})


def _section(row: Row) -> str:
    key = hashlib.sha256(f"{row.dataset}\n{row.split}".encode()).hexdigest()[:8]
    split = f", {escape_markdown(row.split)}" if row.split else ""
    lines = [
        f"<!-- r1sgg eval {key} -->",
        f"## Evaluated on {escape_markdown(row.dataset)}{split}",
        "",
        f"{row.num_images} images, by r1sgg {__version__}; intervals: over images, by bootstrap, of Fail Wilson's.",
        "",
        "| number | value | 95 % interval | how it is counted |",
        "|---|---:|---:|---|",
    ]
    for column, metric in zip(COLUMNS, row.metrics, strict=True):
        value = f"{metric.value:.4f}" if math.isfinite(metric.value) else "–"
        ends = " to ".join(f"{end:.4f}" for end in metric.interval) if metric.interval else "–"
        lines.append(f"| {column.title} | {value} | {ends} | {escape_markdown(how_counted(metric))} |")
    return "\n".join([*lines, "", f"<!-- end of r1sgg eval {key} -->", ""])


def _short(name: str) -> str:
    return Path(name).name or name
