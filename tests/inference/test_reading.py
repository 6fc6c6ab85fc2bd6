"""One text to a graph with scores."""

import json
import math
from typing import Any

import pytest

from r1sgg_cli.config.schema import Task
from r1sgg_cli.inference.answers import Answer, Sample
from r1sgg_cli.inference.label_mapping import LabelMapping, label_mapping
from r1sgg_cli.inference.reading import Reader, Reading
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary

from .conftest import make_truth

MAN = {"id": "man.1", "bbox": [0, 0, 100, 100]}
HORSE = {"id": "horse.2", "bbox": [500, 500, 1000, 1000]}
RIDING = {"subject": "man.1", "predicate": "riding", "object": "horse.2"}
GRAPH = {"objects": [MAN, HORSE], "relationships": [RIDING]}
OPEN = Vocabulary((), ())


def read(content: Any, *, task: Task = "sgg", mapping: LabelMapping | None = None, **probabilities: Any) -> Reading:
    sample = Sample(json.dumps(content), "stop", 9, **probabilities)
    answer = Answer("a", (1000, 1000), (sample,))
    mapping = mapping or LabelMapping(OPEN)
    return Reader(mapping.vocabulary, mapping, task).read(sample, answer, make_truth("a"))


def test_scores_are_probabilities_and_a_triplets_is_that_of_its_three_parts() -> None:
    reading = read(GRAPH, object_logprobs=(math.log(0.5), math.log(0.8)), triplet_logprobs=(math.log(0.9),))
    assert reading.object_scores == pytest.approx((0.5, 0.8))
    assert reading.triplet_scores == pytest.approx((0.9 * 0.5 * 0.8,))


def test_without_probabilities_there_are_no_scores() -> None:
    reading = read(GRAPH)
    assert (reading.object_scores, reading.triplet_scores, reading.defects) == (None, None, {})


@pytest.mark.parametrize(
    ("objects", "triplets", "defect"),
    [
        pytest.param((-1.0,), (-1.0,), "scores_do_not_fit", id="an object short"),
        pytest.param((-1.0, -1.0), (), "scores_do_not_fit", id="a triplet short"),
        pytest.param((-1.0, None), (-1.0,), "scores_incomplete", id="one that could not be told"),
    ],
)
def test_scores_that_do_not_fit_are_none_and_counted(objects: Any, triplets: Any, defect: str) -> None:
    """Written by a version that reads other objects from the text, say."""
    reading = read(GRAPH, object_logprobs=objects, triplet_logprobs=triplets)
    assert (reading.object_scores, reading.triplet_scores, reading.defects) == (None, None, {defect: 1})


def test_scores_follow_their_triplet_when_its_ends_are_swapped() -> None:
    vg150 = load_vocabulary("vg150")
    mapping = label_mapping(vg150)
    ridden = {"subject": "horse.2", "predicate": "ridden by", "object": "man.1"}
    content = {"objects": [MAN, HORSE], "relationships": [ridden]}
    reading = read(content, mapping=mapping, object_logprobs=(-1.0, -2.0), triplet_logprobs=(-3.0,))
    assert reading.graph is not None
    assert reading.graph.triplets == ((0, "riding", 1),)
    assert reading.triplet_scores == pytest.approx((math.exp(-6),))
    assert reading.defects == {"swapped_predicate_mapped_by_alias": 1}


def test_answers_that_list_objects_alone_lack_nothing() -> None:
    assert read({"objects": [MAN]}, task="det").defects == {}
    assert read({"objects": [MAN]}).defects == {"missing_relationships": 1}


def test_given_objects_are_those_of_the_ground_truth() -> None:
    """Names outside the vocabulary among them are no fault of the answer, and they are never mapped."""
    mapping = label_mapping(load_vocabulary("psg"))
    content = {"relationships": [RIDING, {"subject": "man.1", "predicate": "rides", "object": "dog.9"}]}
    reading = read(content, task="cls", mapping=mapping, triplet_logprobs=(-1.0,))
    truth = make_truth("a").graph
    assert reading.graph is not None
    assert (reading.graph.ids, reading.graph.names) == (truth.ids, truth.names)
    assert reading.graph.boxes_xyxy.tolist() == truth.boxes_xyxy.tolist()
    assert reading.graph.triplets == ((0, "riding", 1),)
    assert reading.defects == {"dangling_relationship": 1}
    assert reading.object_scores == (1, 1)
    assert reading.triplet_scores == pytest.approx((math.exp(-1),))


def test_text_without_a_graph_is_a_failure() -> None:
    assert (read("no graph").graph, read("no graph").failure) == (None, "no_json")
