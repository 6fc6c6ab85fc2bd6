"""Rows of a file that may hold anything, such as a user's own, as the graphs that they should be.

What is wrong with one is said in words, for the line that names the file and the image.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from r1sgg_cli.scene_graph.graph import SceneGraph, SpaceWH, graph_from_rows

LARGEST = 1e9
"""Sides of images and coordinates in them are no larger: what is can only be damage, and its area might be infinite."""
NUMBERS: frozenset[type] = frozenset((int, float))
"""The types of JSON's numbers; `bool`, which Python counts among them, is none."""
_TEXT: frozenset[type] = frozenset((str,))
_RELATIONSHIP_KEYS = ("subject", "predicate", "object")


def checked_graph(objects: Sequence[Any], relationships: Sequence[Any], space_wh: SpaceWH) -> SceneGraph:
    """The graph of rows that came from a file. Raises `ValueError`, of a number beyond any float `OverflowError`."""
    for row in checked_list(objects, "`objects`"):
        _check_object(row)
    if len({row["id"] for row in objects}) != len(objects):
        raise ValueError("two objects have the same id")
    for row in checked_list(relationships, "`relationships`"):
        if not isinstance(row, dict) or not _TEXT.issuperset(map(type, map(row.get, _RELATIONSHIP_KEYS))):
            raise ValueError("a relationship is not a `subject`, a `predicate` and an `object`, each a text")
    graph = graph_from_rows(objects, relationships, space_wh)
    if not np.isfinite(graph.boxes_xyxy).all():
        raise ValueError("a box is not finite")
    return graph


def _check_object(row: Any) -> None:
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        raise ValueError("an object has no `id` that is a text")
    box = row.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not NUMBERS.issuperset(map(type, box)):
        raise ValueError(f"the box of `{row['id']}` is not four numbers")


def checked_truth(objects: Sequence[Any], relationships: Sequence[Any], space_wh: SpaceWH) -> SceneGraph:
    """The same of what is annotated, whose boxes end where they begin or later, and not beyond any image."""
    graph = checked_graph(objects, relationships, space_wh)
    if (graph.boxes_xyxy[:, :2] > graph.boxes_xyxy[:, 2:]).any():
        raise ValueError("a box ends before it begins")
    if (np.abs(graph.boxes_xyxy) > LARGEST).any():
        raise ValueError("a box lies beyond any image")
    return graph


def checked_image_wh(value: Any) -> tuple[int, int]:
    """Width and height of an image that came from a file. Raises `ValueError`."""
    try:
        width, height = (int(side) for side in value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("the width and height of an image are not two numbers") from error
    if not (1 <= width <= LARGEST and 1 <= height <= LARGEST):
        raise ValueError("an image has at least one pixel, and fewer than a thousand million a side")
    return width, height


def checked_list(value: Any, what: str) -> list[Any]:
    """The value, where it is a list. Raises `ValueError`; `what` names it there."""
    if not isinstance(value, list):
        raise ValueError(f"{what} must be a list")
    return value


def checked_mapping(value: Any, what: str) -> dict[str, Any]:
    """The same of a mapping."""
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be a mapping")
    return value
