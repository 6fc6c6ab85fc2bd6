"""A folder of pictures as rows."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from r1sgg_cli.data.pictures import is_picture, picture_rows, pictures_fingerprint
from r1sgg_cli.data.rows import FEATURES
from r1sgg_cli.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b" / "deep").mkdir(parents=True)
    for name in ("z.png", "b/deep/a.JPG", "b/c.webp"):
        Image.new("RGB", (8, 6)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / ".thumbnails" / "deep").mkdir(parents=True)
    Image.new("RGB", (8, 6)).save(tmp_path / ".thumbnails" / "deep" / "z.png")
    return tmp_path


def test_each_picture_is_a_row_named_by_its_path(folder: Path) -> None:
    rows = picture_rows(folder)
    assert rows["image_id"][:] == ["b/c.webp", "b/deep/a.JPG", "z.png"]
    assert rows.features == FEATURES
    assert rows[1]["image"].size == (8, 6)
    assert (rows[0]["objects"], rows[0]["relationships"], rows[0]["prompt_open"]) == ("[]", "[]", "")


def test_the_fingerprint_changes_with_names_and_sizes_and_not_with_dates(folder: Path) -> None:
    before = pictures_fingerprint(folder)
    os.utime(folder / "z.png", (0, 0))
    (folder / "notes.txt").unlink()
    assert pictures_fingerprint(folder) == before
    (folder / "z.png").rename(folder / "y.png")
    renamed = pictures_fingerprint(folder)
    with (folder / "y.png").open("ab") as file:
        file.write(b"more")
    assert len({before, renamed, pictures_fingerprint(folder)}) == 3


def test_a_folder_without_a_picture_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no picture; name a folder"):
        picture_rows(tmp_path)
    with pytest.raises(DataError, match="no folder"):
        picture_rows(tmp_path / "missing")


def test_a_folder_within_a_hidden_one_has_its_pictures(folder: Path) -> None:
    assert picture_rows(folder / ".thumbnails")["image_id"][:] == ["deep/z.png"]


@pytest.mark.parametrize("use", [picture_rows, pictures_fingerprint])
def test_a_name_that_is_not_utf8_is_one_line(use: Callable[[Path], object], folder: Path) -> None:
    (folder / "z.png").rename(folder / os.fsdecode(b"caf\xe9.png"))
    with pytest.raises(DataError, match=r"the name of '.*caf\\udce9.png' is not UTF-8; rename it"):
        use(folder)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((f"a.{suffix}", True) for suffix in ("jpeg", "JPG", "png", "webp", "bmp", "gif", "tif", "ppm", "jp2")),
        *((f"a.{suffix}", False) for suffix in ("json", "pdf", "mpg", "h5", "grib", "eps", "psd")),
        ("a", False),
    ],
)
def test_a_picture_is_known_by_its_name(name: str, expected: bool, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    assert is_picture(tmp_path / name) is expected
