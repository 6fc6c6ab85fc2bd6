"""Hungarian matching of objects, against trying out every assignment."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1sgg_cli.scene_graph.boxes import box_pairs
from r1sgg_cli.scene_graph.graph import SceneGraph, graph_from_rows
from r1sgg_cli.scene_graph.matching import assign_objects, name_similarities
from r1sgg_cli.scene_graph.similarity import exact_similarity

SIDES = st.lists(st.integers(0, 100).map(float), min_size=2, max_size=2, unique=True).map(sorted)
OBJECTS = st.lists(st.tuples(st.sampled_from(["man", "dog"]), SIDES, SIDES), max_size=4)


def graph(*rows: tuple[str, list[float]]) -> SceneGraph:
    """A graph of objects in a space of 100 × 100."""
    return graph_from_rows([{"id": f"{name}.{i}", "bbox": box} for i, (name, box) in enumerate(rows)], [], (100, 100))


GRAPHS = OBJECTS.map(lambda rows: graph(*((name, [x[0], y[0], x[1], y[1]]) for name, x, y in rows)))


def test_name_decides_between_equal_boxes() -> None:
    box = [10.0, 10, 20, 20]
    matching = assign_objects(graph(("man", box), ("dog", box)), graph(("dog", box), ("man", box)), exact_similarity)
    assert dict(zip(matching.true.tolist(), matching.predicted.tolist(), strict=True)) == {0: 1, 1: 0}
    assert matching.similarity.tolist() == [1, 1]


def test_box_decides_between_equal_names() -> None:
    near, far = [10.0, 10, 20, 20], [70.0, 70, 90, 90]
    matching = assign_objects(graph(("man", near)), graph(("man", far), ("man", near)), exact_similarity)
    assert matching.predicted.tolist() == [1]
    assert matching.iou.tolist() == [1]
    assert matching.l1.tolist() == [0]


def test_spaces_of_the_two_graphs_may_differ() -> None:
    truth = graph(("man", [10.0, 10, 20, 40]))
    matching = assign_objects(truth, truth.rescaled((640, 480)), exact_similarity)
    assert matching.iou.tolist() == pytest.approx([1])
    assert matching.l1.tolist() == pytest.approx([0])


def test_l1_is_measured_in_fractions_of_the_image() -> None:
    matching = assign_objects(graph(("man", [0.0, 0, 50, 100])), graph(("man", [0.0, 0, 50, 50])), exact_similarity)
    assert matching.l1.tolist() == pytest.approx([0.5])


@given(GRAPHS, GRAPHS)
def test_no_other_assignment_is_cheaper(prediction: SceneGraph, truth: SceneGraph) -> None:
    matching = assign_objects(truth, prediction, exact_similarity)
    boxes = prediction.boxes_xyxy / 100, truth.boxes_xyxy / 100
    alike = name_similarities(prediction.names, truth.names, exact_similarity)
    pairs = box_pairs(*boxes)
    cost = whole = (1 - alike) + 2 * (1 - pairs.giou) + 5 * pairs.l1
    if cost.shape[0] > cost.shape[1]:
        cost = cost.T
    rows, columns = cost.shape
    cheapest = min(sum(cost[i, j] for i, j in enumerate(order)) for order in permutations(range(columns), rows))
    assert len(set(matching.predicted.tolist())) == len(set(matching.true.tolist())) == rows
    assert np.sum(whole[matching.predicted, matching.true]) == pytest.approx(cheapest)
    assert np.allclose(matching.l1, pairs.l1[matching.predicted, matching.true])
