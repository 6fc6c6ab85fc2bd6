"""Arrows run from border to border, apart from each other, and their labels avoid the nodes."""

import numpy as np
import pytest

from r1sgg_cli.report.arrows import Route, border_point, route_arrows, straight_cost
from r1sgg_cli.report.node_layout import WIDTH

SIDE_BY_SIDE = np.array([[0.0, 0.0, 60.0, 24.0], [300.0, 0.0, 360.0, 24.0]])
LABEL = (50.0, 14.0)


def middle(route: Route) -> tuple[float, float]:
    """The point halfway along a route's curve."""
    x, y = ((a + 2 * b + c) / 4 for a, b, c in zip(route.start, route.control, route.end, strict=True))
    return x, y


@pytest.mark.parametrize(
    ("towards", "expected"),
    [((100.0, 10.0), (20, 10)), ((10.0, -90.0), (10, 0)), ((30.0, 30.0), (20, 20)), ((12.0, 10.0), (20, 10))],
    ids=["right", "up", "corner", "from within"],
)
def test_a_ray_leaves_a_node_at_its_border(towards: tuple[float, float], expected: tuple[float, float]) -> None:
    assert border_point(np.array([0.0, 0.0, 20.0, 20.0]), np.array([towards]))[0] == pytest.approx(expected)


def test_a_free_arrow_is_straight_with_its_label_in_the_middle() -> None:
    route = route_arrows(SIDE_BY_SIDE, {(0, 1): LABEL}).routes[0]
    assert (route.start, route.control, route.end) == ((60, 12), (180, 12), (300, 12))
    assert route.label == (155, 5, 205, 19)


def test_opposite_arrows_are_bent_apart() -> None:
    there, back = route_arrows(SIDE_BY_SIDE, {(0, 1): LABEL, (1, 0): LABEL}).routes
    assert abs(middle(there)[1] - middle(back)[1]) > 10
    assert there.label[1] >= back.label[3] or back.label[1] >= there.label[3]


def test_an_arrow_goes_around_a_node_in_its_way() -> None:
    nodes = np.array([[0.0, 100.0, 60.0, 124.0], [300.0, 100.0, 360.0, 124.0], [160.0, 100.0, 200.0, 124.0]])
    route = route_arrows(nodes, {(0, 1): LABEL}).routes[0]
    assert not 96 < middle(route)[1] < 128
    left, top, right, bottom = route.label
    assert bottom <= 100 or top >= 124 or right <= 160 or left >= 200


def test_labels_of_crossing_arrows_do_not_cover_each_other() -> None:
    nodes = np.array([[0.0, 0, 60, 24], [300.0, 200, 360, 224], [0.0, 200, 60, 224], [300.0, 0, 360, 24]])
    first, second = route_arrows(nodes, {(0, 1): LABEL, (2, 3): LABEL}).routes
    a, b = np.array(first.label), np.array(second.label)
    assert (np.minimum(a[2:], b[2:]) <= np.maximum(a[:2], b[:2])).any()


def test_a_wide_label_stays_inside_the_drawing() -> None:
    nodes = np.array([[0.0, 0.0, 30.0, 24.0], [0.0, 120.0, 30.0, 144.0]])
    left, _, right, _ = route_arrows(nodes, {(0, 1): (200.0, 14.0)}).routes[0].label
    assert left >= 0
    assert right <= WIDTH


def test_the_rough_cost_knows_crossings_and_nodes_in_the_way() -> None:
    corners = np.array([[0.0, 0, 60, 24], [300.0, 0, 360, 24], [0.0, 200, 60, 224], [300.0, 200, 360, 224]])
    apart = straight_cost(corners, {(0, 1): LABEL, (2, 3): LABEL})
    crossing = straight_cost(corners, {(0, 3): LABEL, (2, 1): LABEL})
    through = straight_cost(np.vstack([corners, [[160.0, 0, 200, 24]]]), {(0, 1): LABEL, (2, 3): LABEL})
    assert apart == pytest.approx(0)
    assert crossing > apart
    assert through > crossing
