"""`r1sgg eval A.json B.json …`: runs on the same images, each against the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from r1sgg_cli.data.predictions import Predictions
    from r1sgg_cli.metrics.evaluation import Evaluation
    from r1sgg_cli.metrics.predicate_comparison import PredicateDifference
    from r1sgg_cli.report.comparison import Comparison

FORMAT = "r1sgg-comparison"
"""How a file of comparisons says what it is, so that nothing else is ever replaced."""


def compare_runs(
    paths: Sequence[Path],
    out: Path | None,
    load: Callable[[Path], Predictions],
    score: Callable[[Predictions], Evaluation],
    exports: Sequence[str] = (),
) -> None:
    """Print how each run differs from the first, and write the same as JSON; `score` resamples. Raises `R1SGGError`."""
    import json

    from r1sgg_cli.cli.exporting import EvaluatedRun, insist_on_exports, save_exports
    from r1sgg_cli.files import insist_on_own, save_text
    from r1sgg_cli.report.comparison import compare_stages
    from r1sgg_cli.report.comparison_words import HOW
    from r1sgg_cli.report.same_images import insist_on_same_images, run_names
    from r1sgg_cli.report.stages import Stage

    names = run_names(paths)
    target = out or paths[0].with_name(f"{'-vs-'.join(name.replace('/', '_') for name in names)}.comparison.json")
    insist_on_own(target, FORMAT)
    insist_on_exports(exports, len(paths), target)
    loaded = [load(path) for path in paths]
    insist_on_same_images(paths, loaded)
    stages = [Stage(name, run, score(run)) for name, run in zip(names, loaded, strict=True)]
    comparisons = compare_stages(stages)
    runs = [
        {"name": name, "predictions": str(path), "provenance": dict(run.provenance)}
        for name, path, run in zip(names, paths, loaded, strict=True)
    ]
    content = {"format": FORMAT, "how": HOW, "runs": runs, "comparisons": [_to_json(each) for each in comparisons]}
    save_text(json.dumps(content, indent=1) + "\n", target)
    evaluated = [EvaluatedRun(path, s.predictions, s.evaluation) for path, s in zip(paths, stages, strict=True)]
    exported = save_exports(exports, evaluated)
    console = Console()
    for comparison in comparisons:
        _print(console, comparison)
    console.print(escape(HOW), style="dim", soft_wrap=True)
    console.print(f"[bold]{escape(str(target))}[/]: the same as JSON, with every number and predicate", soft_wrap=True)
    for path in exported:
        console.print(f"[bold]{escape(str(path))}[/]", soft_wrap=True)


def _to_json(comparison: Comparison) -> dict[str, object]:
    from r1sgg_cli.report.comparison_words import sentences

    return {**comparison.to_json(), "in_words": list(sentences(comparison))}


def _print(console: Console, comparison: Comparison) -> None:
    from r1sgg_cli.report.comparison_words import sentences

    console.print(_numbers_table(comparison))
    shown = [each for each in comparison.predicates if each.change != "not shown"]
    if shown:
        console.print(_predicates_table(comparison, shown))
    for sentence in sentences(comparison):
        console.print(escape(sentence), soft_wrap=True)
    for protocol in comparison.protocols:
        console.print(escape(protocol), style="dim", soft_wrap=True)
    for reason in comparison.left_out:
        console.print(escape(f"not compared: {reason}"), soft_wrap=True)
    console.print()


def _numbers_table(comparison: Comparison) -> Table:
    from r1sgg_cli.report.comparison_words import format_amount, format_change, number_name

    title = f"{comparison.other} against {comparison.first}: {comparison.num_images} images, per cent"
    table = _table(title, "number", (comparison.first, comparison.other, "difference", "95 % interval"))
    for number in comparison.headline:
        difference, low, high = (format_change(value, number) for value in number.interval)
        table.add_row(
            number_name(number),
            *(format_amount(metric.value, number) for metric in (number.metric, number.other)),
            difference,
            f"{low} to {high}",
            f"[bold]{number.outcome}[/]" if number.outcome != "not shown" else number.outcome,
        )
    return table


def _predicates_table(comparison: Comparison, shown: Sequence[PredicateDifference]) -> Table:
    title = f"predicates that {comparison.other} finds more or less often than {comparison.first}"
    hits = f"hits {comparison.first} → {comparison.other} of all"
    table = _table(title, "predicate", ("images", hits, "images won : lost", "corrected p"))
    for each in shown:
        table.add_row(
            escape(each.predicate),
            str(each.num_images),
            f"{each.num_hits[0]} → {each.num_hits[1]} of {each.num_annotated}",
            f"{each.images_won} : {each.images_lost}",
            f"{each.adjusted_p_value:.4f}",
            f"[bold]{each.change}[/]",
        )
    return table


def _table(title: str, name: str, columns: Sequence[str]) -> Table:
    table = Table(title=escape(title))
    table.add_column(name, overflow="fold")
    for heading in columns:
        table.add_column(escape(heading), justify="right", overflow="fold")
    table.add_column("verdict", overflow="fold")
    return table
