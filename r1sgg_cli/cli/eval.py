"""`r1sgg eval`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape

from r1sgg_cli.cli.collector import paused
from r1sgg_cli.cli.comparing import compare_runs
from r1sgg_cli.cli.exporting import EvaluatedRun, ExportOption, insist_on_content, insist_on_exports, save_exports
from r1sgg_cli.cli.fuller_numbers import Computed, fingerprint, insist_on_no_loss

if TYPE_CHECKING:
    from r1sgg_cli.data.predictions import Predictions
    from r1sgg_cli.metrics.background import NamedSimilarity
    from r1sgg_cli.metrics.evaluation import Evaluation
    from r1sgg_cli.metrics.published import PublishedEvaluation

Protocol = Literal["standard", "published"]
FORMAT = "r1sgg-metrics"
"""How a file of numbers says what it is, so that nothing else is ever replaced."""
FEWEST_RESAMPLES, MOST_RESAMPLES = 100, 100_000
"""A 95 % interval leaves out 2.5 % of them on either side: two or three of 100."""


def _insist_on_enough(resamples: int) -> int:
    if 0 < resamples < FEWEST_RESAMPLES:
        raise typer.BadParameter(
            f"{resamples} resamples make no interval: give at least {FEWEST_RESAMPLES}, or 0 for numbers alone"
        )
    return resamples


def evaluate(
    predictions: Annotated[
        list[Path],
        typer.Argument(
            metavar="PREDS.JSON…",
            help="A file that `r1sgg gather` wrote; of several, each run is compared with the first.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Where the numbers go; `PREDS.metrics.json`, `A-vs-B.comparison.json` when not given."
        ),
    ] = None,
    protocol: Annotated[
        Protocol | None,
        typer.Option(
            help="`standard`: repaired, with intervals; `published`: what the published evaluator prints, faults "
            "included; both when not given.",
            show_default=False,
        ),
    ] = None,
    training: Annotated[
        Path | None,
        typer.Option(
            help="The prepared data set whose training split says what is zero-shot, rare or novel; for predictions "
            "that do not say it themselves."
        ),
    ] = None,
    similarity: Annotated[
        str,
        typer.Option(
            help="Also score labels by meaning, for answers in other words: `spacy`, `spacy:MODEL` or "
            "`sentence-transformers:MODEL`."
        ),
    ] = "exact",
    resamples: Annotated[
        int,
        typer.Option(
            min=0,
            max=MOST_RESAMPLES,
            callback=_insist_on_enough,
            help=f"Resamples of the images behind each 95 % interval, at least {FEWEST_RESAMPLES}; 0 for no intervals.",
        ),
    ] = 1_000,
    export: ExportOption = None,
) -> None:
    """Score predicted scene graphs against their ground truth.

    Prints every number with how it is counted and its 95 % interval, and writes the same, with recall per predicate and
    per image, as JSON. Images without a readable answer count everywhere, as predictions of nothing.

    Several files of the same images are compared: paired intervals of each difference, predicates that one run finds
    more often, and what of it is significant in plain words.

    Example: r1sgg eval preds.json
    """
    _insist_on_standard(protocol, resamples, is_comparison=len(predictions) > 1, is_export=bool(export))

    def score(loaded: Predictions) -> Evaluation:
        from r1sgg_cli.report.stages import evaluate_predictions

        return evaluate_predictions(loaded, resamples, _similarity(similarity))

    with paused():
        if len(predictions) > 1:
            compare_runs(predictions, out, lambda path: _load(path, training), score, export or [])
        else:
            computed = Computed(protocol != "published", resamples > 0, protocol != "standard")
            _evaluate_one(predictions[0], out, protocol, computed, training, score, export or [])


def _evaluate_one(
    source: Path,
    out: Path | None,
    protocol: Protocol | None,
    computed: Computed,
    training: Path | None,
    score: Callable[[Predictions], Evaluation],
    export: list[str],
) -> None:
    """Score one file, write the numbers and print them. Raises `R1SGGError`."""
    import json

    from r1sgg_cli.files import insist_on_own, save_text

    target = out or source.with_suffix(".metrics.json")
    insist_on_own(target, FORMAT)
    insist_on_exports(export, 1, target)
    loaded, predictions_sha256 = _load(source, training), fingerprint(source)
    if out is None:
        insist_on_no_loss(target, predictions_sha256, computed)
    insist_on_content(export, loaded)
    evaluation = score(loaded) if computed.standard else None
    published, unpublished = _published(loaded, protocol)
    content = {
        "format": FORMAT,
        "provenance": dict(loaded.provenance),
        **(evaluation.to_dict() if evaluation else {}),
        **({"published": published.to_dict()} if published else {}),
        "predictions_sha256": predictions_sha256,
        "image_ids": [image.image_id for image in loaded.images],
    }
    save_text(json.dumps(content, indent=1) + "\n", target)
    exported = save_exports(export, [EvaluatedRun(source, loaded, evaluation)]) if evaluation else []
    console = Console()
    _print(loaded, evaluation, published, console)
    for reason in _left_out(evaluation, unpublished, knows_training=loaded.training is not None):
        console.print(escape(f"not computed: {reason}"), soft_wrap=True)
    console.print(f"[bold]{escape(str(target))}[/]: the same as JSON, and every predicate", soft_wrap=True)
    for path in exported:
        console.print(f"[bold]{escape(str(path))}[/]", soft_wrap=True)


def _print(
    loaded: Predictions, evaluation: Evaluation | None, published: PublishedEvaluation | None, console: Console
) -> None:
    """What was scored, and its numbers."""
    from r1sgg_cli.cli.numbers import print_numbers, print_published
    from r1sgg_cli.data.provenance import mapping_of, origin_of

    console.print(escape(origin_of(loaded.provenance)), style="bold", soft_wrap=True)
    if mapped := mapping_of(loaded.provenance):
        console.print(escape(mapped), soft_wrap=True)
    if evaluation is not None:
        print_numbers(evaluation, console)
    if published is not None:
        print_published(published, evaluation, console)


def _insist_on_standard(protocol: Protocol | None, resamples: int, *, is_comparison: bool, is_export: bool) -> None:
    """Refuse to compare and to export by other numbers than the standard ones. Raises `ConfigError`."""
    from r1sgg_cli.errors import ConfigError

    if protocol == "published" and (is_comparison or is_export):
        what = "several runs are compared" if is_comparison else "`--export` writes what is scored"
        raise ConfigError(f"{what} by the standard protocol: leave `--protocol published` out")
    if is_comparison and not resamples:
        raise ConfigError("runs are compared on resamples of their images: leave `--resamples 0` out")


def _published(loaded: Predictions, protocol: Protocol | None) -> tuple[PublishedEvaluation | None, str | None]:
    """The published evaluator's numbers, or why there are none. Raises `DataError` where they are asked for by name."""
    from r1sgg_cli.errors import DataError
    from r1sgg_cli.report.published import published_evaluation

    if protocol == "standard":
        return None, None
    try:
        return published_evaluation(loaded), None
    except DataError as error:
        if protocol == "published":
            raise
        return None, f"the published evaluator's numbers: {error}"


def _left_out(evaluation: Evaluation | None, unpublished: str | None, *, knows_training: bool) -> list[str]:
    way_out = "" if knows_training else "; `--training DATASET` with the prepared data set's folder does"
    ours = [] if evaluation is None else [f"{reason}{way_out}" for reason in evaluation.left_out]
    return ours if unpublished is None else [*ours, unpublished]


def _load(path: Path, training: Path | None) -> Predictions:
    """The predictions, with what training showed. Raises `R1SGGError`."""
    from dataclasses import replace

    from r1sgg_cli.data.predictions import load_annotated

    loaded = load_annotated(path)
    if training is None:
        return loaded
    from r1sgg_cli.data.training_names import required_training_names

    graphs = [image.ground_truth for image in loaded.images]
    return replace(loaded, training=required_training_names(str(training), graphs))


def _similarity(name: str) -> NamedSimilarity | None:
    if name == "exact":
        return None
    from r1sgg_cli.metrics.background import NamedSimilarity
    from r1sgg_cli.scene_graph.similarity import load_similarity

    return NamedSimilarity(name, load_similarity(name))
