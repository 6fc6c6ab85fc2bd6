"""One graph out of several of the same image, by the majority.

Objects of the same name whose boxes overlap with an IoU of at least 0.5 are one object; of each graph at most one
object takes part in it. What at least half of the graphs show is kept: an object with the median of its boxes, a
triplet between kept objects. The score of either is the share of the graphs that show it. The order of the graphs
does not matter, but where boxes overlap equally well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from r1sgg_cli.scene_graph.boxes import IOU_THRESHOLD, box_iou
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet

Member = tuple[int, int]
"""Graph and object."""


@dataclass(frozen=True, slots=True, eq=False)
class Consensus:
    """The graph of the majority: what most graphs show comes first, then what they list first."""

    graph: SceneGraph
    object_scores: tuple[float, ...]
    """Share of the graphs that show each object."""
    triplet_scores: tuple[float, ...]


def consensus(graphs: Sequence[SceneGraph | None]) -> Consensus | None:
    """What at least half of the graphs of one image agree on; None is a graph that shows nothing.

    None where no graph can be read at all. All graphs must live in the same space.
    """
    readable = [graph for graph in graphs if graph is not None]
    if not readable:
        return None
    groups = [group for group in _groups(graphs) if 2 * len(group) >= len(graphs)]
    boxes = [_median_box(graphs, group) for group in groups]
    names = [_name(graphs, group[0]) for group in groups]
    listed = [sum(position for _, position in group) / len(group) for group in groups]
    order = sorted(range(len(groups)), key=lambda i: (-len(groups[i]), listed[i], names[i], boxes[i]))
    places = _triplet_places(graphs, {member: rank for rank, i in enumerate(order) for member in groups[i]})
    kept = [triplet for triplet, listed in places.items() if 2 * len(listed) >= len(graphs)]
    triplets = sorted(kept, key=lambda t: (-len(places[t]), sum(places[t]) / len(places[t]), t))
    graph = SceneGraph(
        tuple(f"{names[i]}.{number}" for number, i in enumerate(order, start=1)),
        tuple(names[i] for i in order),
        np.array([boxes[i] for i in order], dtype=np.float64).reshape(-1, 4),
        tuple(triplets),
        readable[0].space_wh,
    )
    return Consensus(
        graph,
        tuple(len(groups[i]) / len(graphs) for i in order),
        tuple(len(places[triplet]) / len(graphs) for triplet in triplets),
    )


def _groups(graphs: Sequence[SceneGraph | None]) -> list[list[Member]]:
    """Objects that are one and the same, each group with its members of different graphs."""
    by_name: dict[str, list[Member]] = {}
    for number, graph in enumerate(graphs):
        for position, name in enumerate(graph.names if graph else ()):
            by_name.setdefault(name, []).append((number, position))
    return [group for members in by_name.values() for group in _joined(graphs, members)]


def _joined(graphs: Sequence[SceneGraph | None], members: list[Member]) -> list[list[Member]]:
    """Members of one name in groups: best overlaps first, two join where all of both overlap and no graph is twice."""
    boxes = [_box(graphs, member) for member in members]
    iou = _overlaps(boxes)
    groups = [[i] for i in range(len(members))]  # of each member; members of a group share the list
    for i, j in _best_first(iou, boxes):
        a, b = groups[i], groups[j]
        if a is b or {members[k][0] for k in a} & {members[k][0] for k in b}:
            continue
        if all(iou[k][m] >= IOU_THRESHOLD for k in a for m in b):
            a.extend(b)
            for k in b:
                groups[k] = a
    return [[members[k] for k in group] for group in {id(group): group for group in groups}.values()]


def _overlaps(boxes: list[list[float]]) -> list[list[float]]:
    """IoU of every two boxes; a box without area overlaps with its equal."""
    array = np.array(boxes)
    overlaps: list[list[float]] = np.where(
        (array[:, None] == array[None]).all(axis=2), 1.0, box_iou(array, array)
    ).tolist()
    return overlaps


def _best_first(iou: list[list[float]], boxes: list[list[float]]) -> list[tuple[int, int]]:
    """Pairs that overlap enough, by overlap and, where that ties, by their boxes, so not by the order of the graphs."""
    pairs = [(i, j) for i, row in enumerate(iou) for j in range(i + 1, len(row)) if row[j] >= IOU_THRESHOLD]
    return sorted(pairs, key=lambda pair: (-iou[pair[0]][pair[1]], *sorted((boxes[pair[0]], boxes[pair[1]]))))


def _triplet_places(
    graphs: Sequence[SceneGraph | None], object_of: Mapping[Member, int]
) -> Mapping[Triplet, list[int]]:
    """Where each graph that says a triplet between kept objects lists it; what a graph says twice counts once."""
    places: dict[Triplet, list[int]] = {}
    for number, graph in enumerate(graphs):
        said: dict[Triplet, int] = {}
        for position, (subject, predicate, target) in enumerate(graph.triplets if graph else ()):
            ends = object_of.get((number, subject)), object_of.get((number, target))
            if ends[0] is not None and ends[1] is not None:
                said.setdefault(Triplet(ends[0], predicate, ends[1]), position)
        for triplet, position in said.items():
            places.setdefault(triplet, []).append(position)
    return places


def _box(graphs: Sequence[SceneGraph | None], member: Member) -> list[float]:
    graph = graphs[member[0]]
    assert graph is not None
    box: list[float] = graph.boxes_xyxy[member[1]].tolist()
    return box


def _name(graphs: Sequence[SceneGraph | None], member: Member) -> str:
    graph = graphs[member[0]]
    assert graph is not None
    return graph.names[member[1]]


def _median_box(graphs: Sequence[SceneGraph | None], group: list[Member]) -> list[float]:
    median: list[float] = np.median([_box(graphs, member) for member in group], axis=0).tolist()
    return median
