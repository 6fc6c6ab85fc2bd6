"""Recall per image and per predicate."""

import numpy as np
import pytest

from r1sgg_cli.metrics.flat import FlatGraphs, LabelTable, flatten
from r1sgg_cli.metrics.recall import recall_per_image, recall_per_predicate

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
    recall = recall_per_predicate(annotated, np.array([0, 3]), len(PREDICATES))
    np.testing.assert_allclose(recall, [(1 / 2 + 1) / 2, 0, np.nan])


def test_no_hits_are_zero_and_not_nan(annotated: FlatGraphs) -> None:
    none = np.empty(0, dtype=np.int64)
    np.testing.assert_allclose(recall_per_image(annotated, none), [0, np.nan, 0])
    np.testing.assert_allclose(recall_per_predicate(annotated, none, len(PREDICATES)), [0, 0, np.nan])
