"""The arrows of a drawn scene graph: each a curve from border to border, with its predicates where they hide least.

Every arrow tries some bends and every bend some places for its label; the cheapest by what they would cover wins. The
order is fixed and nothing is random, so the same graph is always drawn alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from r1sgg_cli.report.node_layout import WIDTH, Pair, Rectangles

BENDS = (0.0, 0.14, -0.14, 0.28, -0.28, 0.45, -0.45)
"""How far a curve's control point lies from the straight line, in parts of its length; opposite arrows take one side
each, because for both of them plus is on the right hand."""
LABEL_TIMES = (0.5, 0.42, 0.58, 0.34, 0.66, 0.27, 0.73)
LABEL_SIDES = (0.0, -1.0, 1.0)
"""On the curve, or beside it."""
NUM_SAMPLES = 15
CLEARANCE = 4.0
"""Arrows keep this away from nodes that are not theirs."""
LEAST_VISIBLE = 40.0
"""Units of an arrow that its label should leave to be seen."""
SPACE_ABOVE = 40.0
"""Curves and labels may rise this far above the topmost node, and fall as far below."""

Points = NDArray[np.float64]
"""Shape (…, 2)."""


@dataclass(frozen=True, slots=True)
class Route:
    """One arrow: a quadratic Bézier curve and the rectangle of its label."""

    pair: Pair
    start: tuple[float, float]
    control: tuple[float, float]
    end: tuple[float, float]
    label: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Routes:
    """All arrows between some nodes, and how badly they read: 0 would be straight lines that hide nothing."""

    routes: tuple[Route, ...]
    cost: float


@dataclass(slots=True)
class _Placed:
    """What stands already and should not be covered."""

    nodes: Rectangles
    labels: list[NDArray[np.float64]] = field(default_factory=list)
    curves: list[Points] = field(default_factory=list)

    def label_rectangles(self) -> Rectangles:
        return np.array(self.labels).reshape(-1, 4)

    def curve_points(self) -> Points:
        return np.array(self.curves).reshape(-1, 2)


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The curves of one arrow, B of them."""

    starts: Points
    controls: Points
    ends: Points
    bends: NDArray[np.float64]

    def at(self, times: NDArray[np.float64]) -> Points:
        """Points of every curve at the times, shape (B, T, 2)."""
        t = times[None, :, None]
        starts, controls, ends = (p[:, None, :] for p in (self.starts, self.controls, self.ends))
        return (1 - t) ** 2 * starts + 2 * t * (1 - t) * controls + t**2 * ends


def route_arrows(nodes: Rectangles, label_sizes: Mapping[Pair, tuple[float, float]]) -> Routes:
    """One arrow for each pair of node indices in `label_sizes` (width and height of what stands on it)."""
    placed = _Placed(nodes)
    distance = {p: float(np.hypot(*(_centre(nodes[p[0]]) - _centre(nodes[p[1]])))) for p in label_sizes}
    cost = 0.0
    routes = {}
    for pair in sorted(label_sizes, key=lambda p: (distance[p], p)):  # short arrows have the least choice
        bends = [b for b in BENDS if b > 0] if pair[::-1] in label_sizes else BENDS
        curves = _candidates(nodes, pair, bends)
        routes[pair], price = _cheapest(curves, pair, label_sizes[pair], placed)
        cost += price
    return Routes(tuple(routes[pair] for pair in label_sizes), cost)


def border_point(rectangle: NDArray[np.float64], towards: Points) -> Points:
    """Where the rays from a rectangle's centre towards some points, shape (B, 2), leave it."""
    centre = _centre(rectangle)
    ray = towards - centre
    half = (rectangle[2:] - rectangle[:2]) / 2
    times = half / np.maximum(np.abs(ray), 1e-9)
    border: Points = centre + ray * times.min(axis=-1, keepdims=True)
    return border


def _from_border(nodes: Rectangles, pairs: NDArray[np.int64]) -> Points:
    """For each pair the point where the line from the centre of its first to that of its second leaves the first."""
    return np.array([border_point(nodes[a], _centre(nodes[b])[None])[0] for a, b in pairs])


def _centre(rectangle: NDArray[np.float64]) -> Points:
    centre: Points = (rectangle[:2] + rectangle[2:]) / 2
    return centre


def _candidates(nodes: Rectangles, pair: Pair, bends: Sequence[float]) -> _Candidates:
    subject, object_ = nodes[pair[0]], nodes[pair[1]]
    start = border_point(subject, _centre(object_)[None])[0]
    end = border_point(object_, _centre(subject)[None])[0]
    chord = _centre(object_) - _centre(subject)
    side = np.array([-chord[1], chord[0]])
    sizes = np.array(bends)
    controls = (start + end) / 2 + sizes[:, None] * side
    return _Candidates(border_point(subject, controls), controls, border_point(object_, controls), sizes)


def _cheapest(curves: _Candidates, pair: Pair, label_wh: tuple[float, float], placed: _Placed) -> tuple[Route, float]:
    points = curves.at(np.linspace(0, 1, NUM_SAMPLES))
    labels = _label_places(curves, label_wh)
    cost = _curve_costs(points, pair, placed)[:, None] + 40 * np.abs(curves.bends)[:, None]
    cost = cost + _label_costs(labels, placed) + _hidden_cost(curves.starts, curves.ends, np.array(label_wh))[:, None]
    cost = cost + np.tile(8 * np.abs(np.array(LABEL_TIMES) - 0.5), len(LABEL_SIDES))[None]
    cost = cost + np.repeat(14 * np.abs(np.array(LABEL_SIDES)), len(LABEL_TIMES))[None]
    curve, place = np.unravel_index(int(cost.argmin()), cost.shape)
    placed.curves.append(points[curve])
    placed.labels.append(labels[curve, place])
    start, control, end = (
        (float(p[curve, 0]), float(p[curve, 1])) for p in (curves.starts, curves.controls, curves.ends)
    )
    left, top, right, bottom = labels[curve, place].tolist()
    return Route(pair, start, control, end, (left, top, right, bottom)), float(cost[curve, place])


def _label_places(curves: _Candidates, label_wh: tuple[float, float]) -> NDArray[np.float64]:
    """Rectangles of the label of every curve, shape (B, places, 4), moved into the drawing's width."""
    centres = curves.at(np.array(LABEL_TIMES))
    size = np.array(label_wh)
    along = curves.ends - curves.starts
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    beside = (np.abs(normal) @ size / 2 + 2)[:, None] * normal
    moved = np.concatenate([centres + side * beside[:, None] for side in LABEL_SIDES], axis=1)
    moved[..., 0] = np.clip(moved[..., 0], size[0] / 2, max(size[0] / 2, WIDTH - size[0] / 2))
    return np.concatenate([moved - size / 2, moved + size / 2], axis=-1)


def _curve_costs(points: Points, pair: Pair, placed: _Placed) -> NDArray[np.float64]:
    """For each curve: the nodes and labels that it runs over, the curves that it crosses, how far it leaves."""
    own = list(pair)
    others = np.delete(placed.nodes, own, axis=0)
    grown = others + np.array([-CLEARANCE, -CLEARANCE, CLEARANCE, CLEARANCE])
    inner = placed.nodes[own] + np.array([1.0, 1.0, -1.0, -1.0])
    bottom = placed.nodes[:, 3].max() + SPACE_ABOVE
    outside = np.maximum(0, np.maximum(1 - points[..., 0], points[..., 0] - WIDTH + 1))
    outside = outside + np.maximum(0, np.maximum(-SPACE_ABOVE - points[..., 1], points[..., 1] - bottom))
    cost = 25.0 * _num_inside(points, grown) + 25.0 * _num_inside(points[:, 1:-1], inner)
    cost = cost + 6.0 * _num_inside(points, placed.label_rectangles()) + 5.0 * outside.sum(axis=-1)
    return cost + 5.0 * _num_crossings(points, placed.curves)


def _label_costs(labels: NDArray[np.float64], placed: _Placed) -> NDArray[np.float64]:
    """For each place of a label: what it covers of nodes, other labels and the curves between them."""
    flat = labels.reshape(-1, 4)
    cost = 0.6 * _overlap_areas(flat, placed.nodes).sum(axis=1)
    cost = cost + 0.4 * _overlap_areas(flat, placed.label_rectangles()).sum(axis=1)
    curve_points = placed.curve_points()
    inside = (curve_points[None] > flat[:, None, :2]) & (curve_points[None] < flat[:, None, 2:])
    cost = cost + 5.0 * inside.all(axis=-1).sum(axis=1)
    top, bottom = -SPACE_ABOVE, placed.nodes[:, 3].max() + SPACE_ABOVE
    cost = cost + 5.0 * np.maximum(0, np.maximum(top - flat[:, 1], flat[:, 3] - bottom))
    costs: NDArray[np.float64] = cost.reshape(labels.shape[:2])
    return costs


def _hidden_cost(starts: Points, ends: Points, label_sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each arrow: how much less of it than `LEAST_VISIBLE` its label leaves to be seen."""
    along = np.abs(ends - starts)
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)
    covered = (length[:, None] * label_sizes / np.maximum(along, 1e-9)).min(axis=1)
    cost: NDArray[np.float64] = 0.5 * np.maximum(0, LEAST_VISIBLE - (length - covered))
    return cost


def _num_inside(points: Points, rectangles: Rectangles) -> NDArray[np.float64]:
    """How many points of each curve, shape (B, S, 2), lie in each of the rectangles, summed over them: (B,)."""
    x, y = points[..., 0, None], points[..., 1, None]
    left, top, right, bottom = rectangles.T
    inside = (x > left) & (x < right) & (y > top) & (y < bottom)
    number: NDArray[np.float64] = inside.sum(axis=(1, 2)).astype(np.float64)
    return number


def _overlap_areas(a: Rectangles, b: Rectangles) -> NDArray[np.float64]:
    sides = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    areas: NDArray[np.float64] = np.maximum(sides, 0).prod(axis=-1)
    return areas


def _num_crossings(points: Points, curves: Sequence[Points]) -> NDArray[np.float64]:
    """How often each curve, shape (B, S, 2), crosses the others, as lines through their samples."""
    if not curves:
        return np.zeros(len(points))
    others = np.array(curves)
    a, b = points[:, :-1].reshape(-1, 1, 2), points[:, 1:].reshape(-1, 1, 2)
    c, d = others[:, :-1].reshape(1, -1, 2), others[:, 1:].reshape(1, -1, 2)
    crossing = (_turn(a, b, c) != _turn(a, b, d)) & (_turn(c, d, a) != _turn(c, d, b))
    number: NDArray[np.float64] = crossing.reshape(len(points), -1).sum(axis=1).astype(np.float64)
    return number


def _turn(a: Points, b: Points, c: Points) -> NDArray[np.bool_]:
    """Whether the way a → b → c turns to the one side and not to the other."""
    ab, ac = b - a, c - a
    turn: NDArray[np.bool_] = ab[..., 0] * ac[..., 1] - ab[..., 1] * ac[..., 0] > 0
    return turn


def straight_cost(nodes: Rectangles, label_sizes: Mapping[Pair, tuple[float, float]]) -> float:
    """About what `route_arrows` would cost, in little time: every arrow straight, every label in its middle."""
    pairs, sizes = np.array(list(label_sizes)), np.array(list(label_sizes.values()))
    centres = (nodes[:, :2] + nodes[:, 2:]) / 2
    starts, ends = centres[pairs[:, 0]], centres[pairs[:, 1]]
    middles = (starts + ends) / 2
    labels = np.concatenate([middles - sizes / 2, middles + sizes / 2], axis=1)
    lines = starts[:, None] + np.linspace(0, 1, NUM_SAMPLES)[None, :, None] * (ends - starts)[:, None]
    through = [
        _num_inside(line[None], np.delete(nodes, pair, axis=0))[0] for line, pair in zip(lines, pairs, strict=True)
    ]
    inner = lines[:, 1:-1:4]  # without the ends, where arrows of one node meet
    cost = 5.0 * _num_crossings(inner, list(inner)).sum() / 2 + 25.0 * sum(through)
    cost += _hidden_cost(_from_border(nodes, pairs), _from_border(nodes, pairs[:, ::-1]), sizes).sum()
    cost += 0.4 * np.triu(_overlap_areas(labels, labels), 1).sum() + 0.6 * _overlap_areas(labels, nodes).sum()
    return float(cost)
