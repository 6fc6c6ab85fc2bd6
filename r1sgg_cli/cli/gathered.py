"""What `r1sgg gather` says of the file that it wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from r1sgg_cli.counted import counted

if TYPE_CHECKING:
    from pathlib import Path

    from r1sgg_cli.data.predictions import Predictions

NUM_MAPPED = 8
"""How many of the mapped labels are printed."""


def print_gathered(gathered: Predictions, path: Path) -> None:
    """Warnings to stderr; a table, what was mapped and the file to stdout."""
    from r1sgg_cli.data.provenance import limit_of

    _print_passed_over(gathered, Console(stderr=True, soft_wrap=True))
    console = Console()
    console.print(_summary(gathered))
    _print_mapped(gathered, console)
    images = limit_of(gathered.provenance) or counted(len(gathered.images), "image")
    console.print(f"[bold]{escape(str(path))}[/]: {images}", soft_wrap=True)


def _print_passed_over(predictions: Predictions, console: Console) -> None:
    from r1sgg_cli.data.provenance import limit_of
    from r1sgg_cli.inference.answered_split import named_images

    passed_over = predictions.provenance["gather"]
    for line_number, reason, file in passed_over["broken_lines"]:
        console.print(f"[yellow]warning:[/] line {line_number} of `{file}` is left out: {escape(reason)}")
    for image_id, reason in passed_over["not_asked"].items():
        console.print(f"[yellow]warning:[/] image `{escape(image_id)}` could not be asked about: {escape(reason)}")
    if passed_over["repeated_answers"]:
        count, images = passed_over["repeated_answers"], escape(named_images(passed_over["repeated_images"]))
        console.print(f"[yellow]warning:[/] {counted(count, 'later answer')} of an image left out: {images}")
    if passed_over["answers_of_other_images"]:
        count, part = passed_over["answers_of_other_images"], limit_of(predictions.provenance)
        why = (
            f"the folder was last asked for the {part}; the same `r1sgg infer` without `--limit` takes them in"
            if part
            else "their images are not in the split"
        )
        console.print(f"[yellow]warning:[/] {counted(count, 'answer')} left out: {why}")
    count, pick = passed_over["most_texts_per_image"], passed_over["pick"]
    if count <= 1 and pick != "first":
        cost = ", and all of its scores are 1" if pick == "majority" else ""
        console.print(f"[yellow]note:[/] no image has several texts: `--pick {pick}` takes the only one{cost}")
    if count > 1 and pick == "first":
        console.print(f"[yellow]note:[/] images have up to {count} texts, and the first counts; `--pick` takes another")


def _print_mapped(predictions: Predictions, console: Console) -> None:
    """What was mapped into the vocabulary, most often first, in one line; nothing where nothing was."""
    mapped = predictions.provenance["gather"]["label_mapping"]["mapped"]
    pairs = sorted(
        ((pair, count, part) for part, counts in mapped.items() for pair, count in counts.items()),
        key=lambda item: -item[1],
    )
    if not pairs:
        return
    shown = ", ".join(
        f"{pair}{' (ends swapped)' if part.startswith('swapped') else ''} × {count}"
        for pair, count, part in pairs[:NUM_MAPPED]
    )
    rest = f", and {len(pairs) - NUM_MAPPED} more, all in the file" if len(pairs) > NUM_MAPPED else ""
    total = sum(count for _, count, _ in pairs)
    console.print(f"mapped into the vocabulary: {counted(total, 'label')}: {escape(shown)}{rest}", soft_wrap=True)


def _summary(predictions: Predictions) -> Table:
    from collections import Counter

    failures = Counter(image.failure for image in predictions.images if image.failure is not None)
    images_with = Counter(kind for image in predictions.images for kind in image.defects)
    times = Counter[str]()
    for image in predictions.images:
        times.update(image.defects)
    caption = "failed: no graph could be read; repaired, mapped or odd: the rest is used"
    table = Table("", "times", "images", caption=caption)
    read = len(predictions.images) - failures.total()
    table.add_row("read", "", str(read))
    for kind, count in failures.most_common():
        table.add_row(f"failed: {kind}", "", str(count))
    for kind, count in times.most_common():
        what = "mapped" if "_mapped_by_" in kind else "repaired or odd"
        table.add_row(f"{what}: {kind}", str(count), str(images_with[kind]))
    for column in table.columns[1:]:
        column.justify = "right"
    return table
