"""Triplet recall by what labels mean."""

import numpy as np
import pytest

from r1sgg_cli.metrics.flat import LabelTable, flatten
from r1sgg_cli.metrics.recall import recall_per_image
from r1sgg_cli.metrics.soft import soft_recall_per_image
from r1sgg_cli.metrics.triplets import triplet_candidates
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.similarity import Similarity, exact_similarity

from .conftest import GraphMaker
from .golden_split import GoldenSplit

OBJECTS = [("man", 0), ("horse", 100), ("hat", 200)]


def _soft(truths: list[SceneGraph], answers: list[SceneGraph | None], similarity: Similarity) -> list[float]:
    names, predicates = LabelTable(), LabelTable()
    annotated, predicted = flatten(truths, names, predicates), flatten(answers, names, predicates)
    recall = soft_recall_per_image(annotated, predicted, (list(names), list(predicates)), similarity)
    values: list[float] = recall.tolist()
    return values


def _alike(label_a: str, label_b: str) -> float:
    return (
        1.0
        if label_a == label_b
        else {frozenset({"man", "guy"}): 0.8, frozenset({"on", "riding"}): 0.5}.get(frozenset({label_a, label_b}), 0.0)
    )


def test_a_triplet_is_worth_the_product_of_its_similarities(make_graph: GraphMaker) -> None:
    truth = make_graph(OBJECTS, [(0, "riding", 1), (2, "on", 0)])
    answer = make_graph([("guy", 0), ("horse", 100)], [(0, "on", 1)])
    assert _soft([truth], [answer], _alike) == pytest.approx([0.8 * 0.5 * 1 / 2])


def test_boxes_still_have_to_overlap(make_graph: GraphMaker) -> None:
    truth, answer = make_graph(OBJECTS, [(0, "on", 1)]), make_graph([("man", 6), ("horse", 100)], [(0, "on", 1)])
    assert _soft([truth], [answer], _alike) == [0]


def test_triplets_are_paired_off_for_the_largest_sum(make_graph: GraphMaker) -> None:
    truth = make_graph(OBJECTS, [(0, "on", 1), (0, "riding", 1)])
    answer = make_graph(OBJECTS, [(0, "riding", 1)])
    assert _soft([truth], [answer], _alike) == [0.5]  # the equal one, and no second use of the same triplet


def test_failed_images_are_worth_nothing_and_those_without_triplets_are_left_out(make_graph: GraphMaker) -> None:
    truth = make_graph(OBJECTS, [(0, "on", 1)])
    np.testing.assert_equal(_soft([truth, make_graph(OBJECTS)], [None, None], _alike), [0, np.nan])


def test_with_equal_labels_alone_it_is_the_triplet_recall(golden: GoldenSplit) -> None:
    names, predicates = LabelTable(), LabelTable()
    annotated, predicted = (flatten(graphs, names, predicates) for graphs in (golden.truths, golden.predictions))
    soft = soft_recall_per_image(annotated, predicted, (list(names), list(predicates)), exact_similarity)
    hard = recall_per_image(annotated, triplet_candidates(annotated, predicted).hits()[0])
    np.testing.assert_allclose(soft, hard)
