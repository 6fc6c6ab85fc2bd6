"""Which predicted triplets count."""

import numpy as np
import pytest

from r1sgg_cli.metrics.cuts import UNRANKED, first_of_pair, ranks_among, within
from r1sgg_cli.metrics.flat import FlatGraphs, LabelTable, flatten
from r1sgg_cli.metrics.metric import Cut
from r1sgg_cli.metrics.ranking import GraphScores

from .conftest import GraphMaker

OBJECTS = [("a", 0), ("b", 50)]


@pytest.fixture
def predicted(make_graph: GraphMaker) -> FlatGraphs:
    """Image 0: three predicates of a pair, then the pair the other way; image 1: nothing; image 2: two of a pair."""
    written = [[(0, "on", 1), (0, "by", 1), (0, "at", 1), (1, "by", 0)], [], [(1, "on", 0), (1, "at", 0)]]
    scores = [GraphScores(), GraphScores(), GraphScores(triplets=[0.1, 0.9])]
    return flatten([make_graph(OBJECTS, triplets) for triplets in written], LabelTable(), LabelTable(), scores)


def test_a_graph_constraint_keeps_the_first_of_each_ordered_pair(predicted: FlatGraphs) -> None:
    kept = first_of_pair(predicted)
    assert kept.tolist() == [True, False, False, True, True, False]
    assert predicted.source[kept].tolist() == [0, 3, 1]  # of image 2 the one that scores higher


def test_ranks_count_what_is_among_them_image_by_image(predicted: FlatGraphs) -> None:
    assert ranks_among(predicted, first_of_pair(predicted)).tolist() == [0, UNRANKED, UNRANKED, 1, 0, UNRANKED]
    assert ranks_among(predicted, np.ones(6, dtype=bool)).tolist() == [0, 1, 2, 3, 0, 1]


@pytest.mark.parametrize(
    ("cut", "counted"),
    [
        pytest.param(None, [True, True, True, True, True, True], id="all"),
        pytest.param(1, [True, False, False, False, True, False], id="the first"),
        pytest.param("annotated", [True, True, False, False, False, False], id="as many as are annotated"),
    ],
)
def test_the_first_k_count(make_graph: GraphMaker, predicted: FlatGraphs, cut: Cut, counted: list[bool]) -> None:
    truths = [make_graph(OBJECTS, [(0, "on", 1), (0, "by", 1)]), make_graph(OBJECTS), make_graph(OBJECTS)]
    annotated = flatten(truths, LabelTable(), LabelTable())
    assert within(cut, predicted.rank, annotated, predicted).tolist() == counted


def test_what_a_constraint_drops_never_counts(predicted: FlatGraphs) -> None:
    ranks = ranks_among(predicted, first_of_pair(predicted))
    assert within(None, ranks, predicted, predicted).tolist() == first_of_pair(predicted).tolist()
