"""What the training split leaves out by choice: the field's filters, the novel names of a setting."""

from typing import Any

import pytest

from r1sgg_cli.data.cleaning import CleaningRules
from tests.data.annotated import HAT, HORSE, MAN, cleaned

RIDING = (0, "riding", 1)


@pytest.mark.parametrize(
    ("box", "overlaps"),
    [
        pytest.param([40, 40, 60, 60], True, id="an area in common"),
        pytest.param([50, 10, 60, 20], True, id="they touch: the field adds a pixel"),
        pytest.param([51, 10, 60, 20], False, id="a gap of one"),
        pytest.param([50.5, 10, 60.5, 20], True, id="half a pixel of gap is cut off"),
    ],
)
def test_the_overlap_filter_counts_as_scene_graph_benchmark_does(box: Any, overlaps: bool) -> None:
    objects = (("man", [10, 10, 50, 50]), ("horse", box))
    graph, met = cleaned(CleaningRules(non_overlap=True), objects=objects)
    assert (graph is not None) == overlaps
    assert met == ({} if overlaps else {"non_overlap": 1, "empty_image": 1})


def test_filters_of_the_training_split_leave_others_alone() -> None:
    rules = CleaningRules(non_overlap=True, duplicate_rels=True, base_objects=frozenset(), base_predicates=frozenset())
    far = (("man", [0, 0, 9, 9]), ("horse", [50, 50, 99, 99]))
    graph, met = cleaned(rules, objects=far, relationships=(RIDING, (0, "on", 1)), split="test")
    assert graph is not None
    assert len(graph.triplets) == 2
    assert met == {}


def test_one_predicate_of_each_pair_is_drawn_from_the_seed() -> None:
    relationships = (RIDING, (0, "on", 1), (1, "under", 0))
    drawn = set()
    for seed in range(20):
        graph, met = cleaned(CleaningRules(duplicate_rels=True, seed=seed), relationships=relationships)
        assert graph is not None
        assert met == {"duplicate_pair": 1}
        drawn.add(tuple(triplet.predicate for triplet in graph.triplets))
    assert drawn == {("riding", "under"), ("on", "under")}


def test_novel_objects_leave_the_training_split_with_their_relationships() -> None:
    rules = CleaningRules(base_objects=frozenset({"man", "hat"}))
    graph, met = cleaned(rules, objects=(HORSE, MAN, HAT), relationships=((1, "riding", 0), (1, "wearing", 2)))
    assert graph is not None
    assert graph.ids == ("man.1", "hat.2")
    assert [tuple(triplet) for triplet in graph.triplets] == [(0, "wearing", 1)]
    assert met == {"novel_object": 1, "novel_end": 1}


def test_novel_predicates_leave_the_training_split_and_objects_stay() -> None:
    rules = CleaningRules(base_predicates=frozenset({"riding"}))
    graph, met = cleaned(rules, relationships=(RIDING, (1, "carrying", 0)))
    assert graph is not None
    assert [tuple(triplet) for triplet in graph.triplets] == [RIDING]
    assert met == {"novel_predicate": 1}
