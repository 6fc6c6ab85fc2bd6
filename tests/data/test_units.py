"""Boxes of any unit, on a picture of any size and turn, come to pixels of the picture as it is shown."""

from typing import Any

import pytest

from tests.data.annotated import HORSE, cleaned, image_file

RIDING = (0, "riding", 1)


@pytest.mark.parametrize(
    ("stated_wh", "file_wh", "expected"),
    [
        pytest.param((0, 100), (100, 50), [10, 10, 40, 50], id="no size at all: pixels stay"),
        pytest.param((200, 100), (100, 50), [5, 5, 20, 45], id="resized: boxes follow"),
        pytest.param((201, 100), (100, 50), [4.98, 5, 19.9, 45], id="resized, with rounding"),
        pytest.param((100, 90), (100, 50), [10, 10, 40, 50], id="another shape: pixels stay"),
    ],
)
def test_a_wrong_stored_size_is_counted(stated_wh: Any, file_wh: Any, expected: list[float]) -> None:
    graph, met = cleaned(file=image_file(file_wh), image_wh=stated_wh)
    assert graph is not None
    assert graph.boxes_xyxy[0].tolist() == pytest.approx(expected, abs=0.01)
    assert met["wrong_size"] == 1


def test_boxes_drawn_on_unturned_pixels_turn_with_the_picture() -> None:
    """EXIF says: show this 80×40 file turned by 90 degrees; the annotation says 80×40."""
    graph, met = cleaned(
        file=image_file((80, 40), orientation=6),
        image_wh=(80, 40),
        objects=(("man", [0, 0, 40, 20]), ("horse", [5, 5, 80, 40])),
    )
    assert graph is not None
    assert graph.space_wh == (40, 80)
    assert graph.boxes_xyxy[0].tolist() == [20, 0, 40, 40]
    assert met["turned_image"] == 1


def test_boxes_drawn_on_the_picture_as_it_is_shown_stay() -> None:
    graph, met = cleaned(
        file=image_file((80, 40), orientation=6), image_wh=(40, 80), objects=(("man", [0, 0, 20, 40]), HORSE)
    )
    assert graph is not None
    assert graph.boxes_xyxy[0].tolist() == [0, 0, 20, 40]
    assert "turned_image" not in met


@pytest.mark.parametrize(
    ("unit", "box", "expected"),
    [
        pytest.param("fractions", [0.1, 0.2, 0.5, 1.0], [20, 20, 100, 100], id="fractions"),
        pytest.param("long_side_1024", [102.4, 0, 512, 256], [20, 0, 100, 50], id="1024 on the longer side"),
        pytest.param("pixels", [20, 0, 100, 50], [20, 0, 100, 50], id="pixels"),
    ],
)
def test_each_unit_comes_to_pixels_of_the_file(unit: Any, box: Any, expected: Any) -> None:
    graph, _ = cleaned(
        file=image_file((200, 100)),
        image_wh=(200, 100),
        unit=unit,
        objects=(("man", box), ("horse", box)),
        relationships=(RIDING,),
    )
    assert graph is not None
    assert graph.boxes_xyxy[0].tolist() == pytest.approx(expected)
