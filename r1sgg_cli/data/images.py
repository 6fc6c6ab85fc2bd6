"""Image files as they are stored: found, proved to be whole, and which way up they are shown.

Whoever loads a data set sees the picture turned as its EXIF orientation says (`datasets` does so when it decodes), so
boxes that were drawn on the unturned pixels are turned with it. The file itself is kept byte for byte.
"""

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from r1sgg_cli.scene_graph.boxes import Boxes

SIDES_SWAPPED = frozenset({5, 6, 7, 8})
"""EXIF orientations that show a picture on its side."""

_BROKEN = (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError)
# What Pillow raises for files that are cut short or none of its formats.


class BrokenImageError(ValueError):
    """Bytes that hold no whole image."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A whole image file."""

    content: bytes
    stored_wh: tuple[int, int]
    """Of the pixels as they are stored."""
    orientation: int
    """EXIF: 1 is upright."""

    @property
    def shown_wh(self) -> tuple[int, int]:
        """Of the picture as it is shown, which is what a data set's reader gets."""
        width, height = self.stored_wh
        return (height, width) if self.orientation in SIDES_SWAPPED else (width, height)


def find_image(folder: Path, candidates: Sequence[str]) -> Path | None:
    """The first of these paths, from `folder`, that is a file; None if none is."""
    for candidate in candidates:
        path = folder / candidate
        if path.is_file():
            return path
    return None


def check_image(content: bytes) -> ImageFile:
    """The file with its size, every byte of its pixels read. Raises `BrokenImageError`."""
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content)) as image:
            warnings.simplefilter("ignore")  # odd EXIF, huge pictures: no fault of the pixels
            stored_wh = image.size
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
            # JPEG's own coarse decoding reads the whole stream at half the price; a cut is found all the same.
            image.draft(image.mode, (max(1, image.width // 8), max(1, image.height // 8)))
            image.load()
    except _BROKEN as error:
        raise BrokenImageError(str(error)) from error
    return ImageFile(content, stored_wh, orientation if orientation in range(1, 9) else 1)


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
