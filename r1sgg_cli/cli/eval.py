"""`r1sgg eval`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from r1sgg_cli.cli.exporting import EvaluatedRun, ExportOption, insist_on_exports, save_exports

if TYPE_CHECKING:
    from r1sgg_cli.metrics.evaluation import Evaluation, Metric

FORMAT = "r1sgg-metrics"
"""How a file of numbers says what it is, so that nothing else is ever replaced."""


def evaluate(
    predictions: Annotated[Path, typer.Argument(metavar="PREDS.JSON", help="A file that `r1sgg gather` wrote.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where the numbers go; `PREDS.metrics.json` when not given.")
    ] = None,
    export: ExportOption = None,
) -> None:
    """Score predicted scene graphs against their ground truth.

    Prints every number with how it is counted, and writes the same, with recall per predicate and per image, as JSON.
    Images without a readable answer count everywhere, as predictions of nothing.

    Example: r1sgg eval preds.json
    """
    import json

    from r1sgg_cli.data.predictions import load_predictions
    from r1sgg_cli.errors import AnswersError
    from r1sgg_cli.files import insist_on_own, save_text
    from r1sgg_cli.report.stages import evaluate_predictions

    target = out or predictions.with_suffix(".metrics.json")
    insist_on_own(target, FORMAT)
    insist_on_exports(export or [], 1)
    loaded = load_predictions(predictions)
    if loaded.provenance.get("annotated") is False:
        raise AnswersError(
            f"`{predictions}` is of pictures without annotations: nothing to score; ask about a data set"
        )
    evaluation = evaluate_predictions(loaded)
    image_ids = [image.image_id for image in loaded.images]
    content = {"format": FORMAT, "provenance": dict(loaded.provenance), **evaluation.to_dict(), "image_ids": image_ids}
    save_text(json.dumps(content, indent=1) + "\n", target)
    exported = save_exports(export or [], [EvaluatedRun(predictions, loaded, evaluation)])
    console = Console()
    console.print(escape(_origin(loaded.provenance)), style="bold", soft_wrap=True)
    if mapped := _mapped(loaded.provenance):
        console.print(escape(mapped), soft_wrap=True)
    console.print(_table(evaluation))
    console.print(f"[bold]{escape(str(target))}[/]: the same as JSON", soft_wrap=True)
    for path in exported:
        console.print(f"[bold]{escape(str(path))}[/]", soft_wrap=True)


def _origin(provenance: Mapping[str, Any]) -> str:
    from r1sgg_cli.data.predictions import limit_of

    split = f" ({provenance['split']})" if provenance.get("split") else ""
    limit = f", {part}" if (part := limit_of(provenance)) else ""
    model, dataset = provenance.get("model", "unknown model"), provenance.get("dataset", "unknown data set")
    return f"{model} on {dataset}{split}{limit}"


def _mapped(provenance: Mapping[str, Any]) -> str | None:
    """How many labels were mapped into the vocabulary, and by what; None where none were."""
    mapping = provenance.get("gather", {}).get("label_mapping", {})
    total = sum(count for counts in mapping.get("mapped", {}).values() for count in counts.values())
    by = ", ".join(f"{kind}: {mapping[kind]}" for kind in ("aliases", "wordnet") if mapping.get(kind))
    return f"{total} labels were mapped into the vocabulary ({by}), which raises the numbers" if total else None


def _table(evaluation: Evaluation) -> Table:
    table = Table("metric", title=f"{evaluation.num_images} images", caption=evaluation.protocol)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("how it is counted")
    for metric in evaluation.metrics:
        if metric.k is None:
            table.add_row(metric.name.replace("_", " "), _number(metric.value), _counted(metric))
        else:
            table.add_row(f"  @ {metric.k}", _number(metric.value), f"first {metric.k} of each answer")
    return table


def _counted(metric: Metric) -> str:
    if metric.interval is None:
        return metric.counted
    low, high = (_number(end) for end in metric.interval)
    return f"{metric.counted}; 95 % bootstrap interval {low} to {high}"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4f}"
