"""A shuffled graph says the same in another order, and its numbers say nothing of the old one."""

import numpy as np

from r1sgg_cli.scene_graph.graph import SceneGraph, graph_from_rows
from r1sgg_cli.scene_graph.order import shuffled

OBJECTS = [{"id": f"{name}.{7 * i}", "bbox": [i, 0, i + 1, 1]} for i, name in enumerate(["Man", "st. bernard", "x"], 1)]
LINKS = [
    {"subject": "Man.7", "predicate": "on", "object": "x.21"},
    {"subject": "x.21", "predicate": "near", "object": "st. bernard.14"},
]
GRAPH = graph_from_rows(OBJECTS, LINKS, (10, 10))


def meaning(graph: SceneGraph) -> tuple[set[object], set[object]]:
    objects = [(name, *box) for name, box in zip(graph.names, graph.boxes_xyxy.tolist(), strict=True)]
    return set(objects), {(objects[t.subject], t.predicate, objects[t.object]) for t in graph.triplets}


def test_objects_and_relationships_are_the_same() -> None:
    for seed in range(20):
        assert meaning(shuffled(GRAPH, np.random.default_rng(seed))) == meaning(GRAPH)


def test_ids_count_from_one_in_the_new_order() -> None:
    ids = {shuffled(GRAPH, np.random.default_rng(seed)).ids for seed in range(40)}
    assert len(ids) == 6  # all orders of three objects
    assert all([object_id.rpartition(".")[2] for object_id in order] == ["1", "2", "3"] for order in ids)
    assert ("Man.1", "st. bernard.2", "x.3") in ids


def test_relationships_have_an_order_of_their_own() -> None:
    orders = [shuffled(GRAPH, np.random.default_rng(seed)) for seed in range(40)]
    seen = {(graph.ids[0].split(".")[0], graph.triplets[0].predicate) for graph in orders}
    assert len(seen) == 6


def test_the_same_generator_gives_the_same_order() -> None:
    one, other = (shuffled(GRAPH, np.random.default_rng((42, 2, 0, 5))) for _ in range(2))
    assert (one.ids, one.triplets) == (other.ids, other.triplets)


def test_an_empty_graph_stays_empty() -> None:
    assert shuffled(graph_from_rows([], [], (10, 10)), np.random.default_rng(0)).ids == ()
