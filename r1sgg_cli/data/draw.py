"""Images drawn by a seed and their ids alone: the draw does not depend on the order or number of other images."""

import hashlib

from datasets import Dataset


def place_in_draw(image_id: str, seed: int) -> bytes:
    """An image's place in the order of the draw."""
    return hashlib.sha256(f"{seed}\0{image_id}".encode()).digest()


def drawn_rows(rows: Dataset, num_images: int, seed: int) -> Dataset:
    """The first `num_images` of the draw, in the order of `rows`; all of them where there are no more.

    A smaller draw is a part of a larger one.
    """
    if num_images >= len(rows):
        return rows
    places = [place_in_draw(image_id, seed) for image_id in rows["image_id"]]
    return rows.select(sorted(sorted(range(len(rows)), key=places.__getitem__)[:num_images]))
