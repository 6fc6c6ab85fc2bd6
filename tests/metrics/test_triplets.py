"""Hits of triplets and objects."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1sgg_cli.metrics.objects import match_objects
from r1sgg_cli.metrics.triplets import match_triplets
from r1sgg_cli.scene_graph.boxes import IOU_THRESHOLD, box_iou
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet, graph_from_rows

from .conftest import GraphMaker

MAN_ON_HORSE = ([("man", 0), ("horse", 100)], [(0, "on", 1)])


@pytest.mark.parametrize(
    ("objects", "triplets", "num_hits"),
    [
        pytest.param([("man", 0), ("horse", 100)], [(0, "on", 1)], 1, id="same"),
        pytest.param([("horse", 100), ("man", 0)], [(1, "on", 0)], 1, id="objects in another order"),
        pytest.param([("man", 3), ("horse", 97)], [(0, "on", 1)], 1, id="boxes a little off"),
        pytest.param([("man", 5), ("horse", 100)], [(0, "on", 1)], 0, id="subject box off"),
        pytest.param([("man", 0), ("horse", 105)], [(0, "on", 1)], 0, id="object box off"),
        pytest.param([("boy", 0), ("horse", 100)], [(0, "on", 1)], 0, id="other subject name"),
        pytest.param([("man", 0), ("cow", 100)], [(0, "on", 1)], 0, id="other object name"),
        pytest.param([("man", 0), ("horse", 100)], [(0, "under", 1)], 0, id="other predicate"),
        pytest.param([("man", 0), ("horse", 100)], [(1, "on", 0)], 0, id="ends swapped"),
        pytest.param([("man", 0), ("horse", 100)], [], 0, id="no triplet"),
        pytest.param([], [], 0, id="empty graph"),
        pytest.param([("man", 0), ("horse", 100)], [(0, "on", 1), (0, "on", 1)], 1, id="exact repeat"),
        pytest.param([("man", 0), ("man", 0), ("horse", 100)], [(0, "on", 2), (1, "on", 2)], 1, id="object repeated"),
    ],
)
def test_a_hit_needs_names_predicate_and_both_boxes(
    make_graph: GraphMaker, objects: list[tuple[str, float]], triplets: list[tuple[int, str, int]], num_hits: int
) -> None:
    assert len(match_triplets(make_graph(*MAN_ON_HORSE), make_graph(objects, triplets))) == num_hits


def test_a_box_of_exactly_half_overlap_hits_without_an_extra_pixel() -> None:
    truth = graph_from_rows([{"id": "a.1", "bbox": [0, 0, 10, 10]}], [], (100, 100))
    half = graph_from_rows([{"id": "a.1", "bbox": [0, 0, 10, 5]}], [], (100, 100))
    less = graph_from_rows([{"id": "a.1", "bbox": [0, 0, 10, 4.9]}], [], (100, 100))  # .53 with one more pixel
    assert match_objects(truth, half) == [(0, 0)]
    assert match_objects(truth, less) == []


def test_one_predicted_triplet_hits_one_annotated_triplet(make_graph: GraphMaker) -> None:
    truth = make_graph([("man", 0), ("man", 1), ("horse", 100)], [(0, "on", 2), (1, "on", 2)])
    assert len(match_triplets(truth, make_graph(*MAN_ON_HORSE))) == 1


def test_pairing_finds_the_most_hits_and_not_the_first(make_graph: GraphMaker) -> None:
    truth = make_graph([("a", 0), ("a", 3), ("b", 100)], [(0, "on", 2), (1, "on", 2)])
    # the first prediction overlaps both annotated ones, the second only the first
    prediction = make_graph([("a", 0), ("a", -3), ("b", 100)], [(0, "on", 2), (1, "on", 2)])
    assert sorted(match_triplets(truth, prediction)) == [(0, 1), (1, 0)]


def test_indices_are_those_of_the_graphs_with_repeats_in_them(make_graph: GraphMaker) -> None:
    objects = [("a", 0), ("b", 100)]
    prediction = make_graph(objects, [(0, "on", 1), (0, "on", 1), (1, "under", 0)])
    truth = make_graph(objects, [(1, "under", 0), (1, "under", 0), (0, "on", 1)])
    assert sorted(match_triplets(truth, prediction)) == [(0, 2), (2, 0)]


def test_objects_pair_one_to_one(make_graph: GraphMaker) -> None:
    truth = make_graph([("a", 0), ("b", 50)])
    prediction = make_graph([("a", 0), ("a", 1), ("b", 51), ("b", 80)])
    hits = match_objects(truth, prediction)
    assert [annotated for annotated, _ in hits] == [0, 1]
    assert hits[1] == (1, 2)


@st.composite
def graphs(draw: st.DrawFn) -> SceneGraph:
    """Small graphs in which much overlaps and few names occur, so that hits compete."""
    objects = draw(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 6)), min_size=1, max_size=4))
    place = st.integers(0, len(objects) - 1)
    triplets = draw(st.lists(st.tuples(place, st.sampled_from(["on", "by"]), place), max_size=4))
    rows = [{"id": f"{name}.{i}", "bbox": [x, 0, x + 10, 10]} for i, (name, x) in enumerate(objects)]
    graph = graph_from_rows(rows, [], (100, 100))
    return SceneGraph(graph.ids, graph.names, graph.boxes_xyxy, tuple(Triplet(*t) for t in triplets), graph.space_wh)


def _is_hit(truth: SceneGraph, prediction: SceneGraph, annotated: Triplet, predicted: Triplet) -> bool:
    iou = box_iou(truth.boxes_xyxy, prediction.boxes_xyxy)
    ends = [(annotated.subject, predicted.subject), (annotated.object, predicted.object)]
    return annotated.predicate == predicted.predicate and all(
        truth.names[a] == prediction.names[p] and iou[a, p] >= IOU_THRESHOLD for a, p in ends
    )


@settings(deadline=None)
@given(truth=graphs(), prediction=graphs())
def test_number_of_hits_is_the_best_of_all_pairings(truth: SceneGraph, prediction: SceneGraph) -> None:
    annotated, predicted = list(dict.fromkeys(truth.triplets)), list(dict.fromkeys(prediction.triplets))
    places: list[Triplet | None] = [*predicted, *([None] * len(annotated))]
    best = max(
        sum(p is not None and _is_hit(truth, prediction, a, p) for a, p in zip(annotated, chosen, strict=True))
        for chosen in itertools.permutations(places, len(annotated))
    )
    matched = match_triplets(truth, prediction)
    assert len(matched) == best
    assert len({a for a, _ in matched}) == len({p for _, p in matched}) == best
    assert all(_is_hit(truth, prediction, truth.triplets[a], prediction.triplets[p]) for a, p in matched)


@settings(deadline=None)
@given(graph=graphs())
def test_a_graph_hits_all_of_itself(graph: SceneGraph) -> None:
    assert len(match_triplets(graph, graph)) == len(set(graph.triplets))
    assert len(match_objects(graph, graph)) == len(graph.ids)
