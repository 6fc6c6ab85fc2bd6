"""Rows: published sets load unchanged, faults are named with the image or column."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict
from PIL import Image as PILImage

from r1sgg_cli.data.rows import (
    FEATURES,
    check_graphs,
    ground_truth_graph,
    iterate_graph_rows,
    load_rows,
    load_splits,
    parse_ground_truth,
)
from r1sgg_cli.errors import DataError
from r1sgg_cli.scene_graph.graph import Triplet

OBJECTS = [{"id": "Traffic-light.1", "bbox": [0, 0, 10, 10.5]}, {"id": "man.2", "bbox": [5, 5, 20, 30]}]
RELATIONSHIPS = [{"subject": "man.2", "predicate": "looking_at", "object": "Traffic-light.1"}]


PUBLISHED_COLUMNS = {
    "image_id": ["7", "8"],
    "image": [PILImage.new("RGB", (40, 30)), PILImage.new("RGB", (50, 60))],
    "objects": [json.dumps(OBJECTS)] * 2,
    "relationships": [json.dumps(RELATIONSHIPS)] * 2,
}


def saved(folder: Path, **changes: Any) -> str:
    """A data set of two rows with the published columns, some of them changed or (None) left out."""
    columns = {**PUBLISHED_COLUMNS, **changes}
    rows = Dataset.from_dict({name: values for name, values in columns.items() if values is not None})
    DatasetDict({"train": rows}).save_to_disk(folder)
    return str(folder)


def test_published_columns_load_with_a_graph_in_pixels(tmp_path: Path) -> None:
    rows = load_rows(saved(tmp_path / "data"))
    graph = ground_truth_graph(rows[0])
    assert rows.column_names == list(FEATURES)
    assert rows[0]["prompt_open"] == rows[0]["prompt_close"] == ""
    assert graph.space_wh == (40.0, 30.0)
    assert graph.names == ("traffic light", "man")
    assert graph.triplets == (Triplet(1, "looking at", 0),)


def test_lists_are_as_good_as_json_strings(tmp_path: Path) -> None:
    rows = load_rows(saved(tmp_path / "data", objects=[OBJECTS] * 2, relationships=[RELATIONSHIPS, []]))
    assert json.loads(rows[0]["objects"]) == OBJECTS
    assert ground_truth_graph(rows[1]).triplets == ()


def test_extra_columns_are_left_out_and_own_prompts_kept(tmp_path: Path) -> None:
    rows = load_rows(saved(tmp_path / "data", think=["a", "b"], prompt_open=["Go.", ""]))
    assert "think" not in rows.column_names
    assert rows[0]["prompt_open"] == "Go."


def test_integer_image_ids_become_strings(tmp_path: Path) -> None:
    assert load_rows(saved(tmp_path / "data", image_id=[7, 8]))[0]["image_id"] == "7"


def test_a_single_split_of_save_to_disk_and_a_folder_of_parquet_load_too(tmp_path: Path) -> None:
    rows = load_rows(saved(tmp_path / "dict"))
    rows.save_to_disk(tmp_path / "single")
    (tmp_path / "parquet").mkdir()
    rows.to_parquet(tmp_path / "parquet" / "train.parquet")
    assert load_rows(str(tmp_path / "single"))[1]["image_id"] == "8"
    assert load_rows(str(tmp_path / "parquet"))[1]["image"].size == (50, 60)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {"objects": None}, r"no column `objects` \(a JSON string.*it has `image_id`", id="objects missing"
        ),
        pytest.param({"image": None}, "no column `image`", id="image missing"),
        pytest.param({"image": ["a.jpg", "b.jpg"]}, "column `image` is .*string.*expected an image", id="image a path"),
        pytest.param({"objects": [1, 2]}, "column `objects` is .*int64.*expected a JSON string", id="objects a number"),
    ],
)
def test_a_wrong_column_is_named_with_what_is_expected(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        load_rows(saved(tmp_path / "data", **changes))


def test_a_missing_split_says_which_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no split `val`; it has `train`"):
        load_rows(saved(tmp_path / "data"), "val")


def test_one_of_several_splits_must_be_chosen(tmp_path: Path) -> None:
    rows = load_rows(saved(tmp_path / "one"))
    DatasetDict({"train": rows, "test": rows}).save_to_disk(tmp_path / "data")
    with pytest.raises(DataError, match=r"several splits: `train`, `test`.*--split"):
        load_rows(str(tmp_path / "data"))


def test_a_file_and_an_empty_folder_are_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "psg.json").touch()
    with pytest.raises(DataError, match=r"is a file.*r1sgg prepare"):
        load_rows(str(tmp_path / "psg.json"))
    with pytest.raises(DataError, match="holds no data set"):
        load_rows(str(tmp_path))


def test_a_half_copied_data_set_is_one_line(tmp_path: Path) -> None:
    saved(tmp_path / "data")
    next((tmp_path / "data" / "train").glob("*.arrow")).unlink()
    with pytest.raises(DataError, match="is no data set that can be read"):
        load_rows(str(tmp_path / "data"))


def test_a_split_without_rows_is_one_line(tmp_path: Path) -> None:
    DatasetDict({"train": Dataset.from_dict({name: [] for name in FEATURES}, FEATURES)}).save_to_disk(tmp_path)
    with pytest.raises(DataError, match="has a split without rows"):
        load_rows(str(tmp_path))


def test_a_damaged_page_of_parquet_is_one_line_that_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "parquet" / "train.parquet"
    path.parent.mkdir()
    load_rows(saved(tmp_path / "dict")).to_parquet(path)
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(200) + content[204:])
    with pytest.raises(DataError, match=r"is no data set that can be read: (?!An error occurred)") as caught:
        load_rows(str(path.parent))
    assert "\n" not in str(caught.value)


def test_a_name_that_is_nowhere_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^no folder `.*set`; give a data set's folder") as caught:
        load_rows(str(tmp_path / "no" / "such" / "set"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("objects", "relationships", "expected"),
    [
        pytest.param("[", "[]", "image 7: column `objects` is no JSON", id="broken JSON"),
        pytest.param("{}", "[]", "image 7: column `objects` is no list", id="not a list"),
        pytest.param([{"id": "a.1"}], "[]", "image 7: .* is no object", id="no box"),
        pytest.param([{"id": "a.1", "bbox": [0, 0, 1]}], "[]", "is no object", id="three numbers"),
        pytest.param('[{"id": "a.1", "bbox": [0, 0, NaN, 1]}]', "[]", "is no object", id="not finite"),
        pytest.param(
            [{"id": "a.1", "bbox": [20, 20, 10, 30]}],
            "[]",
            r"image 7: box \[20, 20, 10, 30\] of `a.1` ends before it begins; boxes are xyxy, not xywh",
            id="xywh across",
        ),
        pytest.param([{"id": "a.1", "bbox": [2, 20, 10, 3.5]}], "[]", "xyxy, not xywh", id="xywh down"),
        pytest.param(
            [{"id": "a.1", "bbox": [41, 0, 50, 10]}],
            "[]",
            r"image 7: box \[41, 0, 50, 10\] of `a.1` lies outside the image; boxes are in its 40×30 pixels",
            id="outside the image",
        ),
        pytest.param([OBJECTS[0], OBJECTS[0]], "[]", "image 7 has two objects `Traffic-light.1`", id="repeated id"),
        pytest.param(OBJECTS, [{"subject": "man.2"}], "is no relationship", id="half a relationship"),
        pytest.param([OBJECTS[0]], RELATIONSHIPS, "names `man.2`, which is no object", id="dangling end"),
    ],
)
def test_a_faulty_annotation_names_its_image(objects: Any, relationships: Any, expected: str) -> None:
    texts = [value if isinstance(value, str) else json.dumps(value) for value in (objects, relationships)]
    with pytest.raises(DataError, match=expected):
        parse_ground_truth("7", texts[0], texts[1], (40, 30))


def test_a_box_that_touches_or_passes_the_images_edge_is_kept() -> None:
    boxes = [[-5, 0, 0, 10], [40, 30, 90, 90], [3, 3, 3, 3]]
    objects = json.dumps([{"id": f"a.{i}", "bbox": box} for i, box in enumerate(boxes)])
    assert parse_ground_truth("7", objects, "[]", (40, 30)).boxes_xyxy.tolist() == boxes


@pytest.mark.parametrize(
    "values", [["[]", None], [[], None], [None, None]], ids=["among strings", "among lists", "all of them"]
)
@pytest.mark.parametrize("column", ["objects", "relationships"])
def test_a_null_cell_is_one_line_that_names_the_image(tmp_path: Path, column: str, values: list[Any]) -> None:
    empty = {"objects": ["[]"] * 2, "relationships": ["[]"] * 2}
    rows = load_rows(saved(tmp_path / "data", **{**empty, column: values}))
    expected = rf"image [78]: column `{column}` is null; write `\[\]` where there are none"
    with pytest.raises(DataError, match=expected):
        check_graphs(rows)
    with pytest.raises(DataError, match=expected):
        ground_truth_graph(rows[1])


def test_every_graph_of_a_set_can_be_checked_before_a_run(tmp_path: Path) -> None:
    good = {"image_id": ["1"] * 3, "objects": ["[]"] * 3, "relationships": ["[]"] * 3}
    check_graphs(Dataset.from_dict(good))
    bad = {**good, "image_id": ["1", "2", "3"], "relationships": ["[]", "[]", "[{}]"]}
    with pytest.raises(DataError, match=r"image 3: \{\} is no relationship"):
        check_graphs(Dataset.from_dict(bad))
    xywh = {**good, "objects": ["[]", "[]", '[{"id": "a.1", "bbox": [300, 200, 40, 30]}]']}
    with pytest.raises(DataError, match=r"image 1: .*not xywh"):
        check_graphs(Dataset.from_dict(xywh))


def test_every_split_is_loaded_by_its_name(tmp_path: Path) -> None:
    rows = Dataset.from_dict(PUBLISHED_COLUMNS)
    DatasetDict({"train": rows, "test": rows.select([0])}).save_to_disk(tmp_path / "data")
    splits = load_splits(str(tmp_path / "data"))
    assert {name: len(split) for name, split in splits.items()} == {"train": 2, "test": 1}
    assert all(split.column_names == list(FEATURES) for split in splits.values())


def test_graph_rows_are_read_without_their_images(tmp_path: Path) -> None:
    no_images = [{"bytes": b"no image", "path": None}] * 2
    rows = Dataset.from_dict({**PUBLISHED_COLUMNS, "image": no_images}).cast_column("image", FEATURES["image"])
    DatasetDict({"train": rows}).save_to_disk(tmp_path / "data")
    assert list(iterate_graph_rows(load_rows(str(tmp_path / "data")))) == [(OBJECTS, RELATIONSHIPS)] * 2
