"""A graph made short enough, by leaving out whole items.

Which items go, one after the other until the rest fits:
1. objects that no relationship names, from the last;
2. relationships, from the last, each together with those of its objects that no relationship left names.
Where the objects are given and only relationships are written, relationships go from the last and all objects stay.
What is left keeps its order and its ids.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace

from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet
from r1sgg_cli.scene_graph.labels import written_name


def shorten(graph: SceneGraph, fits: Callable[[SceneGraph], bool], objects_are_given: bool = False) -> SceneGraph:
    """The largest part of `graph` that `fits`, by the rules above; without any item if nothing more does.

    The very same graph if it fits whole. `fits` is asked O(log n) times and must hold for the parts of what it holds
    for.
    """
    if fits(graph):
        return graph
    ends = _named(graph.triplets)
    unnamed = [] if objects_are_given else [i for i in range(len(graph.ids)) if i not in ends]

    def without(num_removed: int) -> SceneGraph:
        num_unnamed = max(len(unnamed) - num_removed, 0)
        triplets = graph.triplets[: len(graph.triplets) + min(len(unnamed) - num_removed, 0)]
        objects = range(len(graph.ids)) if objects_are_given else {*unnamed[:num_unnamed], *_named(triplets)}
        return _part(graph, sorted(objects), triplets)

    num_removable = len(unnamed) + len(graph.triplets)
    if not num_removable:
        return graph
    # The whole does not fit, and what is left after every removal is taken as it is.
    return without(bisect_left(range(num_removable), True, lo=1, key=lambda num_removed: fits(without(num_removed))))


def least_parts(graph: SceneGraph, objects_are_given: bool = False, in_any_order: bool = False) -> list[SceneGraph]:
    """What `shorten` may come to before not one item is left: one relationship, or one object where there is none.

    In the graph's own order that is one part; `in_any_order` it is any item, with the longest running numbers.
    """
    whole = list(range(len(graph.ids)))
    if in_any_order and not objects_are_given:
        graph = replace(graph, ids=tuple(f"{written_name(i)}.{len(graph.ids)}" for i in graph.ids))
    if not graph.triplets:
        return [_part(graph, [i], ()) for i in (whole if in_any_order else whole[:1])] or [graph]
    triplets = graph.triplets if in_any_order else graph.triplets[:1]
    return [_part(graph, whole if objects_are_given else sorted(_named((t,))), (t,)) for t in triplets]


def _named(triplets: tuple[Triplet, ...]) -> set[int]:
    return {end for triplet in triplets for end in (triplet.subject, triplet.object)}


def _part(graph: SceneGraph, objects: list[int], triplets: tuple[Triplet, ...]) -> SceneGraph:
    position = {old: new for new, old in enumerate(objects)}
    moved = tuple(Triplet(position[t.subject], t.predicate, position[t.object]) for t in triplets)
    ids, names = tuple(graph.ids[i] for i in objects), tuple(graph.names[i] for i in objects)
    return SceneGraph(ids, names, graph.boxes_xyxy[objects], moved, graph.space_wh)
