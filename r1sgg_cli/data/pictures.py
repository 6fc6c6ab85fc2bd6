"""A folder of pictures as rows of a data set: nothing is annotated, and nothing is copied."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from datasets import Dataset
from PIL import Image

from r1sgg_cli.data.rows import FEATURES
from r1sgg_cli.errors import DataError

PHOTO_FORMATS = frozenset({"JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF"})
"""Of the formats that Pillow has a name for these decode by themselves and hold pictures.

Others are known to it by their first bytes alone (MPEG, HDF5, GRIB), need a program (EPS) or are documents (PDF).
"""


def picture_rows(folder: Path) -> Dataset:
    """A row for each picture in a folder and those below it, by name; `image_id` is its path from the folder.

    What is hidden, or lies in a hidden folder, is left out. Raises `DataError` where there is none, and for a name that
    is not UTF-8.
    """
    found = list(_pictures(folder))
    if not found:
        raise DataError(f"`{folder}` holds no picture; name a folder with .jpg, .png or other pictures")
    number = len(found)
    columns = {
        "image_id": [path.relative_to(folder).as_posix() for path in found],
        "image": [{"bytes": None, "path": str(path)} for path in found],
        **{name: [""] * number for name in ("prompt_open", "prompt_close")},
        **{name: ["[]"] * number for name in ("objects", "relationships")},
    }
    return Dataset.from_dict(columns, features=FEATURES)


def pictures_fingerprint(folder: Path) -> str:
    """16 hex digits over the names and sizes of a folder's pictures, whose contents are not read."""
    whole = hashlib.sha256()
    for path in _pictures(folder):
        whole.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\n".encode())
    return whole.hexdigest()[:16]


def is_picture(path: Path) -> bool:
    """Whether a file's name says that it is a photo of a usual format that Pillow can open here."""
    kind = Image.registered_extensions().get(path.suffix.lower())
    return kind in PHOTO_FORMATS and kind in Image.OPEN and path.is_file()


def _pictures(folder: Path) -> Iterator[Path]:
    if is_picture(folder):
        raise DataError(
            f"`{folder}` is one picture, and `--images` takes a folder; `r1sgg infer MODEL {folder}` shows its graph"
        )
    if not folder.is_dir():
        raise DataError(f"no folder `{folder}`; `--images` takes a folder of pictures")
    for path in sorted(folder.rglob("*")):
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not is_hidden and is_picture(path):
            _insist_on_utf8(path)
            yield path


def _insist_on_utf8(path: Path) -> None:
    """A name becomes an image's id, and those are text."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise DataError(f"the name of {str(path)!r} is not UTF-8; rename it") from error
