"""One graph out of several, by the majority."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1sgg_cli.scene_graph.consensus import Consensus, consensus
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet

Object = tuple[str, tuple[float, float, float, float]]


def make(objects: Sequence[Object], triplets: Sequence[tuple[int, str, int]] = ()) -> SceneGraph:
    ids = tuple(f"{name}.{number}" for number, (name, _) in enumerate(objects, start=1))
    boxes = np.array([box for _, box in objects], dtype=np.float64).reshape(-1, 4)
    return SceneGraph(ids, tuple(name for name, _ in objects), boxes, tuple(Triplet(*t) for t in triplets), (100, 100))


def agreed(*graphs: SceneGraph | None) -> Consensus:
    found = consensus(graphs)
    assert found is not None
    return found


MAN: Object = ("man", (0, 0, 10, 10))
HORSE: Object = ("horse", (20, 20, 60, 60))
GHOST: Object = ("ghost", (70, 70, 90, 90))


def test_a_lone_hallucination_is_outvoted() -> None:
    true, false = make([MAN, HORSE], [(0, "riding", 1)]), make([GHOST, MAN, HORSE], [(1, "riding", 2), (0, "on", 2)])
    found = agreed(true, false, true)
    assert found.graph.names == ("man", "horse")
    assert found.graph.triplets == ((0, "riding", 1),)
    assert (found.object_scores, found.triplet_scores) == ((1, 1), (1,))


def test_half_is_enough() -> None:
    found = agreed(make([MAN]), make([MAN, GHOST]))
    assert found.graph.names == ("man", "ghost")
    assert found.object_scores == (1, 0.5)


def test_a_box_is_the_median_of_its_boxes() -> None:
    found = agreed(*(make([("man", (0, 0, 10, bottom))]) for bottom in (10, 11, 14)))
    assert found.graph.boxes_xyxy.tolist() == [[0, 0, 10, 11]]


def test_boxes_apart_are_different_objects() -> None:
    found = agreed(make([MAN]), make([("man", (0, 6, 10, 16))]))
    assert found.object_scores == (0.5, 0.5)


def test_of_each_graph_one_object_takes_part() -> None:
    """Two men side by side stay two."""
    two = make([("man", (0, 0, 10, 10)), ("man", (1, 0, 11, 10))])
    found = agreed(two, two, two)
    assert found.graph.names == ("man", "man")
    assert found.object_scores == (1, 1)


def test_an_unreadable_graph_votes_for_nothing() -> None:
    found = agreed(make([MAN]), None, None)
    assert found.graph.names == ()
    assert agreed(make([MAN]), None).object_scores == (0.5,)


@pytest.mark.parametrize("graphs", [[], [None], [None, None]], ids=len)
def test_nothing_readable_is_no_graph(graphs: list[None]) -> None:
    assert consensus(graphs) is None


def test_what_a_graph_says_twice_counts_once() -> None:
    found = agreed(make([MAN, HORSE], [(0, "on", 1)] * 3), make([MAN, HORSE]), make([MAN, HORSE]))
    assert found.graph.triplets == ()


def test_what_is_listed_first_comes_first_among_equals() -> None:
    graph = make([HORSE, MAN], [(1, "on", 0), (1, "above", 0)])
    found = agreed(graph, graph)
    assert found.graph.names == ("horse", "man")
    assert [t.predicate for t in found.graph.triplets] == ["on", "above"]


corner = st.integers(0, 8).map(float)
boxes = st.tuples(corner, corner, corner, corner).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)
objects = st.lists(st.tuples(st.sampled_from(["man", "horse"]), boxes), max_size=5)


@st.composite
def scene_graphs(draw: st.DrawFn, unique: bool = False) -> SceneGraph:
    listed = draw(objects)
    if unique:
        listed = list(dict.fromkeys(listed))
    end = st.integers(0, max(0, len(listed) - 1))
    triplets = st.lists(st.tuples(end, st.sampled_from(["on", "near"]), end), max_size=4, unique=True)
    return make(listed, draw(triplets) if listed else ())


@given(scene_graphs(), st.integers(1, 5))
def test_identical_graphs_agree_on_themselves(graph: SceneGraph, times: int) -> None:
    found = agreed(*[graph] * times)
    assert found.graph.names == graph.names
    assert found.graph.boxes_xyxy.tolist() == graph.boxes_xyxy.tolist()
    assert found.graph.triplets == graph.triplets
    assert set(found.object_scores) <= {1.0}
    assert set(found.triplet_scores) <= {1.0}


@given(st.lists(scene_graphs(), min_size=1, max_size=5))
def test_every_score_is_a_share_of_at_least_half(graphs: list[SceneGraph]) -> None:
    found = agreed(*graphs)
    assert len(found.object_scores) == len(found.graph.names)
    assert len(found.triplet_scores) == len(found.graph.triplets)
    for score in (*found.object_scores, *found.triplet_scores):
        assert 0.5 <= score <= 1
        assert round(score * len(graphs)) == pytest.approx(score * len(graphs))


def shown(found: Consensus) -> object:
    graph = found.graph
    names, ends = graph.names, [tuple(box) for box in graph.boxes_xyxy.tolist()]
    said = [(names[t.subject], ends[t.subject], t.predicate, names[t.object], ends[t.object]) for t in graph.triplets]
    return (
        sorted(zip(names, ends, found.object_scores, strict=True)),
        sorted(zip(said, found.triplet_scores, strict=True)),
    )


far_apart = st.lists(
    st.tuples(st.sampled_from(["man", "horse"]), st.sampled_from([0, 30, 60]), st.integers(0, 2)), max_size=5
).map(
    lambda listed: list(
        {(name, left): (name, (left + shift, 0.0, left + shift + 10.0, 10.0)) for name, left, shift in listed}.values()
    )
)


@st.composite
def clear_graphs(draw: st.DrawFn) -> SceneGraph:
    """Objects of one name stand apart, so that nothing but the graphs decides what is the same."""
    listed = draw(far_apart)
    end = st.integers(0, max(0, len(listed) - 1))
    triplets = st.lists(st.tuples(end, st.sampled_from(["on", "near"]), end), max_size=4, unique=True)
    return make(listed, draw(triplets) if listed else ())


@given(st.lists(clear_graphs(), min_size=1, max_size=5), st.randoms())
def test_the_order_of_the_graphs_does_not_matter(graphs: list[SceneGraph], random: object) -> None:
    turned = list(graphs)
    random.shuffle(turned)  # type: ignore[attr-defined]
    assert shown(agreed(*turned)) == shown(agreed(*graphs))
