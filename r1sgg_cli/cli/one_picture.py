"""What `r1sgg infer MODEL PICTURE` shows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from PIL.Image import Image

    from r1sgg_cli.inference.one_picture import SeenPicture
    from r1sgg_cli.inference.request import InferRequest

MARK = "r1sgg infer"
"""Stands in the pictures that are written, by which they are known as our own."""


def show_picture(request: InferRequest, picture: Path) -> None:
    """Print the graph that the model sees, and write the picture with its boxes beside. Raises `R1SGGError`."""
    from r1sgg_cli.files import insist_on_own
    from r1sgg_cli.inference.one_picture import see_picture

    target = Path(f"{picture.stem}.graph.png")
    insist_on_own(target, MARK, "move it, or ask in another folder: the drawing goes there")
    show_seen(see_picture(request, picture), target)


def show_seen(seen: SeenPicture, target: Path) -> None:
    """Print the graph in an answer and draw it; where there is none, print the answer. Raises `R1SGGError`."""
    from r1sgg_cli.counted import counted
    from r1sgg_cli.errors import AnswersError
    from r1sgg_cli.report.picture import draw_graph

    if seen.parsed is None:
        sample = seen.answer.samples[0]
        typer.echo(sample.text)
        way_out = (
            f"it was cut off at {counted(sample.num_tokens, 'token')}: give a larger `--max-new-tokens`"
            if sample.finish_reason == "length"
            else "`--structured` allows nothing but graphs"
        )
        raise AnswersError(f"no graph can be read from this answer: {seen.failure}; {way_out}")
    graph = seen.parsed.graph
    console = Console(soft_wrap=True, highlight=False)
    _print_graph(seen, console)
    caption = f"{counted(len(graph.ids), 'object')}, {counted(len(graph.triplets), 'relationship')}"
    save_drawing(draw_graph(seen.image, graph, caption), target)
    console.print(f"[bold]{escape(str(target))}[/]: the picture with its boxes")


def save_drawing(drawing: Image, target: Path) -> None:
    """Write a picture with its boxes, whole or not at all, marked as our own. Raises `OutputError`."""
    from PIL.PngImagePlugin import PngInfo

    from r1sgg_cli.errors import OutputError
    from r1sgg_cli.files import replacing

    info = PngInfo()
    info.add_text("Software", MARK)
    try:
        with replacing(target) as temporary:
            drawing.save(temporary, "PNG", pnginfo=info)
    except OSError as error:
        raise OutputError(
            f"cannot write `{target}`: {error.strerror or error}; run it in a folder with room that you may write to"
        ) from error


def _print_graph(seen: SeenPicture, console: Console) -> None:
    from r1sgg_cli.counted import times

    assert seen.parsed is not None
    graph, sample = seen.parsed.graph, seen.answer.samples[0]
    objects = Table("object", "box in pixels: left, top, right, bottom", "probability", box=None, padding=(0, 2))
    for object_id, box, logprob in zip(
        graph.ids, graph.boxes_xyxy.tolist(), sample.object_logprobs or [None] * len(graph.ids), strict=True
    ):
        objects.add_row(escape(object_id), ", ".join(f"{side:.0f}" for side in box), _probability(logprob))
    console.print(objects)
    relationships = Table("subject", "predicate", "object", "probability", box=None, padding=(0, 2))
    for triplet, logprob in zip(graph.triplets, sample.triplet_logprobs or [None] * len(graph.triplets), strict=True):
        ends = graph.ids[triplet.subject], triplet.predicate, graph.ids[triplet.object]
        relationships.add_row(*map(escape, ends), _probability(logprob))
    console.print(relationships)
    for kind, count in seen.parsed.defects.items():
        console.print(f"[yellow]repaired or odd:[/] {kind}, {times(count)}")


def _probability(logprob: float | None) -> str:
    return "" if logprob is None else f"{math.exp(logprob):.2f}"
