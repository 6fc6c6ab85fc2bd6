"""`r1sgg prepare`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

SourceArgument = Annotated[str, typer.Argument(help="`synthetic`, or an annotation file in PSG's layout (`psg.json`).")]
ImagesOption = Annotated[Path | None, typer.Option(help="PSG: the folder that its file names start from.")]
NumImagesOption = Annotated[int | None, typer.Option(min=1, help="Training images; 2000 synthetic ones, else all.")]
NumTestOption = Annotated[int | None, typer.Option(min=1, help="Test images; 500 synthetic ones, else all.")]


def prepare(
    source: SourceArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The data set's folder; new or empty.")],
    images: ImagesOption = None,
    num_images: NumImagesOption = None,
    num_test: NumTestOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Synthetic: the same seed gives the same images.")] = 0,
    drop_relationships: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Synthetic: share of the training relationships left out.")
    ] = 0.0,
) -> None:
    """Turn annotations and images into a data set: splits train and test, and vocabulary.json beside them.

    A finished data set of the same source and options is kept; a folder that holds anything else is never overwritten.

    Example: r1sgg prepare synthetic --out data/synthetic --num-images 2000 --drop-relationships 0.6
    """
    from datasets import disable_progress_bars

    from r1sgg_cli.data.rows import is_prepared, save_rows
    from r1sgg_cli.data.sources import psg_source, synthetic_source

    if source == "synthetic":
        chosen = synthetic_source(num_images or 2000, num_test or 500, seed, drop_relationships)
    else:
        chosen = psg_source(Path(source), images, num_images, num_test)
    if is_prepared(out, chosen.description):
        typer.echo(f"already there: {out}")
        return
    disable_progress_bars()
    with Progress(console=Console(stderr=True)) as progress:
        splits = {
            name: progress.track(rows, total=chosen.sizes[name], description=name)
            for name, rows in chosen.splits.items()
        }
        counts = save_rows(splits, out, chosen.vocabulary, chosen.description)
    for repair, count in sorted((+chosen.repairs).items()):
        typer.echo(f"{repair}: {count}", err=True)
    typer.echo(f"{', '.join(f'{count} {name}' for name, count in counts.items())} images: {out}")
