"""Own images: a line each, names from ids or by themselves."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.data.annotations import AnnotatedImage
from r1sgg_cli.errors import DataError

ReadAll = Callable[..., list[AnnotatedImage]]

LINE = {
    "image": "photos/1.jpg",
    "objects": [{"id": "Tree-merged.1", "bbox": [1, 2, 3, 4]}, {"id": "x7", "name": "bike", "bbox": [1, 2, 3, 4]}],
    "relationships": [{"subject": "Tree-merged.1", "predicate": "behind", "object": "x7"}],
}


def write(folder: Path, *lines: Any, name: str = "own.jsonl") -> Path:
    (folder / name).write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return folder / name


def test_a_line_is_an_image(tmp_path: Path, read_all: ReadAll) -> None:
    image = read_all(write(tmp_path, LINE, ""))[0]
    assert image.image_id == "photos/1.jpg"
    assert [row.name for row in image.objects] == ["Tree-merged", "bike"]
    assert tuple(image.relationships[0]) == ("Tree-merged.1", "behind", "x7")
    assert image.image_wh is None


def test_the_split_is_the_lines_or_the_files(tmp_path: Path, read_all: ReadAll) -> None:
    write(tmp_path, LINE, name="val.jsonl")
    write(tmp_path, {**LINE, "image_id": 2, "split": "test"}, name="train.jsonl")
    assert [(image.image_id, image.split) for image in read_all(tmp_path)] == [("2", "test"), ("photos/1.jpg", "val")]


def test_a_mark_at_the_files_start_and_nulls_are_no_trouble(tmp_path: Path, read_all: ReadAll) -> None:
    path = write(tmp_path, {**LINE, "image_id": None, "split": None})
    path.write_text("\ufeff" + path.read_text(), encoding="utf-8")
    assert [(image.image_id, image.split) for image in read_all(path)] == [("photos/1.jpg", "train")]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("{", id="no JSON"),
        pytest.param({"objects": []}, id="no image"),
        pytest.param({**LINE, "objects": [{"id": 3, "bbox": []}]}, id="an id that is no text"),
        pytest.param({**LINE, "relationships": [{"subject": "x7"}]}, id="half a relationship"),
        pytest.param([], id="a list"),
        pytest.param('{"image": "a.jpg", "image_id": "\\ud800", "objects": []}', id="half a surrogate pair"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: Any, read_all: ReadAll) -> None:
    with pytest.raises(DataError, match="line 2 is not in the layout"):
        read_all(write(tmp_path, LINE, line))
