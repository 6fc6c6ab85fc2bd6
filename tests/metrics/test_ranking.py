"""By what predictions rank."""

import pytest

from r1sgg_cli.metrics.ranking import UNSCORED, GraphScores, Ranking, ranking_of

from .conftest import GraphMaker

OBJECTS = [("man", 0), ("hat", 50)]


@pytest.mark.parametrize(
    ("scores", "of_boxes", "of_triplets"),
    [
        pytest.param([UNSCORED] * 4, "all scores 1, ties by image order", "in its order", id="none"),
        pytest.param(
            [GraphScores([0.5, 0.5], [0.1])] * 2 + [UNSCORED] * 2,
            "ranked by their scores",
            "by their scores",
            id="all that predict anything",
        ),
        pytest.param(
            [GraphScores([0.5, 0.5], [0.1]), UNSCORED, UNSCORED, UNSCORED],
            "ranked by their scores in 1 of 2 images, 1 in the others",
            "by their scores in 1 of 2 answers, in the order of the answer in the others",
            id="some",
        ),
    ],
)
def test_what_ranks_is_said(make_graph: GraphMaker, scores: list[GraphScores], of_boxes: str, of_triplets: str) -> None:
    graph = make_graph(OBJECTS, [(0, "on", 1)])
    ranking = ranking_of([graph, graph, make_graph([]), None], scores)
    assert (ranking.of_boxes, ranking.of_triplets) == (of_boxes, of_triplets)


def test_scores_of_another_graph_are_refused(make_graph: GraphMaker) -> None:
    with pytest.raises(ValueError, match="2 predictions, but 1 scores"):
        ranking_of([make_graph(OBJECTS)], [GraphScores([0.5], [])])


@pytest.mark.parametrize(
    ("first", "second", "are_alike"),
    [
        pytest.param((0, 9), (0, 5), True, id="neither has scores"),
        pytest.param((9, 9), (19, 20), True, id="both have them, but for a few answers"),
        pytest.param((0, 9), (9, 9), False, id="one has them"),
        pytest.param((5, 9), (5, 9), False, id="half of the answers have them"),
        pytest.param((0, 0), (9, 9), True, id="one predicts nothing"),
    ],
)
def test_runs_rank_alike_by_scores_or_by_order(
    first: tuple[int, int], second: tuple[int, int], are_alike: bool
) -> None:
    assert Ranking(*first, 0, 9).ranks_boxes_like(Ranking(*second, 9, 9)) == are_alike
    assert Ranking(0, 9, *first).ranks_triplets_like(Ranking(9, 9, *second)) == are_alike
