"""A drawn graph is legible: nothing outside, no node on another, every arrow from border to border."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1sgg_cli.report.drawing import MAX_LINES, Arrow, Drawing, Node, draw_graph
from r1sgg_cli.report.node_layout import WIDTH
from r1sgg_cli.scene_graph.graph import SceneGraph
from tests.report.conftest import make_graph

ROUNDING = 0.11
NAMES = ["person", "traffic light", "W" * 60, "日本語" * 20, "i"]
PREDICATES = ["on", "standing in front of", "m" * 80, "near"]


@st.composite
def graphs(draw: st.DrawFn) -> SceneGraph:
    """Graphs of up to 22 objects, many of them with equal boxes, and up to 40 relationships."""
    names = draw(st.lists(st.sampled_from(NAMES), max_size=22))
    corner = st.integers(0, 60)
    boxes = [[x, y, x + 20, y + 30] for x, y in (draw(st.tuples(corner, corner)) for _ in names)]
    end = st.integers(0, max(0, len(names) - 1))
    ends = draw(st.lists(st.tuples(end, st.sampled_from(PREDICATES), end), max_size=40)) if names else []
    return make_graph(names, [[float(v) for v in box] for box in boxes], ends)


def on_border(points: str, node: Node) -> bool:
    """Whether the first point of a path or a polygon lies on a node's outline."""
    x, y = (float(number) for number in re.findall(r"-?[\d.]+", points)[:2])
    right, bottom = node.x + node.width, node.y + node.height
    inside = node.x - ROUNDING <= x <= right + ROUNDING and node.y - ROUNDING <= y <= bottom + ROUNDING
    return inside and min(abs(x - node.x), abs(x - right), abs(y - node.y), abs(y - bottom)) <= ROUNDING


def text_on_nodes(drawing: Drawing) -> list[tuple[str, str]]:
    """Predicates that cover a node's name."""
    return [
        (line.text, node.name)
        for arrow in drawing.arrows
        for line in arrow.lines
        for node in drawing.nodes
        if abs(line.x - node.x - node.width / 2) < (line.width + node.width) / 2 - 1
        and line.y > node.y + 1
        and line.y - 9 < node.y + node.height - 1
    ]


@settings(max_examples=25, deadline=None)
@given(graphs())
def test_no_node_is_outside_or_on_another_and_arrows_end_on_borders(graph: SceneGraph) -> None:
    drawing = draw_graph(graph)
    nodes = {node.object: node for node in drawing.nodes}
    for node in drawing.nodes:
        assert node.x >= -ROUNDING
        assert node.x + node.width <= WIDTH + ROUNDING
        assert node.y >= 0
        assert node.y + node.height <= drawing.height
        assert node.text.width < node.width
    for i, a in enumerate(drawing.nodes):
        for b in drawing.nodes[:i]:
            beside = a.x + a.width <= b.x + ROUNDING or b.x + b.width <= a.x + ROUNDING
            assert beside or a.y + a.height <= b.y + ROUNDING or b.y + b.height <= a.y + ROUNDING
    for arrow in drawing.arrows:
        assert on_border(arrow.path, nodes[arrow.subject])
        assert on_border(arrow.head, nodes[arrow.object])


@settings(max_examples=25, deadline=None)
@given(graphs())
def test_everything_is_inside_the_picture(graph: SceneGraph) -> None:
    drawing = draw_graph(graph)
    for arrow in drawing.arrows:
        for line in arrow.lines:
            assert line.x - line.width / 2 >= -ROUNDING
            assert line.x + line.width / 2 <= WIDTH + ROUNDING
            assert line.y - 11 >= -ROUNDING
            assert line.y <= drawing.height


def test_the_same_graph_is_drawn_alike() -> None:
    graph = make_graph(["a", "b", "c"], [[0, 0, 9, 9]] * 3, [(0, "on", 1), (1, "on", 2), (2, "near", 0)])
    assert draw_graph(graph) == draw_graph(graph)


@pytest.mark.parametrize("num_leaves", [1, 3, 6, 10])
def test_predicates_do_not_cover_names(num_leaves: int) -> None:
    names = ["person", *(f"thing {i}" for i in range(num_leaves))]
    ends = [(0, "looking at", i) for i in range(1, num_leaves + 1)]
    drawing = draw_graph(make_graph(names, [[0, 0, 30, 30]] * len(names), ends))
    assert len(drawing.arrows) == num_leaves
    assert text_on_nodes(drawing) == []


def test_several_predicates_of_a_pair_share_an_arrow_line_by_line() -> None:
    words = ["on", "near", "holding", "above", "with"]
    graph = make_graph(["a", "b"], [[0, 0, 9, 9]] * 2, [(0, word, 1) for word in words])
    arrow: Arrow = draw_graph(graph).arrows[0]
    assert [line.text for line in arrow.lines] == ["on", "near", "holding", "+2 more"]
    assert len(arrow.lines) == MAX_LINES
    assert [b.y - a.y for a, b in zip(arrow.lines, arrow.lines[1:], strict=False)] == pytest.approx([14] * 3)
    assert arrow.title.splitlines() == [f"a {word} b" for word in words]


def test_objects_without_a_relationship_stand_below_the_others() -> None:
    drawing = draw_graph(make_graph(["a", "b", "c", "d"], [[0, 0, 9, 9]] * 4, [(0, "on", 2)]))
    tops = {node.name: node.y for node in drawing.nodes}
    assert drawing.caption_y is not None
    assert max(tops["a"], tops["c"]) < drawing.caption_y < min(tops["b"], tops["d"])


def test_a_graph_without_objects_draws_nothing() -> None:
    drawing = draw_graph(make_graph([], [], []))
    assert (drawing.nodes, drawing.arrows, drawing.caption_y) == ((), (), None)


def test_a_long_name_is_cut_and_kept_in_full_beside() -> None:
    node = draw_graph(make_graph(["cat " * 30], [[0, 0, 9, 9]], [])).nodes[0]
    assert node.text.text.endswith("…")
    assert node.name == "cat " * 30
