"""Annotated images as values, for the tests of what becomes of them."""

import io
from typing import Any

from PIL import Image

from r1sgg_cli.data.annotations import AnnotatedImage, AnnotatedObject, AnnotatedRelationship, AnnotationSource
from r1sgg_cli.data.cleaning import CleaningRules, clean_image
from r1sgg_cli.data.faults import FAULTS, FILTERS, Tally
from r1sgg_cli.data.images import ImageFile, check_image
from r1sgg_cli.scene_graph.graph import SceneGraph


def images_of(source: AnnotationSource) -> list[AnnotatedImage]:
    """All images of a source, without what it says of annotations that belong to none."""
    return [image for image in source.read() if isinstance(image, AnnotatedImage)]


MAN, HORSE, HAT = ("man", [10, 10, 40, 90]), ("horse", [30, 40, 90, 95]), ("hat", [15, 5, 30, 20])


def encoded(image_wh: tuple[int, int] = (100, 100), orientation: int = 1, kind: str = "JPEG") -> bytes:
    """A picture's file; its left upper quarter is white."""
    image = Image.new("RGB", image_wh)
    image.paste((255, 255, 255), (0, 0, image_wh[0] // 2, image_wh[1] // 2))
    exif = Image.Exif()
    if orientation != 1:
        exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=exif)
    return buffer.getvalue()


def image_file(image_wh: tuple[int, int] = (100, 100), orientation: int = 1) -> ImageFile:
    return check_image(encoded(image_wh, orientation))


def annotated(objects: Any = (MAN, HORSE), relationships: Any = ((0, "riding", 1),), **changes: Any) -> AnnotatedImage:
    """An image of 100×100 pixels; objects are `(name, box)` and called by their place."""
    values: dict[str, Any] = {
        "image_id": "7",
        "split": "train",
        "image": encoded(),
        "image_wh": (100, 100),
        "objects": tuple(AnnotatedObject(key, name, box) for key, (name, box) in enumerate(objects)),
        "relationships": tuple(AnnotatedRelationship(*row) for row in relationships),
    }
    return AnnotatedImage(**{**values, **changes})


NO_RULES = CleaningRules()


def cleaned(
    rules: CleaningRules = NO_RULES, file: Any = None, **changes: Any
) -> tuple[SceneGraph | None, dict[str, int]]:
    """The graph of `annotated(**changes)` and what was counted, each kind with that image as its example."""
    tally = Tally()
    graph = clean_image(annotated(**changes), file or image_file(), rules, tally)
    assert set(tally.counts) <= set(FAULTS) | set(FILTERS)
    assert all(example == "7" for example in tally.examples.values())
    return graph, dict(tally.counts)
