"""The graphs of a whole split as flat arrays, so that every image is scored in the same few array operations."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from r1sgg_cli.metrics.ranking import UNSCORED, GraphScores
from r1sgg_cli.scene_graph.boxes import Boxes
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FlatGraphs:
    """Objects and triplets of many images, one after the other; labels are numbers in a table shared by both sides."""

    num_images: int
    object_image: Integers
    object_label: Integers
    boxes_xyxy: Boxes
    triplet_image: Integers
    subject: Integers
    """Row of the subject in the object arrays."""
    predicate: Integers
    object: Integers
    """Row of the object in the object arrays."""
    rank: Integers
    """Place of the triplet in its graph, from 0, by score and then by order, repeated triplets left out."""
    source: Integers
    """Index of the triplet in its graph's `triplets`."""
    object_score: NDArray[np.float64]
    """1 where an object has none."""

    def with_triplets(self, keep: NDArray[np.bool_]) -> "FlatGraphs":
        """The same graphs with some of their triplets; `keep` is one truth value per triplet."""
        columns = {name: getattr(self, name)[keep] for name in _OF_TRIPLETS}
        return replace(self, **columns)


_OF_TRIPLETS = ("triplet_image", "subject", "predicate", "object", "rank", "source")


def flatten_pair(
    ground_truths: Sequence[SceneGraph], predictions: Sequence[SceneGraph | None]
) -> tuple[FlatGraphs, FlatGraphs]:
    """Annotated and predicted graphs of the same images as flat arrays with the same label numbers."""
    names, predicates = LabelTable(), LabelTable()
    return flatten(ground_truths, names, predicates), flatten(predictions, names, predicates)


class LabelTable(dict[str, int]):
    """Label → number; a label that was not met before gets the next number."""

    def __missing__(self, label: str) -> int:
        """The next free number, kept for the label."""
        self[label] = len(self)
        return self[label]


def flatten(
    graphs: Sequence[SceneGraph | None],
    names: LabelTable,
    predicates: LabelTable,
    scores: Sequence[GraphScores] | None = None,
    *,
    keep_repeats: bool = False,
) -> FlatGraphs:
    """Flat arrays of `graphs`; a missing graph is an image without objects.

    A triplet that repeats an earlier one of its graph exactly (same two objects, same predicate) is left out, unless
    `keep_repeats` says otherwise; with repeats, triplets rank by their order alone.
    """
    object_image: list[int] = []
    object_label: list[int] = []
    object_score: list[float] = []
    boxes = [np.empty((0, 4))]
    triplet_rows: list[tuple[int, int, int, int, int, int]] = []
    of_graphs = [UNSCORED] * len(graphs) if scores is None else scores
    for image, (graph, of_graph) in enumerate(zip(graphs, of_graphs, strict=True)):
        if graph is None:
            continue
        first = len(object_image)
        object_image += [image] * len(graph.names)
        object_label += [names[name] for name in graph.names]
        object_score += [1.0] * len(graph.names) if of_graph.objects is None else of_graph.objects
        boxes.append(graph.boxes_xyxy)
        sources = range(len(graph.triplets)) if keep_repeats else _ranked(graph.triplets, of_graph.triplets)
        triplet_rows += [
            (image, first + triplet.subject, predicates[triplet.predicate], first + triplet.object, rank, source)
            for rank, source in enumerate(sources)
            for triplet in [graph.triplets[source]]
        ]
    columns = np.array(triplet_rows, dtype=np.int64).reshape(-1, len(_OF_TRIPLETS)).T
    return FlatGraphs(
        num_images=len(graphs),
        object_image=np.array(object_image, dtype=np.int64),
        object_label=np.array(object_label, dtype=np.int64),
        boxes_xyxy=np.concatenate(boxes),
        object_score=np.array(object_score, dtype=np.float64),
        **dict(zip(_OF_TRIPLETS, columns, strict=True)),
    )


def _ranked(triplets: Sequence[Triplet], scores: Sequence[float] | None) -> list[int]:
    """First places of the different triplets, that of the highest score first, else in order."""
    first_places: dict[Triplet, int] = {}
    for place, triplet in enumerate(triplets):
        first_places.setdefault(triplet, place)
    places = list(first_places.values())
    return places if scores is None else sorted(places, key=lambda place: -scores[place])
