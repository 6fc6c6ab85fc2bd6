"""Recall per image and per predicate."""

import numpy as np
import pytest

from r1sgg_cli.metrics.flat import FlatGraphs, LabelTable, flatten
from r1sgg_cli.metrics.recall import PredicateRecall, recall_per_image
from r1sgg_cli.metrics.statistic import values_under

from .conftest import GraphMaker

PREDICATES = ["on", "near", "under"]


@pytest.fixture
def annotated(make_graph: GraphMaker) -> FlatGraphs:
    """Triplets in rows: image 0 on, on, near; image 1 none; image 2 on."""
    objects = [("a", 0.0), ("b", 50.0), ("c", 100.0)]
    graphs = [make_graph(objects, t) for t in ([(0, "on", 1), (1, "on", 2), (0, "near", 2)], [], [(2, "on", 0)])]
    return flatten(graphs, LabelTable(), LabelTable((name, number) for number, name in enumerate(PREDICATES)))


def test_an_image_without_triplets_has_no_recall(annotated: FlatGraphs) -> None:
    np.testing.assert_allclose(recall_per_image(annotated, np.array([0, 3])), [1 / 3, np.nan, 1])


def test_a_predicate_is_averaged_over_its_images_and_not_over_its_triplets(annotated: FlatGraphs) -> None:
    recall = PredicateRecall(annotated).values(np.array([0, 3]), len(PREDICATES))
    np.testing.assert_allclose(recall, [(1 / 2 + 1) / 2, 0, np.nan])


def test_no_hits_are_zero_and_not_nan(annotated: FlatGraphs) -> None:
    none = np.empty(0, dtype=np.int64)
    np.testing.assert_allclose(recall_per_image(annotated, none), [0, np.nan, 0])
    np.testing.assert_allclose(PredicateRecall(annotated).values(none, len(PREDICATES)), [0, 0, np.nan])


def test_recall_of_some_triplets_leaves_the_others_out(annotated: FlatGraphs) -> None:
    asked = np.array([True, False, True, False])
    np.testing.assert_allclose(recall_per_image(annotated, np.array([0, 1, 3]), asked), [1 / 2, np.nan, np.nan])


def test_a_predicate_has_its_counts(annotated: FlatGraphs) -> None:
    recall = PredicateRecall(annotated)
    assert recall.predicates.tolist() == [0, 1]  # on, near
    assert (recall.num_annotated.tolist(), recall.num_images.tolist()) == ([3, 1], [2, 1])
    assert recall.num_hit(np.array([0, 3])).tolist() == [2, 0]


def test_recall_of_a_resample_is_that_of_the_images_that_it_drew(annotated: FlatGraphs) -> None:
    recall = PredicateRecall(annotated)
    statistic = recall.mean(recall.per_image(np.array([0, 3])))
    weights = np.array([[1, 1, 1], [2, 1, 0], [0, 0, 3], [0, 5, 0]], dtype=np.uint8).T
    (values,) = values_under([statistic], weights)
    np.testing.assert_allclose(values, [(3 / 4 + 0) / 2, (1 / 2 + 0) / 2, 1, np.nan])
