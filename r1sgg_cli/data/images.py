"""Image files as they are stored: found, proved to be whole, which way up they are shown, and how large.

Whoever loads a data set sees the picture turned as its EXIF orientation says (`datasets` does so when it decodes), so
boxes that were drawn on the unturned pixels are turned with it. The file itself is kept byte for byte.
"""

import io
import os
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from datasets import Image as ImageColumn
from PIL import ExifTags, Image, UnidentifiedImageError

from r1sgg_cli.errors import DataError, first_line
from r1sgg_cli.scene_graph.boxes import Boxes

SIDES_SWAPPED = frozenset({5, 6, 7, 8})
"""EXIF orientations that show a picture on its side."""

BROKEN_IMAGE = (
    *(UnidentifiedImageError, OSError, SyntaxError, ValueError, TypeError, EOFError, struct.error),
    Image.DecompressionBombError,
)
"""What Pillow raises for files that are cut short or none of its formats, its `OSError`s without an `errno`."""

_COLUMN = ImageColumn()
_HEADER = 8192  # bytes
_ORIENTED = {"exif", "xmp", "XML:com.adobe.xmp"}  # what Pillow finds an orientation in


class BrokenImageError(DataError):
    """What holds no whole image, however often it is read. A disk that fails for a moment raises `DataError` alone."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """What a whole image file says of its picture."""

    stored_wh: tuple[int, int]
    """Of the pixels as they are stored."""
    orientation: int
    """EXIF: 1 is upright."""

    @property
    def shown_wh(self) -> tuple[int, int]:
        """Of the picture as it is shown, which is what a data set's reader gets."""
        width, height = self.stored_wh
        return (height, width) if self.orientation in SIDES_SWAPPED else (width, height)


def find_image(folder: Path, candidates: Sequence[str], split: str) -> Path | None:
    """The first of these paths that is a file, from `folder`, from the split's own folder in it, or from `images`."""
    own = ("val/", "validation/", "valid/") if split == "val" else (f"{split}/",)
    for place in ("", *own, "images/", *(f"images/{name}" for name in own)):
        for candidate in candidates:
            if os.path.isfile(folder / place / candidate):  # noqa: PTH113  (a name too long is no file; `Path` raises)
                return folder / place / candidate
    return None


def check_image(content: bytes) -> ImageFile:
    """The size of an encoded image, every byte of its pixels read. Raises `BrokenImageError`."""
    try:
        with _without_warnings(), Image.open(io.BytesIO(content)) as image:
            if image.format == "JPEG":
                found = _size_of(image)
                # Its own coarse decoding reads the whole stream at half the price; a cut is found all the same.
                image.draft(image.mode, (max(1, image.width // 8), max(1, image.height // 8)))
                image.load()
                return found
            image.load()
            return _size_of(image)  # a TIFF is upright by now: Pillow turns it as it loads
    except BROKEN_IMAGE as error:
        raise BrokenImageError(_why_broken(error)) from error


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Odd EXIF, huge pictures: no fault of the pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _size_of(image: Image.Image) -> ImageFile:
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    return ImageFile(image.size, orientation if orientation in range(1, 9) else 1)


def decode_image(image_id: str, stored: Mapping[str, Any] | None) -> Image.Image:
    """The picture in a cell of a data set, as it is shown.

    Raises `BrokenImageError` that names an image it cannot decode, `DataError` one whose file it cannot read.
    """
    if stored is None:
        raise _null(image_id)
    path = stored["path"]
    with _named(image_id, path):
        if stored["bytes"] is None and _is_local(path):
            # Read first: from then on no error is the disk's. A broken picture may seek to where no file can.
            stored = {"bytes": Path(path).read_bytes(), "path": path}
        image: Image.Image = _COLUMN.decode_example(stored)
        return image


def stored_image_wh(image_id: str, stored: Any) -> tuple[int, int]:
    """The size of the picture in a cell of an arrow table, as it is shown, from its header alone where that is enough.

    Raises as `decode_image` does.
    """
    if not stored.is_valid:
        raise _null(image_id)
    path = stored["path"].as_py()
    with _named(image_id, path):
        size_wh = None
        if stored["bytes"].is_valid:
            whole = memoryview(stored["bytes"].as_buffer())
            size_wh = _header_wh(whole[:_HEADER], lambda: whole)
        elif _is_local(path):
            with Path(path).open("rb") as file:
                head = file.read(_HEADER)
                size_wh = _header_wh(head, lambda: head + file.read())
        return size_wh or decode_image(image_id, stored.as_py()).size


def _is_local(path: str | None) -> TypeGuard[str]:
    """Whether it names a file, there or not, rather than an address that `datasets` fetches."""
    return path is not None and "://" not in path


def _header_wh(head: bytes | memoryview, read_whole: Callable[[], bytes | memoryview]) -> tuple[int, int] | None:
    """The size that a header shows; None for a TIFF, which is turned, or not, only when it is loaded."""
    with _without_warnings(), _opened(head, read_whole) as image:
        if image.format == "TIFF":
            return None
        # `getexif` of a PNG without it would decode the whole image.
        return _size_of(image).shown_wh if _ORIENTED & image.info.keys() else image.size


def _opened(head: bytes | memoryview, read_whole: Callable[[], bytes | memoryview]) -> Image.Image:
    """An image of which no more is read from the disk than its header, where that is short, as it nearly always is."""
    try:
        return Image.open(io.BytesIO(head))
    except BROKEN_IMAGE:  # Pillow needs more of it
        return Image.open(io.BytesIO(read_whole()))


def _null(image_id: str) -> BrokenImageError:
    return BrokenImageError(f"image {image_id}: column `image` is null; give every row its image")


@contextmanager
def _named(image_id: str, path: str | None) -> Iterator[None]:
    """Turn what shows that an image is broken, or its file out of reach, into one line."""
    try:
        yield
    except BROKEN_IMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(
                f"image {image_id} cannot be read: `{path}`: {error.strerror}; once it can be, run the same again"
            ) from error
        raise BrokenImageError(
            f"image {image_id} cannot be read: {_why_broken(error)}; mend it, or leave it out"
        ) from error


def _why_broken(error: BaseException) -> str:
    """Pillow names the bytes in memory that it does not know, which say nothing."""
    return "it is no picture" if isinstance(error, UnidentifiedImageError) else first_line(error)


def turned_boxes(boxes_xyxy: Boxes, image: ImageFile) -> Boxes:
    """Boxes on the stored pixels as boxes on the shown picture, shape (N, 4)."""
    width, height = image.stored_wh
    x, y = boxes_xyxy[:, 0::2], boxes_xyxy[:, 1::2]
    mirrored_x, mirrored_y = width - x, height - y
    new_x, new_y = {
        1: (x, y),
        2: (mirrored_x, y),
        3: (mirrored_x, mirrored_y),
        4: (x, mirrored_y),
        5: (y, x),
        6: (mirrored_y, x),
        7: (mirrored_y, mirrored_x),
        8: (y, mirrored_x),
    }[image.orientation]
    return np.stack([new_x.min(axis=1), new_y.min(axis=1), new_x.max(axis=1), new_y.max(axis=1)], axis=1)
