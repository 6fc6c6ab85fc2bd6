"""The scene graph as a value: named boxes and the relationships between them.

A graph carries the space that its boxes live in: `space_wh` is the width and height of the whole image in the boxes'
own unit. `(640, 480)` says pixels of a 640×480 image, `(1000, 1000)` Qwen2-VL's relative coordinates, `(1, 1)`
fractions.
Every conversion between spaces is therefore one scaling, `SceneGraph.rescaled`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypedDict

import numpy as np

from r1sgg_cli.scene_graph.boxes import Boxes
from r1sgg_cli.scene_graph.labels import normalise_label, object_name

SpaceWH = tuple[float, float]


class ObjectRow(TypedDict):
    """An object as data sets and answers write it; `bbox` is xyxy."""

    id: str
    bbox: list[float]


class RelationshipRow(TypedDict):
    """A relationship as data sets and answers write it; both ends are object ids."""

    subject: str
    predicate: str
    object: str


class Triplet(NamedTuple):
    """A relationship; `subject` and `object` are indices into the graph's objects."""

    subject: int
    predicate: str
    object: int


@dataclass(frozen=True, slots=True, eq=False)
class SceneGraph:
    """Objects and relationships of one image; names and predicates are in normal form (`labels.normalise_label`)."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    boxes_xyxy: Boxes
    """Shape (N, 4), float64, in the space of `space_wh`."""
    triplets: tuple[Triplet, ...]
    space_wh: SpaceWH

    def rescaled(self, space_wh: SpaceWH) -> "SceneGraph":
        """The same graph with its boxes in another space."""
        if space_wh == self.space_wh:
            return self
        (old_w, old_h), (new_w, new_h) = self.space_wh, space_wh
        scale = np.array([new_w / old_w, new_h / old_h] * 2)
        return SceneGraph(self.ids, self.names, self.boxes_xyxy * scale, self.triplets, space_wh)

    def to_rows(self) -> tuple[list[ObjectRow], list[RelationshipRow]]:
        """Objects and relationships as JSON-ready rows, ids as they were written."""
        boxes: list[list[float]] = self.boxes_xyxy.tolist()
        objects: list[ObjectRow] = [{"id": i, "bbox": box} for i, box in zip(self.ids, boxes, strict=True)]
        relationships: list[RelationshipRow] = [
            {"subject": self.ids[t.subject], "predicate": t.predicate, "object": self.ids[t.object]}
            for t in self.triplets
        ]
        return objects, relationships


def graph_from_rows(
    objects: Sequence[Mapping[str, Any]], relationships: Sequence[Mapping[str, Any]], space_wh: SpaceWH
) -> SceneGraph:
    """A graph from trusted rows, such as those of a checked data set; ids are unique and every end exists.

    Raises `KeyError` or `ValueError` on rows that are not so: text of unknown origin goes through `parse.parse_answer`.
    """
    ids = tuple([row["id"] for row in objects])
    index = {object_id: i for i, object_id in enumerate(ids)}
    boxes = np.array([row["bbox"] for row in objects], dtype=np.float64).reshape(-1, 4)
    for row in relationships:
        if (end := row["subject"]) not in index or (end := row["object"]) not in index:
            raise ValueError(f"a relationship names `{end}`, which is no object of the image")
    triplets = tuple(
        Triplet(index[row["subject"]], normalise_label(row["predicate"]), index[row["object"]]) for row in relationships
    )
    return SceneGraph(ids, tuple(map(object_name, ids)), boxes, triplets, space_wh)
