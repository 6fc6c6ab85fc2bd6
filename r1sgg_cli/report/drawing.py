"""A scene graph as a drawing: a node for each object, an arrow for each pair with relationships, words on both.

A part of the graph that hangs together is laid out by itself, and the parts stand below each other; last come the
objects that no arrow reaches. Of the many layouts that `node_layout` offers, the one is taken whose arrows and labels
cover least; the same graph always gives the same drawing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from r1sgg_cli.report.arrows import Route, Routes, route_arrows, straight_cost
from r1sgg_cli.report.node_layout import (
    THOROUGH,
    Pair,
    Rectangles,
    Search,
    candidate_layouts,
    components,
    drawn_part,
    rows_of,
)
from r1sgg_cli.report.overlay import object_labels, shortened, text_width
from r1sgg_cli.scene_graph.graph import SceneGraph

FONT_SIZE = 12.0
NODE_HEIGHT = 23.0
NODE_PADDING = 9.0
LINE_HEIGHT = 14.0
LABEL_PADDING = 3.0
PART_GAP = 22.0
CAPTION_GAP = 9.0
MARGIN = 4.0
HEAD_LENGTH, HEAD_WIDTH = 9.0, 7.0
MAX_NODE_TEXT = 26
MAX_PREDICATE_TEXT = 26
MAX_LINES = 4
"""Predicates on one arrow; its title has all of them."""
COMFORTABLE_HEIGHT = 240.0
HEIGHT_COST, TALL_COST = 0.04, 0.16
"""What one unit of height costs, up to the comfortable one and beyond it, in the currency of covered labels."""


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text, by its middle and its baseline."""

    x: float
    y: float
    width: float
    text: str


@dataclass(frozen=True, slots=True)
class Node:
    """An object."""

    object: int
    """Its index in the graph."""
    x: float
    y: float
    width: float
    height: float
    name: str
    """The whole name, also where the text had to be cut."""
    text: Text


@dataclass(frozen=True, slots=True)
class Arrow:
    """All relationships of one object to another."""

    subject: int
    object: int
    path: str
    head: str
    """Corners of the arrow head, its tip first; the tip lies on the object's border."""
    title: str
    lines: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawn graph, `node_layout.WIDTH` wide."""

    height: float
    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]
    caption_y: float | None
    """Baseline of the words above the objects without an arrow; None where there are none."""
    num_hidden_objects: int
    num_hidden_relationships: int


@dataclass(frozen=True, slots=True)
class _Part:
    """Nodes and routes in a space of their own, whose top is at 0."""

    nodes: Rectangles
    routes: tuple[Route, ...]
    height: float


def draw_graph(graph: SceneGraph, search: Search = THOROUGH) -> Drawing:
    """The drawing of a graph; what would not be legible is left out and counted."""
    part = drawn_part(graph)
    labels = object_labels(graph)
    nodes: list[Node] = []
    arrows: list[Arrow] = []
    y = MARGIN
    with threadpool_limits(1, user_api="blas"):  # handing such small matrices to threads costs far more than it saves
        for objects in components(list(part.predicates)):
            within = {pair: words for pair, words in part.predicates.items() if pair[0] in objects}
            laid_out = _lay_out(graph, objects, within, labels, search)
            nodes += _nodes(objects, labels, laid_out.nodes, y)
            arrows += [_arrow(route, objects, within, labels, y) for route in laid_out.routes]
            y += laid_out.height + PART_GAP
    caption_y = None
    if part.unlinked:
        caption_y = y + FONT_SIZE
        rows = rows_of(_node_sizes(part.unlinked, labels))
        nodes += _nodes(part.unlinked, labels, rows, caption_y + CAPTION_GAP)
        y = caption_y + CAPTION_GAP + float(rows[:, 3].max()) + PART_GAP
    height = round(max(MARGIN, y - PART_GAP) + MARGIN, 1)
    hidden = part.num_hidden_objects, part.num_hidden_relationships
    return Drawing(height, tuple(nodes), tuple(arrows), caption_y, *hidden)


def _lay_out(
    graph: SceneGraph,
    objects: Sequence[int],
    predicates: Mapping[Pair, Sequence[str]],
    labels: Sequence[str],
    search: Search,
) -> _Part:
    """The best of the layouts: all are judged roughly, the most promising ones with their arrows."""
    position = {i: k for k, i in enumerate(objects)}
    sizes = {(position[a], position[b]): _label_size(words) for (a, b), words in predicates.items()}
    boxes = graph.boxes_xyxy[list(objects)]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 / np.array(graph.space_wh)
    layouts = list(candidate_layouts(list(sizes), centres, _node_sizes(objects, labels), search))
    promising = sorted(layouts, key=lambda nodes: straight_cost(nodes, sizes) + _height_cost(nodes[:, 3].max()))
    routed = [(nodes, route_arrows(nodes, sizes)) for nodes in promising[: search.num_routed]]
    nodes, found = min(routed, key=lambda both: both[1].cost + _height_cost(_extent(*both)[1]))
    top, height = _extent(nodes, found)
    shift = np.array([0, top, 0, top])
    return _Part(nodes - shift, tuple(_raised(route, top) for route in found.routes), height)


def _height_cost(height: float) -> float:
    return HEIGHT_COST * height + (TALL_COST - HEIGHT_COST) * max(0.0, height - COMFORTABLE_HEIGHT)


def _extent(nodes: Rectangles, routes: Routes) -> tuple[float, float]:
    """Top and height of nodes, labels and curves together."""
    ys = [*nodes[:, 1::2].ravel().tolist()]
    for route in routes.routes:
        # a quadratic curve never leaves the triangle of its three points, and comes half as far as the control point
        middle = (route.start[1] + 2 * route.control[1] + route.end[1]) / 4
        ys += [route.label[1], route.label[3], min(middle, route.start[1], route.end[1])]
        ys.append(max(middle, route.start[1], route.end[1]))
    return min(ys), max(ys) - min(ys)


def _raised(route: Route, by: float) -> Route:
    start, control, end = ((x, y - by) for x, y in (route.start, route.control, route.end))
    left, top, right, bottom = route.label
    return Route(route.pair, start, control, end, (left, top - by, right, bottom - by))


def _node_sizes(objects: Sequence[int], labels: Sequence[str]) -> NDArray[np.float64]:
    widths = [text_width(shortened(labels[i], MAX_NODE_TEXT), FONT_SIZE) + 2 * NODE_PADDING for i in objects]
    return np.array([[width, NODE_HEIGHT] for width in widths])


def _label_size(words: Sequence[str]) -> tuple[float, float]:
    lines = _lines(words)
    width = max(text_width(line, FONT_SIZE) for line in lines)
    return width + 2 * LABEL_PADDING, LINE_HEIGHT * len(lines)


def _lines(words: Sequence[str]) -> list[str]:
    """What stands on an arrow, line by line."""
    shown = list(words) if len(words) <= MAX_LINES else list(words[: MAX_LINES - 1])
    more = [f"+{len(words) - len(shown)} more"] if len(shown) < len(words) else []
    return [shortened(word, MAX_PREDICATE_TEXT) for word in shown] + more


def _nodes(objects: Sequence[int], labels: Sequence[str], rectangles: Rectangles, y: float) -> list[Node]:
    return [_node(i, labels[i], box, y) for i, box in zip(objects, rectangles.tolist(), strict=True)]


def _node(index: int, name: str, box: Sequence[float], y: float) -> Node:
    left, top, right, bottom = (round(value, 1) for value in (box[0], box[1] + y, box[2], box[3] + y))
    text = shortened(name, MAX_NODE_TEXT)
    middle = round((left + right) / 2, 1)
    line = Text(middle, round(top + NODE_HEIGHT / 2 + 4.2, 1), text_width(text, FONT_SIZE), text)
    return Node(index, left, top, round(right - left, 1), round(bottom - top, 1), name, line)


def _arrow(
    route: Route, objects: Sequence[int], predicates: Mapping[Pair, Sequence[str]], labels: Sequence[str], y: float
) -> Arrow:
    subject, object_ = objects[route.pair[0]], objects[route.pair[1]]
    words = predicates[subject, object_]
    start, control, end = (np.array([px, py + y]) for px, py in (route.start, route.control, route.end))
    back = control - end
    back = back / max(float(np.hypot(*back)), 1e-9)
    base = end + HEAD_LENGTH * back
    side = HEAD_WIDTH / 2 * np.array([-back[1], back[0]])
    middle = (route.label[0] + route.label[2]) / 2
    lines = tuple(
        Text(round(middle, 1), round(route.label[1] + y + LINE_HEIGHT * i + 10.6, 1), text_width(line, FONT_SIZE), line)
        for i, line in enumerate(_lines(words))
    )
    title = "\n".join(f"{labels[subject]} {word} {labels[object_]}" for word in words)
    path = f"M{_point(start)}Q{_point(control)} {_point(base)}"
    return Arrow(subject, object_, path, " ".join(_point(p) for p in (end, base + side, base - side)), title, lines)


def _point(point: NDArray[np.float64]) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"
