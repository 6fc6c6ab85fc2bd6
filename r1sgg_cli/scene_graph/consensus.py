"""One graph out of several of the same image, by the majority.

Objects of the same name whose boxes overlap with an IoU of at least 0.5 are one object; of each graph at most one
object takes part in it. What at least half of the graphs show is kept: an object with the median of its boxes, a
triplet between kept objects. The score of either is the share of the graphs that show it. The order of the graphs
does not matter, but where boxes overlap equally well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import NamedTuple

import numpy as np

from r1sgg_cli.scene_graph.boxes import IOU_THRESHOLD, box_iou
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet


@dataclass(frozen=True, slots=True, eq=False)
class Consensus:
    """The graph of the majority: what most graphs show comes first, then what they list first."""

    graph: SceneGraph
    object_scores: tuple[float, ...]
    """Share of the graphs that show each object."""
    triplet_scores: tuple[float, ...]


class _Member(NamedTuple):
    """An object of one of the graphs, by its position there."""

    graph: int
    position: int
    name: str
    box: list[float]


def consensus(graphs: Sequence[SceneGraph | None]) -> Consensus | None:
    """What at least half of the graphs of one image agree on; None is a graph that shows nothing.

    None where no graph can be read at all. All graphs must live in the same space.
    """
    readable = [graph for graph in graphs if graph is not None]
    if not readable:
        return None
    members = _members(graphs)
    groups = [group for group in _groups(members) if 2 * len(group) >= len(graphs)]
    boxes = [[median(column) for column in zip(*(member.box for member in group), strict=True)] for group in groups]
    names = [group[0].name for group in groups]
    listed = [sum(member.position for member in group) / len(group) for group in groups]
    order = sorted(range(len(groups)), key=lambda i: (-len(groups[i]), listed[i], names[i], boxes[i]))
    object_of = {(member.graph, member.position): rank for rank, i in enumerate(order) for member in groups[i]}
    places = _triplet_places(graphs, object_of)
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


def _members(graphs: Sequence[SceneGraph | None]) -> list[_Member]:
    return [
        _Member(number, position, name, box)
        for number, graph in enumerate(graphs)
        if graph
        for position, (name, box) in enumerate(zip(graph.names, graph.boxes_xyxy.tolist(), strict=True))
    ]


def _groups(members: list[_Member]) -> list[list[_Member]]:
    """Objects that are one and the same; each name by itself, or long answers would take gigabytes."""
    of_name: dict[str, list[_Member]] = {}
    for member in members:
        of_name.setdefault(member.name, []).append(member)
    return [group for namesakes in of_name.values() for group in _joined(namesakes)]


def _joined(members: list[_Member]) -> list[list[_Member]]:
    """Groups of namesakes: best overlaps first, two join where all overlap and no graph is twice."""
    iou = _overlaps(members)
    groups = [[i] for i in range(len(members))]  # of each member; members of a group share the list
    for i, j in _best_first(members, iou):
        a, b = groups[i], groups[j]
        if a is b or {members[k].graph for k in a} & {members[k].graph for k in b}:
            continue
        if all(iou[k][m] >= IOU_THRESHOLD for k in a for m in b):
            a.extend(b)
            for k in b:
                groups[k] = a
    return [[members[k] for k in group] for group in {id(group): group for group in groups}.values()]


def _overlaps(members: list[_Member]) -> list[list[float]]:
    """IoU of every two boxes; a box without area overlaps with its equal."""
    boxes = np.array([member.box for member in members]).reshape(-1, 4)
    equal = (boxes[:, None] == boxes[None]).all(axis=2)
    overlaps: list[list[float]] = np.where(equal, 1.0, box_iou(boxes, boxes)).tolist()
    return overlaps


def _best_first(members: list[_Member], iou: list[list[float]]) -> list[tuple[int, int]]:
    """Pairs that may be one, by overlap and, where that ties, by their boxes, so not by the order of the graphs."""
    pairs = [(i, j) for i, j in combinations(range(len(members)), 2) if iou[i][j] >= IOU_THRESHOLD]
    return sorted(pairs, key=lambda pair: (-iou[pair[0]][pair[1]], *sorted(members[i].box for i in pair)))


def _triplet_places(
    graphs: Sequence[SceneGraph | None], object_of: Mapping[tuple[int, int], int]
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
