"""The images of a split from the data set itself."""

from pathlib import Path

import pytest

from r1sgg_cli.data.rows import ground_truth_graph, load_rows
from r1sgg_cli.errors import DataError
from r1sgg_cli.inference.dataset_truths import load_dataset_truths


def test_every_image_with_its_size_and_its_graph(synthetic_dataset: Path) -> None:
    truths = load_dataset_truths(str(synthetic_dataset), "test")
    rows = list(load_rows(str(synthetic_dataset), "test"))
    assert [truth.image_id for truth in truths] == [row["image_id"] for row in rows]
    for truth, row in zip(truths, rows, strict=True):
        graph = ground_truth_graph(row)
        assert truth.image_wh == row["image"].size
        assert (truth.graph.ids, truth.graph.triplets) == (graph.ids, graph.triplets)
        assert truth.graph.boxes_xyxy.tolist() == graph.boxes_xyxy.tolist()


def test_a_split_that_is_not_there_is_named(synthetic_dataset: Path) -> None:
    with pytest.raises(DataError, match="has no split `dev`"):
        load_dataset_truths(str(synthetic_dataset), "dev")
