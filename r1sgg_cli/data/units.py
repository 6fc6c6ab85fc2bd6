"""Boxes of an annotation's own unit as pixels of the picture that is shown.

A stated size that is not the file's: where both have the same shape, the image was resized and the boxes follow; where
not, the stated size is wrong and the boxes, drawn on real pixels, stay (some entries of Visual Genome).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from r1sgg_cli.data.annotations import AnnotatedImage, BoxUnit
from r1sgg_cli.data.faults import Tally
from r1sgg_cli.data.images import ImageFile, turned_boxes
from r1sgg_cli.scene_graph.boxes import Boxes, is_box

SAME_SHAPE = 0.01
"""Two aspect ratios this close, relatively, are one: a resize rounds to whole pixels."""


def boxes_in_pixels(image: AnnotatedImage, file: ImageFile, tally: Tally) -> list[list[float] | None]:
    """Every box in pixels of the shown picture; None where it is not four finite numbers in order."""
    sound = [_is_ordered(box) for _, _, box in image.objects]
    given = np.array([box for (_, _, box), ok in zip(image.objects, sound, strict=True) if ok], dtype=np.float64)
    pixels = iter(_to_pixels(given.reshape(-1, 4), image, file, tally).tolist())
    return [next(pixels) if ok else None for ok in sound]


def _is_ordered(box: Any) -> bool:
    return isinstance(box, Sequence) and is_box(box) and bool(box[0] <= box[2] and box[1] <= box[3])


def _to_pixels(boxes_xyxy: Boxes, image: AnnotatedImage, file: ImageFile, tally: Tally) -> Boxes:
    stated = image.image_wh
    unturned = file.stored_wh != file.shown_wh and stated == file.stored_wh
    drawn_wh = file.stored_wh if unturned else file.shown_wh
    if stated is not None and stated != drawn_wh:
        tally.add("wrong_size", image.image_id)
    boxes_xyxy = boxes_xyxy * np.array(_scale(image.unit, stated, drawn_wh) * 2)
    if not unturned:
        return boxes_xyxy
    tally.add("turned_image", image.image_id)
    return turned_boxes(boxes_xyxy, file)


def _scale(unit: BoxUnit, stated_wh: tuple[int, int] | None, drawn_wh: tuple[int, int]) -> tuple[float, float]:
    """What x and y are multiplied by."""
    width, height = drawn_wh
    if unit == "fractions":
        return float(width), float(height)
    if unit == "long_side_1024":
        longer = max(width, height) / 1024
        return longer, longer
    if stated_wh is None or min(stated_wh) < 1:
        return 1.0, 1.0
    same_shape = abs(stated_wh[0] * height / (stated_wh[1] * width) - 1) <= SAME_SHAPE
    return (width / stated_wh[0], height / stated_wh[1]) if same_shape else (1.0, 1.0)
