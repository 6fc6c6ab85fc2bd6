"""Predicates that two runs find unlike often: exact small cases, and how often chance is taken for a difference."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from scipy.sparse import csr_array

from r1sgg_cli.metrics.flat import LabelTable, flatten
from r1sgg_cli.metrics.predicate_comparison import (
    FALSE_DISCOVERY_RATE,
    PredicateDifference,
    adjusted_p_values,
    compare_predicates,
    randomisation_p_values,
)
from r1sgg_cli.metrics.triplets import triplet_candidates
from r1sgg_cli.scene_graph.graph import SceneGraph

from .conftest import GraphMaker

OBJECTS = [("man", 0), ("horse", 100), ("hat", 200)]


def compared(
    truths: Sequence[SceneGraph], first: Sequence[SceneGraph | None], second: Sequence[SceneGraph | None]
) -> dict[str, PredicateDifference]:
    names, predicates = LabelTable(), LabelTable()
    annotated = flatten(truths, names, predicates)
    hits = [triplet_candidates(annotated, flatten(each, names, predicates)).hits()[0] for each in (first, second)]
    return {each.predicate: each for each in compare_predicates(annotated, (hits[0], hits[1]), predicates)}


def test_counts_and_recalls_of_each_predicate(make_graph: GraphMaker) -> None:
    truth = make_graph(OBJECTS, [(0, "on", 1), (2, "on", 0), (0, "wears", 2)])
    answer = make_graph(OBJECTS, [(0, "on", 1), (0, "near", 1)])
    difference = compared([truth] * 3, [answer, None, truth], [truth, truth, answer])
    on, wears = difference["on"], difference["wears"]
    assert set(difference) == {"on", "wears"}, "what is only predicted is not compared"
    assert (on.num_images, on.num_annotated, on.num_hits) == (3, 6, (3, 5))
    assert on.recall == pytest.approx(((0.5 + 0 + 1) / 3, (1 + 1 + 0.5) / 3))
    assert (on.images_won, on.images_lost) == (2, 1)
    assert (wears.num_images, wears.num_hits, wears.images_won, wears.images_lost) == (3, (1, 2), 2, 1)


def test_a_clear_difference_is_shown_and_a_rare_predicate_is_not(make_graph: GraphMaker) -> None:
    often, rare = make_graph(OBJECTS, [(0, "on", 1)]), make_graph(OBJECTS, [(0, "wears", 2)])
    difference = compared([often] * 30 + [rare] * 3, [None] * 33, [often] * 30 + [rare] * 3)
    assert difference["on"].change == "more"
    assert difference["wears"].change == "not shown", "all three images won: p is 1 in 4"
    assert difference["wears"].p_value == pytest.approx(0.25, abs=0.02)
    reversed_runs = compared([often] * 30, [often] * 30, [None] * 30)
    assert reversed_runs["on"].change == "less"
    few = compared([often] * 29, [often] * 29, [None] * 29)["on"]
    assert (few.change, few.adjusted_p_value < 0.001) == ("not shown", True), "of so few images nothing is said"


def test_runs_that_answer_alike_differ_nowhere(make_graph: GraphMaker) -> None:
    truth = make_graph(OBJECTS, [(0, "on", 1)])
    assert compared([truth] * 5, [truth] * 5, [truth] * 5)["on"].adjusted_p_value == 1


def test_nothing_annotated_is_nothing_compared(make_graph: GraphMaker) -> None:
    assert compared([make_graph(OBJECTS)], [None], [make_graph(OBJECTS)]) == {}


def test_p_values_are_those_of_all_assignments() -> None:
    differences = np.array([[0.5, -0.25, 1.0, 0.0, 0.5, 1.0], [0.1, 0.2, 0.3, -0.7, 0.0, 0.0]])
    signs = np.array(list(product([-1, 1], repeat=6)))
    sums = np.abs(signs @ differences.T)
    exact = (sums >= np.abs(differences.sum(axis=1)) - 1e-9).mean(axis=0)
    assert randomisation_p_values(csr_array(differences)) == pytest.approx(exact, abs=0.02)


def test_chance_is_rarely_taken_for_a_difference() -> None:
    """200 pairs of runs from the same distribution, 20 predicates each: any predicate called different in few pairs."""
    generator = np.random.default_rng(0)
    wrong = 0
    for seed in range(200):
        recalls = generator.random((2, 20, 60)) < np.linspace(0.1, 0.9, 20)[:, None]
        p_values = randomisation_p_values(csr_array(recalls[1].astype(float) - recalls[0]), seed, num_swaps=1_000)
        wrong += bool((adjusted_p_values(p_values) <= FALSE_DISCOVERY_RATE).any())
    assert wrong <= 20
