"""Boxes and labels land where they belong, inside the photo."""

import base64
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from r1sgg_cli.report.overlay import (
    LABEL_HEIGHT,
    MAX_BOXES,
    MAX_LABEL_LENGTH,
    MAX_PIXELS_SIDE,
    PANEL_WH,
    encode_photo,
    lay_out_boxes,
    object_labels,
)
from r1sgg_cli.scene_graph.graph import SceneGraph
from tests.report.conftest import make_graph


def decode(data_uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data_uri.partition(",")[2])))


def test_a_small_picture_is_kept_without_loss() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (100, 100, 3), dtype=np.uint8)
    photo = encode_photo(Image.fromarray(pixels))
    assert photo.data_uri.startswith("data:image/png;base64,")
    assert np.array_equal(np.asarray(decode(photo.data_uri)), pixels)
    assert photo.view_wh == (240, 240)


def test_a_large_photo_is_shrunk_and_keeps_its_shape() -> None:
    photo = encode_photo(Image.new("RGBA", (4000, 3000)))
    assert photo.data_uri.startswith("data:image/jpeg;base64,")
    assert decode(photo.data_uri).size == (MAX_PIXELS_SIDE, 480)
    assert photo.view_wh == (240, 180)


def test_a_tall_photo_fits_into_the_panel() -> None:
    assert encode_photo(Image.new("RGB", (100, 400))).view_wh == (75, PANEL_WH[1])


def test_objects_of_one_name_are_numbered() -> None:
    graph = make_graph(["cat", "dog", "cat"], [[0, 0, 9, 9]] * 3, [])
    assert object_labels(graph) == ("cat 1", "dog", "cat 2")


def test_a_crowded_graph_shows_numbers_only_and_stops_at_a_limit() -> None:
    graph = make_graph(["cat"] * 60, [[0, 0, 9, 9]] * 60, [])
    views = lay_out_boxes(graph, ["truth"] * 60, (240, 240))
    assert len(views) == MAX_BOXES
    assert [v.label.text for v in views[:2]] == ["1", "2"]
    assert views[1].name == "cat 2" == object_labels(graph)[1]


def test_boxes_are_scaled_to_the_view() -> None:
    view = lay_out_boxes(make_graph(["cat"], [[10, 20, 50, 70]], []), ["matched"], (240, 240))[0]
    assert (view.x, view.y, view.width, view.height) == (24, 48, 96, 120)


def test_a_long_name_is_cut_in_its_label_but_kept_in_the_title() -> None:
    name = "cat " * 30
    view = lay_out_boxes(make_graph([name], [[0, 0, 90, 90]], []), ["wrong"], (240, 240))[0]
    assert len(view.label.text) == MAX_LABEL_LENGTH
    assert view.name == name


def test_labels_of_two_equal_boxes_do_not_cover_each_other() -> None:
    first, second = (
        view.label
        for view in lay_out_boxes(make_graph(["cat", "dog"], [[20, 20, 80, 80]] * 2, []), ["truth"] * 2, (240, 240))
    )
    assert (
        abs(first.y - second.y) >= LABEL_HEIGHT
        or first.x + first.width <= second.x
        or second.x + second.width <= first.x
    )


coordinates = st.floats(0, 100)


@given(st.lists(st.tuples(coordinates, coordinates, coordinates, coordinates), max_size=8))
def test_labels_stay_inside_the_photo(corners: list[tuple[float, float, float, float]]) -> None:
    boxes = [[min(a, c), min(b, d), max(a, c), max(b, d)] for a, b, c, d in corners]
    graph: SceneGraph = make_graph(["red circle"] * len(boxes), boxes, [])
    for view in lay_out_boxes(graph, ["matched"] * len(boxes), (240, 240)):
        assert 0 <= view.label.x <= 240 - view.label.width + 0.1
        assert 0 <= view.label.y <= 240 - LABEL_HEIGHT + 0.1


@pytest.mark.parametrize("wh", [(1, 1), (3, 500), (500, 3)])
def test_extreme_pictures_still_have_a_view(wh: tuple[int, int]) -> None:
    assert min(encode_photo(Image.new("RGB", wh)).view_wh) > 0
