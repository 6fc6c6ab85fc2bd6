"""`r1sgg report`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from r1sgg_cli.cli.options import SplitOption

if TYPE_CHECKING:
    from r1sgg_cli.data.predictions import Predictions
    from r1sgg_cli.report.curves import Curve
    from r1sgg_cli.report.report_page import Report


NUM_IMAGES = 200
FEW_IMAGES = 60
"""For so many, worker processes would take longer to start than to draw."""
MAX_WORKERS = 16


def report(
    predictions: Annotated[
        list[Path], typer.Argument(metavar="PREDS.JSON...", help="A file that `r1sgg gather` wrote; two to compare.")
    ],
    compare: Annotated[
        bool, typer.Option("--compare", help="Lay the answers of two files to the same images side by side.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="The page, or the folder of `--all`; `PREDS.report.html`, `PREDS.report` if not given."
        ),
    ] = None,
    run: Annotated[
        Path | None, typer.Option("--run", help="The folder of the training, whose curves are then on the page.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", "-d", help="Where the photos are; what the predictions name when not given."),
    ] = None,
    split: SplitOption = None,
    no_photos: Annotated[bool, typer.Option("--no-photos", help="Draw boxes on blank frames.")] = False,
    num_images: Annotated[
        int | None,
        typer.Option(
            "--images", min=1, help="Images to show at most: failures, worst, best, an even sample. 200 if not given."
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Show every image: a folder, with the photos and graphs beside the page.")
    ] = False,
) -> None:
    """Show predictions beside their ground truth as one HTML page: numbers, predicates, failures, pictures.

    The page opens from disk and needs no network. Each image shows the annotated and the predicted graph, drawn and
    over the photo, with what is matched, missed and wrong, and the raw answer; filters find images by label, verdict
    and failure.

    Example: r1sgg report preds.json --out report.html
    """
    from r1sgg_cli.errors import ConfigError
    from r1sgg_cli.files import insist_on_own, insist_on_own_folder
    from r1sgg_cli.report.report_page import INDEX_PAGE, MARK, write_report, write_report_folder

    if every and num_images is not None:
        raise ConfigError("`--all` shows every image; leave `--images` out")
    if len(predictions) != (2 if compare else 1):
        raise ConfigError(
            f"{len(predictions)} predictions files: "
            + ("`--compare` takes two" if compare else "add `--compare` to lay two side by side")
        )
    if compare and run:
        raise ConfigError("`--run` shows the curves of one training; leave it out with `--compare`")
    target = out or predictions[0].with_suffix(".report" if every else ".report.html")
    if every:
        insist_on_own_folder(target, INDEX_PAGE)
        insist_on_own(target / INDEX_PAGE, MARK)
    else:
        insist_on_own(target, MARK)
    content = _report(predictions, run, dataset, split, has_photos=not no_photos)
    total = len(content.stages[0].predictions.images)
    num_shown = total if every else min(total, num_images or NUM_IMAGES)
    num_workers = min(len(os.sched_getaffinity(0)), MAX_WORKERS) if num_shown > FEW_IMAGES else 0
    if every:
        write_report_folder(content, target, _track, num_workers)
    else:
        write_report(content, target, num_shown, _track, num_workers)
    page = target / INDEX_PAGE if every else target
    Console().print(f"[bold]{escape(str(page))}[/]: {num_shown} of {total} images", soft_wrap=True, highlight=False)


def _track(numbers: Iterable[int]) -> Iterable[int]:
    from rich.progress import track

    return track(list(numbers), description="drawing", console=Console(stderr=True), transient=True)


def _report(paths: list[Path], run: Path | None, dataset: str | None, split: str | None, *, has_photos: bool) -> Report:
    from r1sgg_cli.data.predictions import load_annotated
    from r1sgg_cli.metrics.evaluation import NUM_RESAMPLES
    from r1sgg_cli.report.comparison import compare_stages
    from r1sgg_cli.report.photos import open_photos
    from r1sgg_cli.report.report_page import Report
    from r1sgg_cli.report.same_images import insist_on_same_images, run_names
    from r1sgg_cli.report.stages import Stage, evaluate_predictions

    curves = _curves(run) if run else []
    loaded = [_with_training(load_annotated(path), dataset) for path in paths]
    names = run_names(paths) if len(paths) == 2 else ["prediction"]
    insist_on_same_images(paths, loaded)
    photo_of = open_photos(loaded[0], dataset, split) if has_photos else None
    stages = tuple(
        Stage(name, one, evaluate_predictions(one, NUM_RESAMPLES)) for name, one in zip(names, loaded, strict=True)
    )
    comparison = compare_stages(stages)[0] if len(stages) == 2 else None
    return Report(stages, comparison, photo_of, curves)


def _with_training(predictions: Predictions, dataset: str | None) -> Predictions:
    """The predictions with what the data set's training split shows, if it was not at hand when they were gathered."""
    from dataclasses import replace

    from r1sgg_cli.data.training_names import training_names

    if predictions.training is not None:
        return predictions
    name = str(dataset or predictions.provenance.get("dataset", ""))
    graphs = (image.ground_truth for image in predictions.images)
    return replace(predictions, training=training_names(name, graphs, is_given=dataset is not None))


def _curves(folder: Path) -> list[Curve]:
    """The curves of a run. Raises `ConfigError`, `AnswersError`."""
    from r1sgg_cli.data.run_logs import METRICS_FILE, load_metric_rows
    from r1sgg_cli.errors import ConfigError
    from r1sgg_cli.report.run_curves import training_curves
    from r1sgg_cli.report.run_page import is_run

    if not is_run(folder):
        raise ConfigError(f"`{folder}` is no run; give the folder that `r1sgg sft` or `r1sgg grpo` wrote")
    path = folder / METRICS_FILE
    curves = training_curves(load_metric_rows(path)) if path.exists() else []
    if not curves:
        raise ConfigError(f"`{folder}` has logged nothing to draw; leave `--run` out")
    return curves
