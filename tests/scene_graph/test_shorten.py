"""A shortened graph fits, is a part of the whole, and is the largest that the stated order of removal reaches."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1sgg_cli.config.schema import Task
from r1sgg_cli.data.prompts import format_answer
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet, graph_from_rows
from r1sgg_cli.scene_graph.order import shuffled
from r1sgg_cli.scene_graph.shorten import least_parts, shorten


@st.composite
def graphs(draw: st.DrawFn) -> SceneGraph:
    names = draw(st.lists(st.sampled_from(["man", "traffic light", "é"]), max_size=8))
    ends = st.integers(0, len(names) - 1)
    link = st.builds(Triplet, ends, st.sampled_from(["on", "in front of"]), ends)
    triplets = draw(st.lists(link, max_size=10)) if names else []
    boxes = np.tile([1.0, 2.0, 30.0, 400.0], (len(names), 1))
    ids = tuple(f"{name}.{i}" for i, name in enumerate(names, 1))
    return SceneGraph(ids, tuple(names), boxes, tuple(triplets), (1000.0, 1000.0))


def items(graph: SceneGraph) -> tuple[list[str], list[str]]:
    objects, relationships = graph.to_rows()
    return [json.dumps(row) for row in objects], [json.dumps(row) for row in relationships]


def is_subsequence(part: list[str], whole: list[str]) -> bool:
    left = iter(whole)
    return all(item in left for item in part)


@settings(max_examples=300, deadline=None)
@given(graph=graphs(), limit=st.integers(0, 900), task=st.sampled_from(["sgg", "det", "cls"]))
def test_the_result_fits_is_valid_json_and_a_part_in_the_same_order(graph: SceneGraph, limit: int, task: Task) -> None:
    def fits(part: SceneGraph) -> bool:
        return len(format_answer(part, task=task)) <= limit

    short = shorten(graph, fits, objects_are_given=task == "cls")
    (objects, links), (all_objects, all_links) = items(short), items(graph)
    assert (short is graph) or not fits(graph)
    (least,) = least_parts(graph, objects_are_given=task == "cls")
    says = least.triplets if task == "cls" else least.ids
    assert bool(links if task == "cls" else objects) == bool(says and (fits(least) or short is graph))
    assert fits(short) or not (links or (objects and task != "cls"))  # nothing is left where nothing fits
    assert is_subsequence(objects, all_objects)
    assert links == all_links[: len(links)]
    assert (objects == all_objects) or task != "cls"
    assert set(json.loads(format_answer(short, task=task))) <= {"objects", "relationships"}
    named = {end for t in short.triplets for end in (t.subject, t.object)}
    if task != "cls" and len(links) < len(all_links):  # relationships go after all objects that none names
        assert named == set(range(len(objects)))


ROWS: list[dict[str, Any]] = [{"id": f"{name}.{i}", "bbox": [0, 0, 9, 9]} for i, name in enumerate("abcd", 1)]
LINKS = [
    {"subject": "a.1", "predicate": "on", "object": "b.2"},
    {"subject": "b.2", "predicate": "on", "object": "d.4"},
]


@pytest.mark.parametrize(
    ("num_items", "objects", "num_links"),
    [
        pytest.param(6, "abcd", 2, id="all fits"),
        pytest.param(5, "abd", 2, id="c is named by nothing"),
        pytest.param(4, "ab", 1, id="the last relationship takes d with it, b stays"),
        pytest.param(3, "ab", 1, id="exactly"),
        pytest.param(2, "", 0, id="a relationship needs both its ends"),
    ],
)
def test_items_go_in_the_stated_order(num_items: int, objects: str, num_links: int) -> None:
    graph = graph_from_rows(ROWS, LINKS, (10, 10))
    short = shorten(graph, lambda part: len(part.ids) + len(part.triplets) <= num_items)
    assert ("".join(short.names), len(short.triplets)) == (objects, num_links)


def test_given_objects_stay() -> None:
    graph = graph_from_rows(ROWS, LINKS, (10, 10))
    short = shorten(graph, lambda part: len(part.triplets) <= 1, objects_are_given=True)
    assert (short.ids, short.triplets) == (graph.ids, graph.triplets[:1])


def test_one_step_less_would_not_have_fitted() -> None:
    graph = graph_from_rows(ROWS, LINKS, (10, 10))
    asked: list[SceneGraph] = []

    def fits(part: SceneGraph) -> bool:
        asked.append(part)
        return len(part.triplets) < 2

    assert len(shorten(graph, fits).triplets) == 1
    assert len(asked) <= 4


@settings(max_examples=100, deadline=None)
@given(graph=graphs(), seed=st.integers(0, 99), limit=st.integers(0, 300))
def test_what_fits_in_any_order_is_never_shortened_to_nothing(graph: SceneGraph, seed: int, limit: int) -> None:
    """Else a shuffled row would be taught as an empty graph in some epoch."""

    def fits(part: SceneGraph) -> bool:
        return len(format_answer(part)) <= limit

    if not all(part.ids and fits(part) for part in least_parts(graph, in_any_order=True)):
        return
    short = shorten(shuffled(graph, np.random.default_rng(seed)), fits)
    assert fits(short)
    assert bool(short.triplets) or (bool(short.ids) and not graph.triplets)


def test_a_dot_in_a_name_is_no_running_number() -> None:
    """As `shuffled` writes it: the ids of the least parts are never shorter than those of an epoch."""
    graph = graph_from_rows([{"id": "st.bernard", "bbox": [0, 0, 9, 9]}], [], (10, 10))
    assert [part.ids for part in least_parts(graph, in_any_order=True)] == [("st.bernard.1",)]
    assert shuffled(graph, np.random.default_rng(0)).ids == ("st.bernard.1",)
