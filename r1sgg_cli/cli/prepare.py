"""`r1sgg prepare`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from r1sgg_cli.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from r1sgg_cli.data.annotations import AnnotationSource
    from r1sgg_cli.data.cleaning import CleaningRules
    from r1sgg_cli.data.prepare import Prepared, Selection

MAX_WORKERS = 4
"""Beyond it a disk is the limit, and each worker takes some 200 MB."""

SourceArgument = Annotated[
    str,
    typer.Argument(
        help="Annotation files (their layout is detected), a layout's name before them, `vg150` or `psg` for the"
        " published sets, `hub:OWNER/NAME`, or `synthetic`."
    ),
]
PathArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[PATH]", help="The files, where SOURCE names their layout.", show_default=False),
]
Setting = Literal["closed", "ovd", "ovr", "ovd+r"]


def prepare(
    source: SourceArgument,
    path: PathArgument = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The data set's folder; new or empty.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="The folder of images; beside the annotations if not given.")
    ] = None,
    splits: Annotated[list[str] | None, typer.Option("--split", help="Only this split. Repeatable.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first images of each split.")] = None,
    vocabulary: Annotated[
        str | None,
        typer.Option(
            help="`vg150`, `psg` or a JSON file; names outside it are dropped. The source's own if not given."
        ),
    ] = None,
    keep_empty_rels: Annotated[
        bool, typer.Option("--keep-empty-rels", help="Keep images without a relationship (filter_empty_rels off).")
    ] = False,
    filter_non_overlap: Annotated[
        bool, typer.Option("--filter-non-overlap", help="Training: drop relationships of boxes that do not overlap.")
    ] = False,
    filter_duplicate_rels: Annotated[
        bool, typer.Option("--filter-duplicate-rels", help="Training: keep one predicate of each pair, by the seed.")
    ] = False,
    open_vocabulary: Annotated[
        Setting, typer.Option(help="Training: leave out novel objects (ovd), novel predicates (ovr), or both.")
    ] = "closed",
    base_classes: Annotated[
        Path | None, typer.Option(help="JSON file of the base names for --open-vocabulary; VG150's are known.")
    ] = None,
    test_share: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Hold this share out for a test split, by the seed.")
    ] = None,
    num_val: Annotated[
        int | None, typer.Option(min=0, help="VG150: so many first training images are `val`; 5,000 as published.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn: scenes, held-out images, predicates.")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first fault.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Validate and describe; write nothing.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that decode images; by the machine's cores if not given.")
    ] = None,
    num_images: Annotated[
        int | None, typer.Option(min=1, help="Synthetic: training images, 2000 if not given.")
    ] = None,
    num_test: Annotated[int | None, typer.Option(min=1, help="Synthetic: test images, 500 if not given.")] = None,
    drop_relationships: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Synthetic: share of the training relationships left out.")
    ] = None,
) -> None:
    """Turn annotations and images into a data set, or validate one with --check.

    Layouts: vg150-h5, psg, visual-genome, open-images, gqa, coco-rel, jsonl. Every fault is counted by kind and
    mended or dropped by a stated rule; nothing is lost silently. The same command continues a run that was stopped.

    Example: r1sgg prepare psg.json --images coco/ --out data/psg
    """
    from r1sgg_cli.data.prepare import Selection
    from r1sgg_cli.data.readers.options import ReadOptions
    from r1sgg_cli.data.readers.synthetic import open_synthetic
    from r1sgg_cli.data.sources import hold_out, open_source

    console = Console(stderr=True, soft_wrap=True)
    if source == "synthetic":
        opened = open_synthetic(num_images or 2000, num_test or 500, seed, drop_relationships or 0.0)
    else:
        if (num_images, num_test, drop_relationships) != (None, None, None):
            raise DataError(
                "`--num-images`, `--num-test` and `--drop-relationships` are for `synthetic`; try `--limit`"
            )
        opened = open_source(source, path, ReadOptions(images, num_val, keep_empty_rels, filter_non_overlap))
        if num_val is not None and opened.layout != "vg150-h5":
            raise DataError(f"`--num-val` is for vg150-h5, and this is {opened.layout}; try `--test-share`")
        console.print(f"layout: {opened.layout} ({_files(opened)})")
    if test_share is not None:
        opened = hold_out(opened, test_share, seed)
    for note in opened.notes:
        console.print(f"[yellow]note:[/] {escape(note)}")
    selection = Selection(frozenset(splits) if splits else None, limit)
    num_workers = min(len(os.sched_getaffinity(0)), MAX_WORKERS) if workers is None else workers
    if check:
        _check(opened, selection, num_workers, console)
        return
    if out is None:
        raise DataError("where to? Name the data set's folder with `--out DIR`, or validate with `--check`")
    rules = _rules(opened, vocabulary, keep_empty_rels, filter_non_overlap, filter_duplicate_rels, seed)
    _write(opened, out, _in_setting(rules, open_vocabulary, base_classes), selection, strict, num_workers, console)


def _files(source: AnnotationSource) -> str:
    names = [file.name for file in source.files[:4]] or [str(source.details.get("dataset", "the hub"))]
    more = f" and {len(source.files) - 4} more" if len(source.files) > 4 else ""
    return escape(", ".join(names) + more)


def _rules(
    source: AnnotationSource,
    vocabulary: str | None,
    keep_empty: bool,
    non_overlap: bool,
    duplicate_rels: bool,
    seed: int,
) -> CleaningRules:
    from r1sgg_cli.data.cleaning import CleaningRules
    from r1sgg_cli.scene_graph.vocabulary import load_vocabulary

    names = load_vocabulary(vocabulary) if vocabulary else source.vocabulary
    return CleaningRules(names, keep_empty, non_overlap, duplicate_rels, seed)


def _in_setting(rules: CleaningRules, setting: Setting, base_classes: Path | None) -> CleaningRules:
    from r1sgg_cli.data.open_vocabulary import for_setting

    if base_classes and setting == "closed":
        raise DataError("`--base-classes` says nothing without `--open-vocabulary ovd`, `ovr` or `ovd+r`")
    return for_setting(rules, setting, base_classes)


def _progress(source: AnnotationSource, selection: Selection, console: Console) -> Progress:
    """One bar for each split that is known beforehand; others get theirs when they are met."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    progress = Progress(*columns, TimeRemainingColumn(), console=console)
    for split, total in source.num_images.items():
        if selection.splits is None or split in selection.splits:
            progress.add_task(split, total=total if selection.limit is None else min(total, selection.limit))
    return progress


def _advance(progress: Progress, split: str, num_images: int) -> None:
    task = next((task.id for task in progress.tasks if task.description == split), None)
    progress.advance(progress.add_task(split, total=None) if task is None else task, num_images)


def _write(
    source: AnnotationSource,
    out: Path,
    rules: CleaningRules,
    selection: Selection,
    strict: bool,
    num_workers: int,
    console: Console,
) -> None:
    from r1sgg_cli.data.prepare import prepare_dataset

    with _progress(source, selection, console) as progress:
        done = prepare_dataset(
            source,
            out,
            rules,
            selection,
            strict=strict,
            num_workers=num_workers,
            on_progress=lambda split, num_images: _advance(progress, split, num_images),
        )
        progress.stop()
    if done is None:
        typer.echo(f"already there: {out}")
        return
    _print_met(done, console)
    if selection.limit is None:
        _print_published(done, source.published, console)
    counts = ", ".join(f"{statistics.num_images} {split}" for split, statistics in done.statistics.items())
    typer.echo(f"{counts} images: {out}")


def _print_met(done: Prepared, console: Console) -> None:
    from r1sgg_cli.data.faults import FAULTS, FILTERS

    if not done.tally.counts:
        return
    table = Table("kind", "times", "such as", "what it is, and the rule", title="what was met", title_justify="left")
    table.columns[0].no_wrap = True
    table.columns[1].justify = "right"
    rules = {**{kind: f"{meaning}: {rule}" for kind, (meaning, rule) in FAULTS.items()}, **FILTERS}
    for kind, rule in rules.items():
        if done.tally.counts[kind]:
            table.add_row(kind, str(done.tally.counts[kind]), escape(done.tally.examples[kind]), escape(rule))
    console.print(table, soft_wrap=False)


def _print_published(done: Prepared, published: Mapping[str, int], console: Console) -> None:
    for split, expected in published.items():
        written = done.statistics[split].num_images if split in done.statistics else 0
        if written == expected:
            console.print(f"{split}: {written} images, the published number")
        else:
            console.print(
                f"[yellow]{split}: {written} images, {expected} are published[/]; the table says what differs"
            )


def _check(source: AnnotationSource, selection: Selection, num_workers: int, console: Console) -> None:
    from r1sgg_cli.data.prepare import check_source

    with _progress(source, selection, console) as progress:
        done = check_source(
            source,
            selection,
            num_workers=num_workers,
            on_progress=lambda split, num_images: _advance(progress, split, num_images),
        )
        progress.stop()
    Console().print(_description(done))
    _print_met(done, console)
    faults = done.tally.num_faults()
    if faults:
        raise DataError(
            f"{faults} faults; `r1sgg prepare` with `--out DIR` writes a sound data set, by the rules above"
        )
    typer.echo("sound: every image can be decoded, every box and every relationship can be used")


def _description(done: Prepared) -> Table:
    columns = ("split", "images", "objects", "relationships", "per image", "object names", "predicates", "triplets")
    table = Table(*columns)
    for split, found in done.statistics.items():
        images = max(1, found.num_images)
        per_image = f"{found.num_objects / images:.1f} / {found.num_relationships / images:.1f}"
        numbers = (len(found.objects), len(found.predicates), len(found.triplets))
        table.add_row(
            split,
            str(found.num_images),
            str(found.num_objects),
            str(found.num_relationships),
            per_image,
            *map(str, numbers),
        )
    for column in table.columns[1:]:
        column.justify = "right"
    return table
