"""Counting a split: every row, no image, names as they are compared."""

import json
from collections import Counter
from typing import Any

import pytest
from datasets import Dataset

from r1sgg_cli.data.rows import FEATURES
from r1sgg_cli.errors import DataError
from r1sgg_cli.report.counts import SplitCounts, count_split


def rows_of(*graphs: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> Dataset:
    """A split whose images cannot be decoded: whoever reads one fails."""
    columns = {name: [""] * len(graphs) for name in FEATURES}
    return Dataset.from_dict(
        {
            **columns,
            "image_id": [str(i) for i in range(len(graphs))],
            "image": [{"bytes": b"no image", "path": None}] * len(graphs),
            "objects": [json.dumps(objects) for objects, _ in graphs],
            "relationships": [json.dumps(relationships) for _, relationships in graphs],
        },
        features=FEATURES,
    )


CAT, DOG = {"id": "Big_cat.1", "bbox": [0, 0, 10, 10]}, {"id": "dog.2", "bbox": [0, 0, 64, 64]}
SEES = {"subject": "Big_cat.1", "predicate": "looking-at", "object": "dog.2"}


def test_labels_and_numbers_are_counted() -> None:
    counts = count_split(rows_of(([CAT, DOG], [SEES, SEES]), ([DOG], []), ([], [])))
    assert counts == SplitCounts(
        num_images=3,
        objects=Counter({"dog": 2, "big cat": 1}),
        predicates=Counter({"looking at": 2}),
        objects_per_image=Counter({0: 1, 1: 1, 2: 1}),
        relationships_per_image=Counter({2: 1, 0: 2}),
        box_sides=Counter({3: 1, 6: 2}),
    )


@pytest.mark.parametrize(
    ("box", "exponent"),
    [([0, 0, 0, 9], 0), ([0, 0, 1.9, 1.9], 0), ([0, 0, 2, 2], 1), ([5, 5, 9, 69], 4), ([0, 0, 1e9, 1e9], 16)],
    ids=["empty", "below two", "exactly two", "4 by 64", "absurd"],
)
def test_a_boxs_side_is_the_root_of_its_area(box: list[float], exponent: int) -> None:
    counts = count_split(rows_of(([{"id": "a.1", "bbox": box}], [])))
    assert counts.box_sides == {exponent: 1}


def test_a_bad_row_is_named() -> None:
    with pytest.raises(DataError, match=r"image 1: a relationship names `Big_cat\.1`"):
        count_split(rows_of(([], []), ([DOG], [SEES])))
