"""A folder of pictures as rows of a data set: nothing is annotated, and nothing is copied."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from datasets import Dataset
from PIL import Image

from r1sgg_cli.data.rows import FEATURES
from r1sgg_cli.errors import DataError


def picture_rows(folder: Path) -> Dataset:
    """A row for each picture in a folder and those below it, by name; `image_id` is its path from the folder.

    Raises `DataError` where there is none.
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
    """Whether a file's name says that Pillow can open it."""
    formats = Image.registered_extensions()
    return formats.get(path.suffix.lower()) in Image.OPEN and path.is_file()


def _pictures(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise DataError(f"no folder `{folder}`; `--images` takes a folder of pictures")
    below = (path for path in sorted(folder.rglob("*")) if not path.name.startswith("."))
    return (path for path in below if is_picture(path) and path.suffix.lower() != ".pdf")
