"""The order of a graph's items: annotations are a set, their order in a file is an accident."""

import numpy as np

from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet
from r1sgg_cli.scene_graph.labels import written_name


def shuffled(graph: SceneGraph, random_state: np.random.Generator) -> SceneGraph:
    """The same graph with its objects, and its relationships, in a random order each.

    Ids become `name.N`, N counting from 1 in the new order, so that a number says nothing of the old one.
    """
    order = random_state.permutation(len(graph.ids)).tolist()
    position = {old: new for new, old in enumerate(order)}
    ids = tuple(f"{written_name(graph.ids[old])}.{number}" for number, old in enumerate(order, 1))
    moved = [Triplet(position[t.subject], t.predicate, position[t.object]) for t in graph.triplets]
    triplets = tuple(moved[i] for i in random_state.permutation(len(moved)).tolist())
    names = tuple(graph.names[old] for old in order)
    return SceneGraph(ids, names, graph.boxes_xyxy[order], triplets, graph.space_wh)
