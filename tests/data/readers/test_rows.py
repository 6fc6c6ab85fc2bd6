"""The published columns as a source: items that are no objects or relationships are counted, not raised."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict, Image

from r1sgg_cli.data.readers.rows import annotated_row, open_rows
from r1sgg_cli.errors import DataError
from tests.data.annotated import encoded, images_of

ROW = {
    "image_id": "7",
    "image": {"bytes": encoded(), "path": None},
    "objects": json.dumps([{"id": "Tree-merged.1", "bbox": [1, 2, 3, 4]}, {"id": "man.2", "bbox": [5, 5, 9, 9]}]),
    "relationships": json.dumps([{"subject": "man.2", "predicate": "on", "object": "Tree-merged.1"}]),
    "prompt_open": "Go.",
    "prompt_close": None,
}


def test_a_row_is_an_annotated_image_with_its_own_prompts() -> None:
    image = annotated_row(ROW, "val")
    assert [(row.key, row.name) for row in image.objects] == [("Tree-merged.1", "Tree-merged"), ("man.2", "man")]
    assert tuple(image.relationships[0]) == ("man.2", "on", "Tree-merged.1")
    assert (image.split, image.prompt_open, image.prompt_close) == ("val", "Go.", "")
    assert image.image == ROW["image"]["bytes"]  # type: ignore[index]
    assert image.faults == {}


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        pytest.param({"objects": None}, {"bad_object": 1}, id="null"),
        pytest.param({"objects": "["}, {"bad_object": 1}, id="broken JSON"),
        pytest.param({"objects": "[3, {}]"}, {"bad_object": 2}, id="no objects"),
        pytest.param({"relationships": '[{"subject": "man.2"}, null]'}, {"bad_relationship": 2}, id="no relationships"),
    ],
)
def test_items_of_another_schema_are_counted(changes: dict[str, Any], faults: dict[str, int]) -> None:
    assert annotated_row({**ROW, **changes}, "train").faults == faults


def test_a_null_image_is_a_missing_one() -> None:
    assert annotated_row({**ROW, "image": None}, "train").image == ()


def test_damaged_bytes_are_one_line(tmp_path: Path, synthetic_dataset: Path) -> None:
    shutil.copytree(synthetic_dataset, tmp_path / "set")
    file = next((tmp_path / "set" / "test").glob("data-*.arrow"))  # beside it may lie what `datasets` keeps
    content = bytearray(file.read_bytes())
    at = content.index(b"test-000005")
    content[at : at + 4] = b"\xff\xff\xff\xff"
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"split `test` cannot be read after row \d+.*copy it anew"):
        list(open_rows(str(tmp_path / "set")).read())


def test_a_saved_set_is_read_with_its_images_encoded(tmp_path: Path) -> None:
    columns = {key: [value] for key, value in ROW.items() if key != "image"}
    rows = Dataset.from_dict({**columns, "image": [ROW["image"]]}).cast_column("image", Image())
    DatasetDict({"train": rows}).save_to_disk(tmp_path / "set")
    source = open_rows(str(tmp_path / "set"))
    (image,) = images_of(source)
    assert isinstance(image.image, bytes)
    assert source.num_images == {"train": 1}
