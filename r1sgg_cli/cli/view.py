"""`r1sgg view`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from r1sgg_cli.cli.options import DATASET_HELP, SplitOption


def view(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help=f"{DATASET_HELP[:-1]}; or a run's folder.")],
    split: SplitOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The page to write; `view-NAME.html` here when not given.")
    ] = None,
    num_images: Annotated[int, typer.Option(min=0, help="Sample images in all, shared between the splits.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same images.")] = 0,
    image_id: Annotated[
        list[str] | None, typer.Option("--image-id", metavar="ID", help="Show this image, no others. Repeatable.")
    ] = None,
) -> None:
    """Show a data set as one HTML page: photos with boxes, graphs drawn beside them, how often each label occurs.

    The page needs no network and runs no script. Every row is counted, of all splits unless `--split` names one. Of a
    run's folder the page of the run is written again: curves, warnings, where the time goes, answers as pictures.

    Example: r1sgg view data/synthetic --split test
    """
    from r1sgg_cli.report.run_page import is_run

    if is_run(Path(dataset)):
        _view_run(Path(dataset), out, has_split=split is not None or bool(image_id))
        return
    _insist_on_no_page_nor_runs(Path(dataset))
    from r1sgg_cli.data.rows import load_rows, load_splits
    from r1sgg_cli.data.vocabularies import vocabulary_of
    from r1sgg_cli.files import insist_on_own
    from r1sgg_cli.report.view import MARK, indices_of, sample_indices, write_view_page

    target = out or Path(_page_name(dataset, split))
    insist_on_own(target, MARK)
    splits = load_splits(dataset) if split is None else {split: load_rows(dataset, split)}
    if image_id:
        chosen, rule = indices_of(splits, image_id), "named with --image-id"
    else:
        chosen, rule = sample_indices(splits, num_images, seed), f"drawn at random with seed {seed}"
    title = f"{_short_name(dataset)}{f', {split}' if split else ''}"
    with Console(stderr=True).status("counting labels, drawing graphs"):
        write_view_page(target, title=title, splits=splits, chosen=chosen, rule=rule, vocabulary=vocabulary_of(dataset))
    shown = sum(len(indices) for indices in chosen.values())
    rows = sum(len(split_rows) for split_rows in splits.values())
    Console().print(f"[bold]{escape(str(target))}[/]: {shown} of {rows} images", soft_wrap=True)


def _insist_on_no_page_nor_runs(path: Path) -> None:
    """Refuse what is near to a run, and none. Raises `ConfigError`."""
    from r1sgg_cli.errors import ConfigError
    from r1sgg_cli.report.run_page import RUN_PAGE, is_run

    if path.is_file() and is_run(path.parent):
        page = f"; `{RUN_PAGE}` is for a browser" if path.name == RUN_PAGE else ""
        raise ConfigError(f"`{path}` is a file of a run; give the run's folder, `{path.parent}`{page}")
    is_saved = (path / "dataset_dict.json").is_file() or (path / "state.json").is_file()
    runs = sorted(str(child) for child in path.iterdir() if is_run(child)) if path.is_dir() and not is_saved else []
    if runs:
        more = ", …" if len(runs) > 3 else ""
        raise ConfigError(f"`{path}` is neither a data set nor a run; name a run in it: {', '.join(runs[:3])}{more}")


def _view_run(folder: Path, out: Path | None, *, has_split: bool) -> None:
    from r1sgg_cli.errors import ConfigError
    from r1sgg_cli.files import insist_on_own
    from r1sgg_cli.report.run_page import RUN_PAGE, write_page_of_run
    from r1sgg_cli.report.view import MARK

    if has_split:
        raise ConfigError(f"`{folder}` is a run, which has no splits; leave `--split` and `--image-id` out")
    target = out or folder / RUN_PAGE
    insist_on_own(target, MARK)
    write_page_of_run(folder, target)
    Console().print(f"[bold]{escape(str(target))}[/]", soft_wrap=True)


def _short_name(dataset: str) -> str:
    return Path(dataset).resolve().name or "root"


def _page_name(dataset: str, split: str | None) -> str:
    return f"view-{_short_name(dataset)}{f'-{split}' if split else ''}.html"
