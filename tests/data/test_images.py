"""Image files: whole ones pass, cut ones do not, boxes turn with the picture, and its size is known beforehand."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasets import Image as ImageColumn
from PIL import Image

from r1sgg_cli.data.images import (
    BrokenImageError,
    check_image,
    decode_image,
    find_image,
    stored_image_wh,
    turned_boxes,
)
from r1sgg_cli.errors import DataError
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


def cell(content: bytes | None, path: str | None = None) -> pa.Scalar:
    """An image as an arrow table holds it."""
    return pa.array([{"bytes": content, "path": path}], ImageColumn().pa_type)[0]


def loaded_wh(content: bytes) -> tuple[int, int]:
    return decode_image("7", {"bytes": content, "path": None}).size


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(10))
def test_a_stored_image_has_the_size_that_is_loaded(orientation: int, kind: str) -> None:
    """Also under the values 0 and 9, which are no orientation."""
    content = encoded((60, 40), orientation, kind)
    assert stored_image_wh("7", cell(content)) == loaded_wh(content)


XMP = (
    b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
    b"<rdf:Description xmlns:tiff='http://ns.adobe.com/tiff/1.0/' tiff:Orientation=\"6\"/></rdf:RDF></x:xmpmeta>"
)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [None, 6], ids=["xmp alone", "exif too"])
def test_a_picture_that_xmp_turns_has_the_size_that_is_loaded(kind: str, orientation: int | None) -> None:
    file, exif, extra = io.BytesIO(), Image.Exif(), {"xmp": XMP}
    if orientation:
        exif[0x0112] = orientation
    if kind == "TIFF":
        exif[0x02BC] = XMP
        extra = {}
    Image.new("RGB", (60, 40)).save(file, kind, exif=exif, **extra)
    assert stored_image_wh("7", cell(file.getvalue())) == loaded_wh(file.getvalue())


def test_a_long_header_is_read_to_its_end() -> None:
    file = io.BytesIO()
    Image.new("RGB", (60, 40)).save(file, "JPEG", comment=b"x" * 20_000)
    assert stored_image_wh("7", cell(file.getvalue())) == (60, 40)


def test_the_size_is_known_without_reading_the_picture() -> None:
    content = encoded((600, 400))[:-1000]
    assert stored_image_wh("7", cell(content)) == (600, 400)
    with pytest.raises(DataError, match="image 7 cannot be read: image file is truncated"):
        loaded_wh(content)


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        pytest.param(None, "image 7: column `image` is null; give every row its image", id="null"),
        pytest.param({"bytes": None, "path": None}, "image 7 cannot be read", id="neither bytes nor a path"),
        pytest.param({"bytes": b"<html>404</html>", "path": None}, "image 7 cannot be read", id="a page"),
        pytest.param({"bytes": b"", "path": None}, "image 7 cannot be read", id="nothing"),
        pytest.param({"bytes": None, "path": "nowhere.jpg"}, "image 7 cannot be read: .*No such file", id="no file"),
    ],
)
def test_an_image_that_cannot_be_read_is_named(stored: dict[str, bytes | str | None] | None, said: str) -> None:
    with pytest.raises(DataError, match=said):
        decode_image("7", stored)
    with pytest.raises(DataError, match=said):
        stored_image_wh("7", pa.array([stored], ImageColumn().pa_type)[0])


@pytest.mark.parametrize("name", ["nowhere.jpg", ""], ids=["no file", "a folder"])
def test_a_file_that_cannot_be_read_says_nothing_of_its_picture(name: str, tmp_path: Path) -> None:
    """A disk may be back the next time; a broken picture stays one."""
    path = str(tmp_path / name)
    said = r"image 7 cannot be read: `.*`: .*; once it can be, run the same again"
    with pytest.raises(DataError, match=said) as decoding:
        decode_image("7", {"bytes": None, "path": path})
    with pytest.raises(DataError, match=said) as measuring:
        stored_image_wh("7", cell(None, path))
    assert BrokenImageError not in {decoding.type, measuring.type}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_file_that_is_cut_short_is_broken_also_where_it_lies_outside(kind: str, tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(encoded((600, 400), kind=kind)[:200])
    with pytest.raises(BrokenImageError, match=r"image 7 cannot be read: .*mend it, or leave it out"):
        decode_image("7", {"bytes": None, "path": str(tmp_path / "cut")})


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_file_outside_has_the_size_that_is_loaded(kind: str, orientation: int, tmp_path: Path) -> None:
    content = encoded((80, 40), orientation, kind)
    (tmp_path / "7").write_bytes(content)
    assert stored_image_wh("7", cell(None, str(tmp_path / "7"))) == loaded_wh(content)


def test_of_a_file_outside_the_header_is_enough(tmp_path: Path) -> None:
    (tmp_path / "7.jpg").write_bytes(encoded((600, 400))[:-1000])
    assert stored_image_wh("7", cell(None, str(tmp_path / "7.jpg"))) == (600, 400)


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
