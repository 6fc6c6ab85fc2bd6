"""Layouts told by what is in a file, where its name tells nothing; the rest is said to be unknown."""

import json
from pathlib import Path

import pytest

from r1sgg_cli.data.readers.detect import detect_layout
from r1sgg_cli.errors import DataError
from tests.data.readers.layouts import WRITERS, random_samples


@pytest.mark.parametrize(
    ("layout", "file", "expected"),
    [
        ("psg", "psg.json", "psg"),
        ("gqa", "train_sceneGraphs.json", "gqa"),
        ("visual-genome", "relationships.json", "visual-genome"),
        ("sgg-benchmark", "train/_annotations.coco.json", "coco-rel"),
    ],
)
def test_a_renamed_file_is_known_by_its_content(layout: str, file: str, expected: str, tmp_path: Path) -> None:
    WRITERS[layout](tmp_path, random_samples(0))
    (tmp_path / "elsewhere").mkdir()
    renamed = tmp_path / "elsewhere" / "mine.json"
    (tmp_path / file).rename(renamed)
    assert detect_layout(renamed) == (expected, renamed)
    assert detect_layout(renamed.parent)[0] == expected


def test_plain_coco_annotations_beside_it_mislead_nobody(tmp_path: Path) -> None:
    path = WRITERS["psg"](tmp_path, random_samples(0))
    (tmp_path / "images_info.json").write_text('{"images": [], "annotations": [], "categories": []}')
    assert detect_layout(tmp_path) == ("psg", path)


@pytest.mark.parametrize("text", [json.dumps({"a": 1}), "[]", "[1, 2]"], ids=["an object", "an empty list", "numbers"])
def test_another_file_is_unknown_and_the_way_out_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match=r"in no layout that is known.*r1sgg prepare psg"):
        detect_layout(tmp_path / "x.json")
    with pytest.raises(DataError, match="in no layout that is known"):
        detect_layout(tmp_path)


def test_a_broken_file_is_said_to_be_broken(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        detect_layout(tmp_path / "x.json")


def test_a_renamed_table_is_known_by_its_head(tmp_path: Path) -> None:
    WRITERS["open-images"](tmp_path, random_samples(0))
    renamed = tmp_path / "mine.csv"
    (tmp_path / "oidv6-test-annotations-vrd.csv").rename(renamed)
    assert detect_layout(renamed) == ("open-images", renamed)
