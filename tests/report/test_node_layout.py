"""What is drawn of a graph is chosen by its relationships; nodes never overlap and never leave the drawing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1sgg_cli.report.node_layout import (
    GAP_X,
    GAP_Y,
    MAX_ARROWS,
    MAX_LINKED,
    MAX_PART,
    MAX_UNLINKED,
    MOST_EMPTY,
    WIDTH,
    candidate_layouts,
    components,
    drawn_part,
    rows_of,
    separated,
)
from tests.report.conftest import make_graph

BOX = [0.0, 0.0, 9.0, 9.0]


def overlapping(rectangles: np.ndarray, gap_x: float = 0.0, gap_y: float = 0.0) -> list[tuple[int, int]]:
    """Pairs of rectangles that are nearer to each other than the gaps."""
    found = []
    for i, a in enumerate(rectangles):
        for k, b in enumerate(rectangles[:i]):
            beside = max(a[0], b[0]) >= min(a[2], b[2]) + gap_x - 1e-6
            above = max(a[1], b[1]) >= min(a[3], b[3]) + gap_y - 1e-6
            if not beside and not above:
                found.append((k, i))
    return found


def test_predicates_of_a_pair_stand_together_and_repeats_once() -> None:
    graph = make_graph(["a", "b", "c"], [BOX] * 3, [(0, "on", 1), (0, "on", 1), (0, "near", 1), (1, "on", 0)])
    part = drawn_part(graph)
    assert part.predicates == {(0, 1): ("on", "near"), (1, 0): ("on",)}
    assert (part.unlinked, part.num_hidden_objects, part.num_hidden_relationships) == ((2,), 0, 0)


def test_what_an_object_has_to_do_with_itself_is_no_arrow_and_is_counted() -> None:
    part = drawn_part(make_graph(["a", "b"], [BOX] * 2, [(0, "near", 0), (0, "near", 1)]))
    assert part.predicates == {(0, 1): ("near",)}
    assert part.num_hidden_relationships == 1


def test_of_a_large_graph_the_busiest_objects_are_drawn_and_the_rest_is_counted() -> None:
    spokes = [(0, "has", i) for i in range(1, 60)]
    quiet = [(i, "near", i + 1) for i in range(60, 80, 2)]
    part = drawn_part(make_graph(["a"] * 100, [BOX] * 100, [*quiet, *spokes]))
    num_quiet = (MAX_LINKED - MAX_PART) // 2
    assert sorted(part.predicates) == [*((0, i) for i in range(1, MAX_PART)), *(q[::2] for q in quiet[:num_quiet])]
    assert part.unlinked == tuple(range(80, 80 + MAX_UNLINKED))
    assert part.num_hidden_objects == 100 - MAX_LINKED - MAX_UNLINKED
    assert part.num_hidden_relationships == 69 - len(part.predicates)


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=200))
def test_every_drawn_object_has_an_arrow_and_everything_is_counted(pairs: list[tuple[int, int]]) -> None:
    graph = make_graph(["a"] * 41, [BOX] * 41, [(a, "near", b) for a, b in pairs])
    part = drawn_part(graph)
    linked = {end for pair in part.predicates for end in pair}
    assert len(linked) <= MAX_LINKED
    assert all(len(objects) <= MAX_PART for objects in components(list(part.predicates)))
    assert len(part.predicates) <= MAX_ARROWS
    assert linked.isdisjoint(part.unlinked)
    assert len(linked) + len(part.unlinked) + part.num_hidden_objects == 41
    assert len(part.predicates) + part.num_hidden_relationships == len(set(pairs))


def test_parts_that_do_not_hang_together_are_apart_the_largest_first() -> None:
    assert components([(7, 9), (0, 1), (2, 1)]) == [[0, 1, 2], [7, 9]]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, WIDTH), st.floats(0, 2000), st.floats(20, WIDTH / 2)), min_size=1, max_size=MAX_LINKED
    )
)
def test_separated_nodes_keep_their_distance(nodes: list[tuple[float, float, float]]) -> None:
    centres = np.array([[x, y] for x, y, _ in nodes])
    rectangles = separated(centres, np.array([[width, 23.0] for _, _, width in nodes]))
    assert overlapping(rectangles, GAP_X, GAP_Y) == []
    assert rectangles[:, 1].min() == pytest.approx(0)
    assert np.allclose((rectangles[:, 0] + rectangles[:, 2]) / 2, centres[:, 0])


def test_an_empty_band_is_narrowed() -> None:
    rectangles = separated(np.array([[100.0, 0.0], [100.0, 900.0]]), np.array([[50.0, 20.0]] * 2))
    assert rectangles[:, 1].tolist() == [0, 20 + MOST_EMPTY]


@pytest.mark.parametrize("num_nodes", [2, 5, MAX_LINKED])
def test_no_layout_overlaps_or_leaves_the_width(num_nodes: int) -> None:
    random = np.random.default_rng(num_nodes)
    sizes = np.stack([random.uniform(30, WIDTH, num_nodes), np.full(num_nodes, 23.0)], axis=1)
    pairs = [(int(random.integers(0, i)), i) for i in range(1, num_nodes)]
    layouts = list(candidate_layouts(pairs, np.zeros((num_nodes, 2)), sizes))  # all boxes alike: the worst start
    assert len(layouts) > 10
    for rectangles in layouts:
        assert overlapping(rectangles, GAP_X, GAP_Y) == []
        assert rectangles[:, 0].min() >= -1e-6
        assert rectangles[:, 2].max() <= WIDTH + 1e-6


@settings(deadline=None)
@given(st.lists(st.floats(10, WIDTH), min_size=1, max_size=12))
def test_rows_stay_inside_without_overlap(widths: list[float]) -> None:
    rectangles = rows_of(np.array([[width, 23.0] for width in widths]))
    assert overlapping(rectangles) == []
    assert rectangles[:, 2].max() <= WIDTH + 1e-6
