"""The photos that a predictions file is about: found in its data set, and made small for a page."""

import io
from collections.abc import Callable

from PIL import Image

from r1sgg_cli.data.predictions import ImagePrediction, Predictions
from r1sgg_cli.data.rows import decoded, load_rows, undecoded
from r1sgg_cli.errors import DataError
from r1sgg_cli.typed_names import missing_local

MAX_BYTES = 45_000
"""What a photo takes at most, so that a page of many stays small."""
SIDES_AND_QUALITIES = ((480, 88), (480, 78), (480, 66), (480, 50), (360, 50), (240, 50))
"""Pixels of the longer side and JPEG quality; the first that stays below `MAX_BYTES` is taken."""
WAY_OUT = "go without with `--no-photos`, or name their data set with `--dataset`"

PhotoOf = Callable[[ImagePrediction], Image.Image]


def open_photos(predictions: Predictions, dataset: str | None = None, split: str | None = None) -> PhotoOf:
    """How an image's photo is read, from this data set and split, or else from those that the predictions name.

    Raises `DataError` where that is not there or lacks an image; so does the function, for an image that cannot be read
    or is not of the size that was answered.
    """
    name, split = dataset or predictions.provenance.get("dataset"), split or predictions.provenance.get("split")
    if not name:
        raise DataError(f"the predictions do not say where their photos are; {WAY_OUT}")
    if said := missing_local(str(name)):
        raise DataError(f"no photos: {said}; {WAY_OUT}")
    try:
        rows = undecoded(load_rows(str(name), split))
    except DataError as error:
        raise DataError(f"no photos (`--no-photos` goes without): {error}") from error
    position = {image_id: i for i, image_id in enumerate(rows.select_columns("image_id")["image_id"][:])}
    lacking = [image.image_id for image in predictions.images if image.image_id not in position]
    if lacking:
        where = f"`{name}`{f' ({split})' if split else ''}"
        raise DataError(f"{where} has no image `{lacking[0]}` ({len(lacking)} are missing); {WAY_OUT}")

    def photo_of(image: ImagePrediction) -> Image.Image:
        photo: Image.Image = decoded(rows[position[image.image_id]])["image"]
        if photo.size != image.image_wh:
            there, answered = (f"{width}×{height}" for width, height in (photo.size, image.image_wh))
            raise DataError(
                f"image `{image.image_id}` of `{name}` has {there} pixels, the one that was answered {answered};"
                f" {WAY_OUT}"
            )
        return photo

    return photo_of


def thumbnail(photo: Image.Image) -> bytes:
    """The photo as a small JPEG, as good as `MAX_BYTES` allow."""
    small = photo.convert("RGB")
    for side, quality in SIDES_AND_QUALITIES:
        small.thumbnail((side, side))
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= MAX_BYTES:
            break
    return buffer.getvalue()
