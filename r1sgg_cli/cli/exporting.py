"""`r1sgg eval --export`: what can be made of evaluated predictions for other programs, for papers and for the hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, get_args

import typer

if TYPE_CHECKING:
    from r1sgg_cli.data.predictions import Predictions
    from r1sgg_cli.metrics.evaluation import Evaluation

ExportKind = Literal["coco", "sgb", "csv", "markdown", "latex", "model-card"]
OF_ONE_RUN = ("coco", "sgb", "model-card")
"""What holds the answers or the card of one run; the others are tables with a row per run."""


class EvaluatedRun(NamedTuple):
    """A predictions file with its numbers."""

    path: Path
    predictions: Predictions
    evaluation: Evaluation


def _insist_on_kinds(values: list[str] | None) -> list[str] | None:
    for value in values or ():
        kind, _, path = value.partition("=")
        if kind not in get_args(ExportKind) or not path:
            raise typer.BadParameter(f"`{value}` is not KIND=PATH with a kind of {', '.join(get_args(ExportKind))}")
        if kind == "model-card" and Path(path).suffix != ".md":
            raise typer.BadParameter(f"`{path}` is no model card: name a `.md` file, such as the model's README.md")
    return values


ExportOption = Annotated[
    list[str] | None,
    typer.Option(
        "--export",
        metavar="KIND=PATH",
        callback=_insist_on_kinds,
        help="Also write a table's row (`csv`, `markdown`, `latex`), a model's card (`model-card=README.md`), or a "
        "folder: `coco` boxes, `sgb` graphs as the published evaluator reads them. Repeatable.",
    ),
]


def insist_on_exports(values: Sequence[str], num_runs: int, numbers: Path) -> None:
    """Refuse, before anything is computed, what could not be written, or not beside the file of `numbers`.

    Raises `ConfigError`, `OutputError`.
    """
    from r1sgg_cli.errors import ConfigError

    taken = {numbers.resolve(): "the numbers"}
    for kind, path in _targets(values):
        asked = f"`--export {kind}={path}`"
        if kind in OF_ONE_RUN and num_runs > 1:
            raise ConfigError(f"{asked} is of one run; evaluate it by itself")
        for place in _places(kind, path):
            if place in taken:
                raise ConfigError(f"{asked} would replace {taken[place]} at `{place}`; give each a path of its own")
        taken |= dict.fromkeys(_places(kind, path), f"what `--export {kind}` writes")
        _insist_on_place(kind, path)


def insist_on_content(values: Sequence[str], predictions: Predictions) -> None:
    """Refuse, before anything is computed, what of these predictions could not be written, or would mislead.

    Raises `AnswersError` for graphs without a vocabulary, `ConfigError` for detections of objects that were given.
    """
    from r1sgg_cli.errors import ConfigError
    from r1sgg_cli.metrics.setting import GIVEN, setting_of
    from r1sgg_cli.report.export_sgb import insist_on_vocabulary

    setting = setting_of(predictions.provenance.get("task"))
    for kind, path in _targets(values):
        if kind == "sgb":
            insist_on_vocabulary(predictions)
        if kind == "coco" and setting == "PredCls":
            raise ConfigError(f"`--export coco={path}` is of predicted boxes, but {GIVEN[setting]}; leave it out")


def _places(kind: str, path: Path) -> set[Path]:
    """The path that is asked for, and the files that are written to it or into it."""
    from r1sgg_cli.report import export_coco, export_sgb

    inside = {
        "coco": (export_coco.GROUND_TRUTH_FILE, export_coco.DETECTIONS_FILE),
        "sgb": (export_sgb.GATHERED_FILE, export_sgb.LABELS_FILE),
    }
    return {path.resolve(), *((path / name).resolve() for name in inside.get(kind, ()))}


def _insist_on_place(kind: str, path: Path) -> None:
    """Refuse to replace what is not ours, or cannot be added to. Raises `OutputError`."""
    from r1sgg_cli.files import insist_on_own, insist_on_own_folder
    from r1sgg_cli.report import export_card, export_coco, export_row, export_sgb

    if kind == "coco":
        insist_on_own_folder(path, export_coco.GROUND_TRUTH_FILE, [export_coco.DETECTIONS_FILE])
        insist_on_own(path / export_coco.GROUND_TRUTH_FILE, export_coco.MARK)
    elif kind == "sgb":
        insist_on_own_folder(path, export_sgb.LABELS_FILE, [export_sgb.GATHERED_FILE])
        insist_on_own(path / export_sgb.LABELS_FILE, export_sgb.MARK)
    elif kind == "csv":
        insist_on_own(path, ",".join(export_row.CSV_HEADER))
        export_row.csv_rows_of(path)
    elif kind == "markdown":
        insist_on_own(path, export_row.MARKDOWN_MARK)
    elif kind == "latex":
        insist_on_own(path, export_row.LATEX_MARK)
    else:
        export_card.load_card(path)


def save_exports(values: Sequence[str], runs: Sequence[EvaluatedRun]) -> list[Path]:
    """Write what is asked for; the paths in the order of `values`. Raises `AnswersError`, `OutputError`."""
    if not values:
        return []  # to import the hub's library takes as long as to score 500 images
    from r1sgg_cli.files import save_text
    from r1sgg_cli.report.export_card import model_card_with
    from r1sgg_cli.report.export_coco import save_coco
    from r1sgg_cli.report.export_row import csv_table, latex_table, markdown_table, row_of
    from r1sgg_cli.report.export_sgb import save_sgb

    rows = [row_of(*run) for run in runs]
    for kind, path in _targets(values):
        if kind == "coco":
            save_coco(runs[0].predictions, path)
        elif kind == "sgb":
            save_sgb(runs[0].predictions, path)
        elif kind == "csv":
            save_text(csv_table(rows, path), path)
        elif kind == "markdown":
            save_text(markdown_table(rows), path)
        elif kind == "latex":
            save_text(latex_table(rows), path)
        else:
            save_text(model_card_with(rows[0], path), path)
    return [path for _, path in _targets(values)]


def _targets(values: Sequence[str]) -> list[tuple[str, Path]]:
    return [(kind, Path(path)) for kind, _, path in (value.partition("=") for value in values)]
