"""`r1sgg prepare`."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from r1sgg_cli.cli.prepared import description_table, print_met, print_published
from r1sgg_cli.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from r1sgg_cli.data.annotations import AnnotationSource
    from r1sgg_cli.data.cleaning import CleaningRules
    from r1sgg_cli.data.cutter import Selection

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
    from r1sgg_cli.data.cutter import Selection

    console = Console(stderr=True, soft_wrap=True)
    if source == "synthetic":
        _refuse(
            {str(path): path, "--images": images, "--num-val": num_val}, "means nothing to `synthetic`; leave it out"
        )
        opened = _open_synthetic(num_images, num_test, seed, drop_relationships)
    else:
        own = {"--num-images": num_images, "--num-test": num_test, "--drop-relationships": drop_relationships}
        _refuse(own, "is for `synthetic`; try `--limit`")
        opened = _open(source, path, images, num_val, keep_empty_rels, console)
    if test_share is not None:
        opened = _hold_out(opened, test_share, seed)
    selection = Selection(frozenset(splits) if splits else None, limit)
    num_workers = min(len(os.sched_getaffinity(0)), MAX_WORKERS) if workers is None else workers
    if check:
        chosen = {
            "--out": out,
            "--strict": strict,
            "--keep-empty-rels": keep_empty_rels,
            "--base-classes": base_classes,
        }
        chosen |= {"--filter-non-overlap": filter_non_overlap, "--filter-duplicate-rels": filter_duplicate_rels}
        chosen |= {"--open-vocabulary": open_vocabulary != "closed"}
        _refuse(chosen, "says nothing with `--check`, which counts everything and writes nothing")
        _check(opened, _rules(opened, vocabulary, True, False, False, seed), selection, num_workers, console)
        return
    if out is None:
        raise DataError("where to? Name the data set's folder with `--out DIR`, or validate with `--check`")
    rules = _rules(opened, vocabulary, keep_empty_rels, filter_non_overlap, filter_duplicate_rels, seed)
    _write(opened, out, _in_setting(rules, open_vocabulary, base_classes), selection, strict, num_workers, console)


def _refuse(given: Mapping[str, Any], why: str) -> None:
    """Nothing that was asked for is ignored silently."""
    for name, value in given.items():
        if value is not None and value is not False:
            raise DataError(f"`{name}` {why}")


def _open_synthetic(
    num_images: int | None, num_test: int | None, seed: int, drop_relationships: float | None
) -> AnnotationSource:
    from r1sgg_cli.data.readers.synthetic import open_synthetic

    return open_synthetic(num_images or 2000, num_test or 500, seed, drop_relationships or 0.0)


def _open(
    source: str, path: Path | None, images: Path | None, num_val: int | None, keep_empty: bool, console: Console
) -> AnnotationSource:
    from r1sgg_cli.data.readers.options import ReadOptions
    from r1sgg_cli.data.sources import open_source

    opened = open_source(source, path, ReadOptions(images, num_val, keep_empty))
    if num_val is not None and opened.layout != "vg150-h5":
        raise DataError(f"`--num-val` is for vg150-h5, and this is {opened.layout}; try `--test-share`")
    console.print(f"layout: {opened.layout} ({_files(opened)})")
    for note in opened.notes:
        console.print(f"[yellow]note:[/] {escape(note)}")
    return opened


def _hold_out(source: AnnotationSource, test_share: float, seed: int) -> AnnotationSource:
    from r1sgg_cli.data.sources import hold_out

    return hold_out(source, test_share, seed)


def _files(source: AnnotationSource) -> str:
    own_names = len({file.name for file in source.files}) == len(source.files)
    shown = [file.name if own_names else f"{file.parent.name}/{file.name}" for file in source.files[:4]]
    names = shown or [str(source.details.get("dataset", "the hub"))]
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
    return CleaningRules(names, keep_empty, non_overlap, duplicate_rels, seed, renamed=vocabulary is not None)


def _in_setting(rules: CleaningRules, setting: Setting, base_classes: Path | None) -> CleaningRules:
    from r1sgg_cli.data.open_vocabulary import for_setting

    if base_classes and setting == "closed":
        raise DataError("`--base-classes` says nothing without `--open-vocabulary ovd`, `ovr` or `ovd+r`")
    return for_setting(rules, setting, base_classes)


def _progress(source: AnnotationSource, selection: Selection, console: Console) -> Progress:
    """One bar for each split that is known beforehand; others get theirs when they are met."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    progress = Progress(*columns, TimeRemainingColumn(), console=console)
    for split, total in selection.of(source.num_images).items():
        progress.add_task(split, total=total)
    return progress


@contextmanager
def _shown(progress: Progress) -> Iterator[None]:
    """The bars, on a terminal from the beginning; none stays where nothing came of it, so that an error is one line."""
    if progress.console.is_interactive:
        progress.start()
    try:
        yield
    finally:
        if progress.live.is_started:
            progress.live.transient = not any(task.completed for task in progress.tasks)
            progress.stop()


def _advance(progress: Progress, split: str, num_images: int) -> None:
    progress.start()  # what is started already stays so
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
    from r1sgg_cli.data.prepare import NothingLeftError, prepare_dataset

    progress = _progress(source, selection, console)
    try:
        with _shown(progress):
            done = prepare_dataset(
                source,
                out,
                rules,
                selection,
                strict=strict,
                num_workers=num_workers,
                on_progress=lambda split, num_images: _advance(progress, split, num_images),
            )
    except NothingLeftError as error:
        print_met(error.tally, console)
        raise
    if done is None:
        _say_already_there(out, console)
        return
    print_met(done.tally, console)
    for split, expected in selection.of(source.num_images).items():
        if expected and split not in done.statistics:
            console.print(f"[yellow]nothing is left of split `{split}`[/]; the table says why")
    for name in _names_nowhere(rules, out):
        console.print(f"[yellow]base name `{escape(name)}` occurs nowhere in the source[/]; is it spelt right?")
    if selection.limit is None and not rules.replaces_categories("train"):
        print_published(done, selection.of(source.published.get(rules.non_overlap, {})), console)
    counts = ", ".join(f"{statistics.num_images} {split}" for split, statistics in done.statistics.items())
    typer.echo(f"{counts} images: {out}")


def _names_nowhere(rules: CleaningRules, out: Path) -> list[str]:
    """Base names that no object and no predicate of the data set has."""
    from r1sgg_cli.data.vocabularies import vocabulary_of

    vocabulary = vocabulary_of(str(out))
    if vocabulary is None:
        return []
    unknown = (rules.base_objects or frozenset()) - set(vocabulary.objects)
    return sorted(unknown | ((rules.base_predicates or frozenset()) - set(vocabulary.predicates)))


def _say_already_there(out: Path, console: Console) -> None:
    from r1sgg_cli.data.chunks import CHANGEABLE
    from r1sgg_cli.data.description import load_description
    from r1sgg_cli.data.faults import Tally

    met = Tally.from_json(load_description(out).get("met", {}))
    num_lost = sum(met.counts[kind] for kind in CHANGEABLE)
    if num_lost:
        console.print(
            f"[yellow]missing or broken images when it was made: {num_lost}[/]; "
            f"remove `{escape(str(out))}` to look again"
        )
    typer.echo(f"already there: {out}")


def _check(
    source: AnnotationSource, rules: CleaningRules, selection: Selection, num_workers: int, console: Console
) -> None:
    from r1sgg_cli.data.check import check_source, faults_beside

    progress = _progress(source, selection, console)
    with _shown(progress):
        done = check_source(
            source,
            rules,
            selection,
            num_workers=num_workers,
            on_progress=lambda split, num_images: _advance(progress, split, num_images),
        )
    Console().print(description_table(done))
    print_met(done.tally, console)
    faults = done.tally.num_faults()
    whole = source.layout == "rows" and selection.splits is None and selection.limit is None
    for fault in faults_beside(source.images_dir, done) if whole and rules.vocabulary == source.vocabulary else ():
        faults += 1
        console.print(f"[yellow]fault:[/] {escape(fault)}")
    if faults:
        raise DataError(
            f"{faults} faults; `r1sgg prepare` with `--out DIR` writes a sound data set, by the rules above"
        )
    typer.echo("sound: every image can be decoded, every box and every relationship can be used")
