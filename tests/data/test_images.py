"""Image files: whole ones pass, cut ones do not, and boxes turn with the picture."""

import io
from pathlib import Path

import numpy as np
import pytest
from datasets import Image as ImageColumn
from PIL import Image

from r1sgg_cli.data.images import BrokenImageError, check_image, find_image, turned_boxes
from tests.data.annotated import encoded


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_whole_file_tells_its_size(kind: str) -> None:
    file = check_image(encoded((120, 80), kind=kind))
    assert file.stored_wh == file.shown_wh == (120, 80)


@pytest.mark.parametrize("left", [0, 10, 0.3, 0.9, -3], ids=str)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_file_that_is_cut_short_is_broken(kind: str, left: float) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    noise.save(buffer, kind)
    content = buffer.getvalue()
    if kind == "PNG" and left == -3:
        pytest.skip("the last bytes of a PNG hold no pixels")
    with pytest.raises(BrokenImageError):
        check_image(content[: int(left * len(content)) if isinstance(left, float) else left])


def test_text_is_no_image() -> None:
    with pytest.raises(BrokenImageError):
        check_image(b"<html>404</html>")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_as_the_picture_does_when_it_is_loaded(orientation: int, kind: str) -> None:
    """The white quarter of the stored pixels is where `datasets` shows it, whatever the orientation."""
    content = encoded((80, 40), orientation, kind)
    file = check_image(content)
    shown = ImageColumn().decode_example({"bytes": content, "path": None})
    assert file.shown_wh == shown.size
    if kind == "TIFF":  # Pillow has turned it by then, and nothing is left to turn
        assert file.orientation == 1
        return
    (x1, y1, x2, y2) = turned_boxes(np.array([[0.0, 0.0, 40.0, 20.0]]), file)[0]
    white = np.asarray(shown.convert("L")) > 128
    rows, columns = np.flatnonzero(white.any(axis=1)), np.flatnonzero(white.any(axis=0))
    assert (x1, y1, x2, y2) == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)


def test_the_first_place_that_has_the_file_is_taken(tmp_path: Path) -> None:
    (tmp_path / "VG_100K_2").mkdir()
    (tmp_path / "VG_100K_2" / "1.jpg").touch()
    assert find_image(tmp_path, ("1.jpg", "VG_100K_2/1.jpg"), "train") == tmp_path / "VG_100K_2" / "1.jpg"
    assert find_image(tmp_path, ("2.jpg", "x" * 300), "train") is None


@pytest.mark.parametrize(
    ("split", "place"),
    [("val", "validation"), ("val", "val"), ("test", "test"), ("train", "images"), ("train", "images/train")],
)
def test_photos_may_lie_in_the_folder_of_their_split_or_of_images(tmp_path: Path, split: str, place: str) -> None:
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "1.jpg").touch()
    assert find_image(tmp_path, ("1.jpg",), split) == tmp_path / place / "1.jpg"
