"""What a split contains, counted over its rows without reading an image."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from datasets import Dataset

from r1sgg_cli.data.rows import iterate_graph_rows
from r1sgg_cli.scene_graph.labels import normalise_label, object_name

MAX_SIDE_EXPONENT = 16


@dataclass(slots=True)
class SplitCounts:
    """Numbers of one split; its size in memory depends on the number of labels, never on that of images."""

    num_images: int = 0
    objects: Counter[str] = field(default_factory=Counter)
    """How often each class name is annotated; names are in normal form, as everywhere they are compared."""
    predicates: Counter[str] = field(default_factory=Counter)
    objects_per_image: Counter[int] = field(default_factory=Counter)
    """Number of objects → number of images that have so many."""
    relationships_per_image: Counter[int] = field(default_factory=Counter)
    box_sides: Counter[int] = field(default_factory=Counter)
    """k → number of boxes whose side, the square root of the area, has at least 2^k and less than 2^(k+1) pixels; 0
    includes whatever is smaller."""

    def add(self, objects: Sequence[Mapping[str, Any]], relationships: Sequence[Mapping[str, Any]]) -> None:
        """Count one row."""
        self.num_images += 1
        self.objects_per_image[len(objects)] += 1
        self.relationships_per_image[len(relationships)] += 1
        self.objects.update(object_name(row["id"]) for row in objects)
        self.predicates.update(normalise_label(row["predicate"]) for row in relationships)
        self.box_sides.update(_side_exponents([row["bbox"] for row in objects]))


def count_split(rows: Dataset) -> SplitCounts:
    """The numbers of a split, whose every row is checked on the way. Raises `DataError`."""
    counts = SplitCounts()
    for objects, relationships in iterate_graph_rows(rows):
        counts.add(objects, relationships)
    return counts


def _side_exponents(boxes_xyxy: Sequence[Sequence[float]]) -> list[int]:
    boxes = np.array(boxes_xyxy, dtype=np.float64).reshape(-1, 4)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    exponents = np.floor(np.log2(np.maximum(areas, 1.0)) / 2)
    return np.minimum(exponents, MAX_SIDE_EXPONENT).astype(int).tolist()
