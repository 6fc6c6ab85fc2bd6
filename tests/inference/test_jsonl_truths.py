"""The images of a split from JSON lines."""

import json
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.errors import DataError
from r1sgg_cli.inference.ground_truth import save_ground_truth
from r1sgg_cli.inference.jsonl_truths import load_jsonl_truths

from .conftest import make_truth

ROW = {
    "image_id": "7",
    "width": 200,
    "height": 100,
    "objects": [{"id": "man.1", "bbox": [0, 0, 20, 10]}],
    "relationships": [],
}


def saved(folder: Path, *rows: Any) -> Path:
    path = folder / "dataset.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_a_line_is_an_image_with_its_graph(tmp_path: Path) -> None:
    (truth,) = load_jsonl_truths(saved(tmp_path, ROW, ""))
    assert (truth.image_id, truth.image_wh, truth.graph.ids) == ("7", (200, 100), ("man.1",))


def test_the_ground_truth_of_a_folder_of_answers_is_read_as_well(tmp_path: Path) -> None:
    save_ground_truth([make_truth("a")], tmp_path)
    (truth,) = load_jsonl_truths(tmp_path / "ground_truth.jsonl")
    assert truth.graph.triplets == make_truth("a").graph.triplets


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        pytest.param(["{"], "line 1 of .* is no annotated image", id="no JSON"),
        pytest.param([ROW, {**ROW, "width": None}], "line 2 of .* is no annotated image", id="no width"),
        pytest.param([{**ROW, "height": 0}], "at least one pixel", id="no pixel"),
        pytest.param([{**ROW, "objects": [{"id": "man.1", "bbox": [1]}]}], "line 1 of", id="a box of one number"),
        pytest.param([ROW, ROW], "line 2 of .* repeats image `7`", id="an id twice"),
        pytest.param([], "holds no image", id="nothing"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path: Path, rows: list[Any], match: str) -> None:
    with pytest.raises(DataError, match=match):
        load_jsonl_truths(saved(tmp_path, *rows))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*dataset\.jsonl"):
        load_jsonl_truths(tmp_path / "dataset.jsonl")
