"""`r1sgg gather`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from r1sgg_cli.data.predictions import Predictions


def gather(
    answers: Annotated[Path, typer.Argument(metavar="OUT", help="The folder that `r1sgg infer` filled.")],
    predictions: Annotated[Path, typer.Argument(metavar="PREDS.JSON", help="The file to write.")],
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Count images without an answer as failures, not as an error.")
    ] = False,
) -> None:
    """Turn answers into one file of scene graphs, ready for `r1sgg eval`.

    Every answer is parsed, repaired where it can be, and its boxes are brought to pixels of the original image. The
    file carries the ground truth, the vocabulary and what produced it. Prints what had to be repaired and what failed.

    Example: r1sgg gather answers/ preds.json
    """
    from r1sgg_cli.data.predictions import FORMAT, limit_of, save_predictions
    from r1sgg_cli.files import insist_on_own
    from r1sgg_cli.inference.gather import gather_answers, insist_on_same_run

    insist_on_own(predictions, FORMAT)
    gathered = gather_answers(answers, allow_missing=allow_missing)
    insist_on_same_run(predictions, gathered)
    save_predictions(gathered, predictions)
    _print_passed_over(gathered, Console(stderr=True, soft_wrap=True))
    console = Console()
    console.print(_summary(gathered))
    images = limit_of(gathered.provenance) or f"{len(gathered.images)} images"
    console.print(f"[bold]{escape(str(predictions))}[/]: {images}", soft_wrap=True)


def _print_passed_over(predictions: Predictions, console: Console) -> None:
    from r1sgg_cli.data.predictions import limit_of

    passed_over = predictions.provenance["gather"]
    for line_number, reason, file in passed_over["broken_lines"]:
        console.print(f"[yellow]warning:[/] line {line_number} of `{file}` is left out: {escape(reason)}")
    if passed_over["repeated_answers"]:
        console.print(f"[yellow]warning:[/] {passed_over['repeated_answers']} later answers of an image are left out")
    if passed_over["answers_of_other_images"]:
        count, part = passed_over["answers_of_other_images"], limit_of(predictions.provenance)
        why = (
            f"the folder was last asked for the {part}; the same `r1sgg infer` without `--limit` takes them in"
            if part
            else "their images are not in the split"
        )
        console.print(f"[yellow]warning:[/] {count} answers are left out: {why}")


def _summary(predictions: Predictions) -> Table:
    from collections import Counter

    failures = Counter(image.failure for image in predictions.images if image.failure is not None)
    images_with = Counter(kind for image in predictions.images for kind in image.defects)
    times = Counter[str]()
    for image in predictions.images:
        times.update(image.defects)
    table = Table("", "times", "images", caption="failed: no graph could be read; repaired or odd: the rest is used")
    read = len(predictions.images) - failures.total()
    table.add_row("read", "", str(read))
    for kind, count in failures.most_common():
        table.add_row(f"failed: {kind}", "", str(count))
    for kind, count in times.most_common():
        table.add_row(f"repaired or odd: {kind}", str(count), str(images_with[kind]))
    for column in table.columns[1:]:
        column.justify = "right"
    return table
