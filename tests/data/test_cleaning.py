"""From annotations to a graph: every fault has its rule and is counted."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1sgg_cli.data.cleaning import CleaningRules
from r1sgg_cli.data.rows import make_row, parse_ground_truth
from r1sgg_cli.scene_graph.vocabulary import Vocabulary
from tests.data.annotated import HAT, HORSE, MAN, cleaned

VOCABULARY = Vocabulary(("man", "horse", "tree merged"), ("riding", "on"), ("man", "horse", "tree-merged"))
RIDING = (0, "riding", 1)


def test_a_sound_image_becomes_a_numbered_graph() -> None:
    graph, met = cleaned(objects=(MAN, HORSE, HAT), relationships=(RIDING, (0, "wearing", 2)))
    assert graph is not None
    assert graph.ids == ("man.1", "horse.2", "hat.3")
    assert graph.boxes_xyxy.tolist() == [MAN[1], HORSE[1], HAT[1]]
    assert [tuple(triplet) for triplet in graph.triplets] == [(0, "riding", 1), (0, "wearing", 2)]
    assert met == {}


FAULTY_OBJECTS = [
    pytest.param(("hat", [1, 2, 3]), "bad_box", id="three numbers"),
    pytest.param(("hat", [1, 2, 3, "4"]), "bad_box", id="a string in it"),
    pytest.param(("hat", [1, 2, 3, math.nan]), "bad_box", id="NaN"),
    pytest.param(("hat", [1, 2, math.inf, 4]), "bad_box", id="infinite"),
    pytest.param(("hat", [1, 2, 3, True]), "bad_box", id="a truth value"),
    pytest.param(("hat", [1, 2, 3, 10**400]), "bad_box", id="beyond any float"),
    pytest.param(("hat", None), "bad_box", id="null"),
    pytest.param(("hat", [30, 2, 3, 40]), "bad_box", id="ends before it begins"),
    pytest.param(("hat", [120, 2, 130, 40]), "box_outside", id="right of the image"),
    pytest.param(("hat", [-9, -9, -2, -1]), "box_outside", id="above and left"),
    pytest.param(("hat", [10, 10, 10, 40]), "empty_box", id="no width"),
    pytest.param(("hat", [10, 10, 10, 10]), "empty_box", id="a point"),
    pytest.param(("hat", [99.999, 10, 120, 40]), "empty_box", id="no width is left inside"),
    pytest.param((" _ ", [1, 2, 30, 40]), "unnamed_object", id="a name of blanks"),
    pytest.param(("man", MAN[1]), "repeated_object", id="the same again"),
]


@pytest.mark.parametrize(("extra", "kind"), FAULTY_OBJECTS)
def test_a_faulty_object_is_counted_and_the_rest_is_kept(extra: Any, kind: str) -> None:
    graph, met = cleaned(objects=(MAN, extra, HORSE), relationships=((0, "riding", 2),))
    assert graph is not None
    assert graph.ids == ("man.1", "horse.2")
    assert [tuple(triplet) for triplet in graph.triplets] == [(0, "riding", 1)]
    assert met == {kind: 1}


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        pytest.param((0, "on", 9), "dangling_relationship", id="an end that does not exist"),
        pytest.param((-1, "on", 0), "dangling_relationship", id="minus one is no end"),
        pytest.param((0, "on", 0), "self_relationship", id="with itself"),
        pytest.param((0, " - ", 1), "unnamed_predicate", id="a predicate of blanks"),
        pytest.param((0, "riding", 1), "repeated_relationship", id="the same again"),
        pytest.param((0, "RIDING", 1), "repeated_relationship", id="the same in another spelling"),
        pytest.param(([0], "on", 1), "dangling_relationship", id="an end that is a list"),
        pytest.param((0, "on", 2), "lost_relationship", id="an end that was dropped"),
    ],
)
def test_a_faulty_relationship_is_counted_and_dropped(row: Any, kind: str) -> None:
    graph, met = cleaned(objects=(MAN, HORSE, ("hat", None)), relationships=(RIDING, row))
    assert graph is not None
    assert [tuple(triplet) for triplet in graph.triplets] == [RIDING]
    assert met == {kind: 1, "bad_box": 1}


def test_a_box_that_leaves_the_image_is_clipped() -> None:
    graph, met = cleaned(objects=(("man", [-5, 10, 40, 130]), HORSE))
    assert graph is not None
    assert graph.boxes_xyxy[0].tolist() == [0, 10, 40, 100]
    assert met == {"clipped_box": 1}


def test_relationships_of_a_repeated_object_move_to_the_first() -> None:
    graph, met = cleaned(objects=(MAN, HORSE, MAN), relationships=((2, "riding", 1), (0, "on", 2)))
    assert graph is not None
    assert [tuple(triplet) for triplet in graph.triplets] == [(0, "riding", 1)]
    assert met == {"repeated_object": 1, "self_relationship": 1}


def test_names_outside_the_vocabulary_are_dropped_and_others_written_as_it_writes_them() -> None:
    objects = (("Man", MAN[1]), ("tree_merged", HORSE[1]), HAT)
    relationships = ((0, "ON", 1), (0, "near", 1), (2, "on", 0))
    graph, met = cleaned(CleaningRules(VOCABULARY), objects=objects, relationships=relationships)
    assert graph is not None
    assert graph.ids == ("man.1", "tree-merged.2")
    assert [tuple(triplet) for triplet in graph.triplets] == [(0, "on", 1)]
    assert met == {"unknown_object": 1, "unknown_predicate": 1, "lost_relationship": 1}


def test_an_image_without_a_relationship_is_left_out_unless_it_is_kept() -> None:
    assert cleaned(relationships=()) == (None, {"empty_image": 1})
    graph, met = cleaned(CleaningRules(keep_empty=True), relationships=())
    assert graph is not None
    assert len(graph.ids) == 2
    assert met == {}


numbers = st.one_of(st.floats(), st.integers(-50, 150), st.none(), st.text(max_size=2))
dirty_objects = st.lists(
    st.tuples(st.sampled_from(["man", "horse", "", "tree-merged", "x.y"]), st.lists(numbers, min_size=3, max_size=5)),
    max_size=6,
)
dirty_relationships = st.lists(
    st.tuples(st.integers(-2, 7), st.sampled_from(["on", "riding", "", "near"]), st.integers(-2, 7)), max_size=8
)


@given(objects=dirty_objects, relationships=dirty_relationships, vocabulary=st.sampled_from([None, VOCABULARY]))
def test_whatever_is_annotated_a_data_set_can_be_loaded(objects: Any, relationships: Any, vocabulary: Any) -> None:
    rules = CleaningRules(vocabulary, keep_empty=True)
    graph, _ = cleaned(rules, objects=objects, relationships=relationships)
    assert graph is not None
    row = make_row("7", b"", graph)
    read = parse_ground_truth("7", row["objects"], row["relationships"], (100, 100))
    sides = read.boxes_xyxy[:, 2:] - read.boxes_xyxy[:, :2]
    assert (sides > 0).all()
    assert np.isfinite(read.boxes_xyxy).all()
    assert ((read.boxes_xyxy >= 0) & (read.boxes_xyxy <= 100)).all()
    assert all(triplet.subject != triplet.object for triplet in read.triplets)
    assert len(set(read.triplets)) == len(read.triplets)
    assert "NaN" not in json.dumps(row["objects"])
