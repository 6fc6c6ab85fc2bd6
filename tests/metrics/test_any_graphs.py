"""Any graphs, sound as the parser makes them: numbers that are numbers, whatever the boxes, labels and scores."""

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from r1sgg_cli.data.predictions import ImagePrediction, Predictions
from r1sgg_cli.metrics.evaluation import evaluate
from r1sgg_cli.metrics.ranking import GraphScores
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet
from r1sgg_cli.scene_graph.vocabulary import Vocabulary
from tests.inference.all_stages import insist_on_sound_evaluation

WIDTH, HEIGHT = 64, 48
NAMES, PREDICATES = ("man", "horse", "tree"), ("on", "near", "of")
EDGES = st.sampled_from([0.0, 1e-300, 1.0, 7.5, 24.0, 47.999999, 48.0])


@st.composite
def boxes(draw: st.DrawFn) -> list[float]:
    """In the image and in order; many without an area."""
    x, y = (sorted((draw(EDGES), draw(EDGES))) for _ in range(2))
    return [x[0], y[0], x[1], y[1]]


@st.composite
def graphs(draw: st.DrawFn) -> SceneGraph:
    """Up to five objects, with relationships that repeat, join an object with itself, or contradict each other."""
    names = draw(st.lists(st.sampled_from(NAMES), max_size=5))
    numbers = st.integers(0, max(0, len(names) - 1))
    triplets = st.builds(Triplet, numbers, st.sampled_from(PREDICATES), numbers)
    return SceneGraph(
        tuple(f"{name}.{number}" for number, name in enumerate(names)),
        tuple(names),
        np.array([draw(boxes()) for _ in names], dtype=np.float64).reshape(-1, 4),
        tuple(draw(st.lists(triplets, max_size=6))) if names else (),
        (WIDTH, HEIGHT),
    )


SCORES = st.sampled_from([0.0, 5e-324, 0.5, 1.0])


def _scores(draw: Any, graph: SceneGraph | None) -> GraphScores:
    if graph is None or draw(st.booleans()):
        return GraphScores()
    sizes = len(graph.ids), len(graph.triplets)
    return GraphScores(*(draw(st.lists(SCORES, min_size=size, max_size=size)) for size in sizes))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_number_is_finite_or_nothing(data: st.DataObject) -> None:
    truths = data.draw(st.lists(graphs(), min_size=1, max_size=4))
    predicted = [data.draw(graphs() | st.none() | st.just(truth)) for truth in truths]
    scores = [_scores(data.draw, graph) for graph in predicted]
    vocabulary = data.draw(st.sampled_from([(), PREDICATES, PREDICATES[:1]]))
    images = tuple(
        ImagePrediction(str(i), (WIDTH, HEIGHT), truth, graph, None if graph else "no_json", {}, "")
        for i, (truth, graph) in enumerate(zip(truths, predicted, strict=True))
    )
    predictions = Predictions({}, Vocabulary(NAMES, vocabulary), images)
    with np.errstate(all="raise", under="ignore"):
        evaluation = evaluate(truths, predicted, vocabulary, scores)
    insist_on_sound_evaluation(evaluation, predictions)


@settings(max_examples=30, deadline=None)
@given(st.lists(graphs(), min_size=1, max_size=4))
def test_an_answer_that_says_nothing_recalls_nothing(truths: list[SceneGraph]) -> None:
    nothing = SceneGraph((), (), np.empty((0, 4)), (), (WIDTH, HEIGHT))
    for graph in (nothing, None):
        evaluation = evaluate(truths, [graph] * len(truths), PREDICATES)
        recalls = [m.value for m in evaluation.metrics if "recall" in m.name or "box_ap" in m.name]
        assert all(math.isnan(value) or value == 0 for value in recalls)
