"""One image of a data set on its page: the photo with boxes, the drawn graph, and its relationships as text."""

from collections.abc import Mapping
from dataclasses import dataclass

from datasets import Dataset

from r1sgg_cli.counted import counted
from r1sgg_cli.data.rows import decoded, ground_truth_graph, undecoded
from r1sgg_cli.report.drawing import Drawing, draw_graph
from r1sgg_cli.report.node_layout import MAX_LINKED, MAX_PART, MAX_UNLINKED, THOROUGH, WIDTH, Search
from r1sgg_cli.report.overlay import BoxView, Photo, encode_photo, largest_first, lay_out_boxes, object_labels
from r1sgg_cli.scene_graph.graph import SceneGraph

PHOTO_WH = (WIDTH, WIDTH)
MAX_LISTED = 1000
"""Relationships of one image that are listed."""


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """One object over the photo; `number` is the same as that of its node."""

    number: int
    view: BoxView


@dataclass(frozen=True, slots=True)
class Listed:
    """One relationship as text; the numbers are those of drawn objects."""

    subject: str
    predicate: str
    object: str
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DrawnGraph:
    """A graph as the template draws it."""

    drawing: Drawing
    numbers: Mapping[int, int]
    """Object index → number of its node, which decides the colour."""
    classes: tuple[str, ...]
    """By number: how a node or box is found from itself (`k3`) and from each of its partners (`n5`)."""
    notes: tuple[str, ...]
    """What is not drawn, or odd."""
    alt: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One image with its graph."""

    image_id: str
    summary: str
    photo: Photo
    boxes: tuple[DrawnBox, ...]
    graph: DrawnGraph
    triplets: tuple[Listed, ...]
    num_unlisted: int


def read_sample(rows: Dataset, index: int) -> Sample:
    """One row as it is shown. Raises `DataError` where its image cannot be read or its boxes lie outside it."""
    row = decoded(undecoded(rows)[index])
    return _sample(row["image_id"], encode_photo(row["image"], PHOTO_WH), ground_truth_graph(row))


def _sample(image_id: str, photo: Photo, graph: SceneGraph) -> Sample:
    drawn = drawn_graph(graph)
    triplets = _listed(graph, drawn.numbers)
    return Sample(
        image_id,
        f"{counted(len(graph.ids), 'object')} · {counted(len(triplets), 'relationship')}",
        photo,
        _boxes(graph, photo, drawn.numbers),
        drawn,
        triplets[:MAX_LISTED],
        max(0, len(triplets) - MAX_LISTED),
    )


def drawn_graph(graph: SceneGraph, search: Search = THOROUGH) -> DrawnGraph:
    """The drawing of a graph, its nodes numbered."""
    drawing = draw_graph(graph, search)
    numbers = {node.object: number for number, node in enumerate(drawing.nodes)}
    names = ", ".join(node.name for node in drawing.nodes)
    return DrawnGraph(drawing, numbers, _classes(drawing, numbers), _notes(drawing), names or "no object")


def _classes(drawing: Drawing, numbers: Mapping[int, int]) -> tuple[str, ...]:
    partners: list[set[int]] = [set() for _ in drawing.nodes]
    for arrow in drawing.arrows:
        subject, object_ = numbers[arrow.subject], numbers[arrow.object]
        partners[subject].add(object_)
        partners[object_].add(subject)
    return tuple(" ".join([f"k{i}", *(f"n{k}" for k in sorted(near))]) for i, near in enumerate(partners))


def _boxes(graph: SceneGraph, photo: Photo, numbers: Mapping[int, int]) -> tuple[DrawnBox, ...]:
    order = largest_first(graph, numbers)
    views = lay_out_boxes(graph, ["truth"] * len(graph.ids), photo.view_wh, order)
    return tuple(DrawnBox(numbers[i], view) for i, view in zip(order, views, strict=True))


def _listed(graph: SceneGraph, numbers: Mapping[int, int]) -> tuple[Listed, ...]:
    labels = object_labels(graph)
    return tuple(
        Listed(
            labels[t.subject],
            t.predicate,
            labels[t.object],
            tuple(dict.fromkeys(numbers[end] for end in (t.subject, t.object) if end in numbers)),
        )
        for t in dict.fromkeys(graph.triplets)
    )


def _notes(drawing: Drawing) -> tuple[str, ...]:
    notes = []
    if drawing.num_hidden_objects:
        most = (
            f"at most {MAX_LINKED} with most relationships, {MAX_PART} that hang together, and {MAX_UNLINKED} without"
        )
        notes.append(f"{counted(drawing.num_hidden_objects, 'more object')} not drawn ({most}).")
    if drawing.num_hidden_relationships:
        notes.append(f"{counted(drawing.num_hidden_relationships, 'more relationship')} not drawn.")
    return tuple(notes)
