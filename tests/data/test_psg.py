"""The PSG reader: indices from 0, xyxy boxes, every repair counted."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from r1sgg_cli.data.psg import load_psg, psg_rows
from r1sgg_cli.data.rows import parse_ground_truth
from r1sgg_cli.errors import DataError
from r1sgg_cli.scene_graph.graph import Triplet


def entry(**changes: Any) -> dict[str, Any]:
    image = {
        "file_name": "a.jpg",
        "height": 50,
        "width": 100,
        "image_id": 1,
        "annotations": [{"bbox": [0, 0, 40, 50], "category_id": 0}, {"bbox": [40, 10, 90, 50], "category_id": 1}],
        "relations": [[0, 1, 0]],
    }
    return {**image, **changes}


def psg_file(folder: Path, *entries: dict[str, Any], **changes: Any) -> Path:
    """A PSG file and one photo beside it, 100×50 pixels."""
    content = {
        "data": entries,
        "thing_classes": ["person"],
        "stuff_classes": ["tree-merged"],
        "predicate_classes": ["in front of", "on"],
        "test_image_ids": [],
    }
    Image.new("RGB", (100, 50)).save(folder / "a.jpg")
    (folder / "psg.json").write_text(json.dumps({**content, **changes}))
    return folder / "psg.json"


def test_an_image_becomes_a_graph_of_its_segments(tmp_path: Path) -> None:
    psg = load_psg(psg_file(tmp_path, entry()), tmp_path)
    graph = psg.images[0].graph
    assert graph.ids == ("person.1", "tree-merged.2")
    assert graph.names == ("person", "tree merged")
    assert graph.boxes_xyxy.tolist() == [[0, 0, 40, 50], [40, 10, 90, 50]]
    assert graph.triplets == (Triplet(0, "in front of", 1),)
    assert psg.vocabulary.written_objects == ("person", "tree-merged")
    assert not +psg.repairs


@pytest.mark.parametrize("test_ids", [[2], ["2"]], ids=["numbers", "strings"])
def test_the_split_follows_the_test_ids(tmp_path: Path, test_ids: list[Any]) -> None:
    psg = load_psg(psg_file(tmp_path, entry(), entry(image_id="2"), test_image_ids=test_ids), tmp_path)
    assert [image.is_test for image in psg.images] == [False, True]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"relations": [[0, 1, 0], [0, 1, 0]]}, "repeated relation left out", id="repeated relation"),
        pytest.param({"relations": [[0, 1, 0], [1, 1, 1]]}, "relation of an object with itself left out", id="self"),
        pytest.param(
            {
                "annotations": [
                    {"bbox": [5, 5, 5, 9], "category_id": 0},
                    {"bbox": [0, 0, 40, 50], "category_id": 0},
                    {"bbox": [40, 10, 90, 50], "category_id": 1},
                ],
                "relations": [[1, 2, 0]],
            },
            "empty box left out",
            id="empty box",
        ),
        pytest.param(
            {
                "annotations": [
                    {"bbox": [-3, 0, 40, 50], "category_id": 0},
                    {"bbox": [40, 10, 90, 50], "category_id": 1},
                ]
            },
            "box clipped to its image",
            id="box beyond the image",
        ),
    ],
)
def test_each_repair_is_counted_and_the_rest_is_kept(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    psg = load_psg(psg_file(tmp_path, entry(**changes)), tmp_path)
    assert +psg.repairs == {fault: 1}
    assert psg.images[0].graph.boxes_xyxy.tolist() == [[0, 0, 40, 50], [40, 10, 90, 50]]
    assert psg.images[0].graph.triplets == (Triplet(0, "in front of", 1),)


def test_images_without_a_relation_or_a_file_are_left_out_and_counted(tmp_path: Path) -> None:
    file = psg_file(tmp_path, entry(), entry(relations=[], annotations=[]), entry(file_name="b.jpg"))
    psg = load_psg(file, tmp_path)
    assert len(psg.images) == 1
    assert +psg.repairs == {"image without a relation left out": 1, "image without a file left out": 1}


def test_an_image_id_used_before_is_left_out_and_counted(tmp_path: Path) -> None:
    psg = load_psg(psg_file(tmp_path, entry(), entry(image_id="1"), entry(image_id=2)), tmp_path)
    assert [image.image_id for image in psg.images] == ["1", "2"]
    assert +psg.repairs == {"image with an id used before left out": 1}


def test_boxes_follow_a_file_of_another_size(tmp_path: Path) -> None:
    psg = load_psg(psg_file(tmp_path, entry(height=100, width=200)), tmp_path)
    row = next(psg_rows(psg.images, psg.repairs))
    graph = parse_ground_truth(row["image_id"], row["objects"], row["relationships"], (100, 50))
    assert graph.boxes_xyxy[0].tolist() == [0, 0, 20, 25]
    assert +psg.repairs == {"boxes scaled to the file's size": 1}


def test_an_unreadable_image_is_left_out_and_counted(tmp_path: Path) -> None:
    psg = load_psg(psg_file(tmp_path, entry()), tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"no image")
    assert list(psg_rows(psg.images, psg.repairs)) == []
    assert +psg.repairs == {"unreadable image left out": 1}


def test_an_image_that_vanished_is_no_trouble_with_the_output(tmp_path: Path) -> None:
    psg = load_psg(psg_file(tmp_path, entry()), tmp_path)
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(DataError, match=r"cannot read the image .*a\.jpg"):
        list(psg_rows(psg.images, psg.repairs))


def test_the_wrong_image_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no usable image.*without a file left out: 1.*--images"):
        load_psg(psg_file(tmp_path, entry()), tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("{", "is not JSON", id="broken"),
        pytest.param("[]", "no list `data`", id="a list"),
        pytest.param('{"data": []}', "no list `thing_classes`", id="no classes"),
    ],
)
def test_another_kind_of_file_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "psg.json").write_text(text)
    with pytest.raises(DataError, match=expected):
        load_psg(tmp_path / "psg.json", tmp_path)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"test_image_ids": None}, "no list `test_image_ids`", id="test ids null"),
        pytest.param(
            {"thing_classes": [{"id": 1, "name": "person"}]}, "`thing_classes` must list names", id="COCO categories"
        ),
        pytest.param({"predicate_classes": ["on", None]}, "`predicate_classes` must list names", id="a null predicate"),
    ],
)
def test_lists_of_another_layout_are_named(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        load_psg(psg_file(tmp_path, entry(), **changes), tmp_path)


def test_without_test_ids_every_image_is_for_training(tmp_path: Path) -> None:
    file = psg_file(tmp_path, entry())
    content = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in content.items() if key != "test_image_ids"}))
    assert [image.is_test for image in load_psg(file, tmp_path).images] == [False]


BOX = [0, 0, 40, 50]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"relations": [[0, 7, 0]]}, "object 7 is none of 0 to 1", id="an object that does not exist"),
        pytest.param({"relations": [[-1, 1, 0]]}, "subject -1 is none of 0 to 1", id="negative subject"),
        pytest.param({"relations": [[0, -1, 0]]}, "object -1 is none of 0 to 1", id="negative object"),
        pytest.param({"relations": [[0, 1, -1]]}, "predicate -1 is none of 0 to 1", id="negative predicate"),
        pytest.param({"relations": [[0, 1, 2]]}, "predicate 2 is none of 0 to 1", id="predicates counted from 1"),
        pytest.param(
            {
                "annotations": [{"bbox": [5, 5, 5, 9], "category_id": 0}, {"bbox": BOX, "category_id": 0}],
                "relations": [[0, -2, 0]],
            },
            "object -2 is none of 0 to 1",
            id="negative beside an empty box",
        ),
        pytest.param({"relations": [[0, 0, 9]]}, "predicate 9 is none of 0 to 1", id="in a relation left out"),
        pytest.param(
            {"annotations": [{"bbox": BOX, "category_id": -1}]}, "category -1 is none of 0 to 1", id="negative category"
        ),
        pytest.param(
            {"annotations": [{"bbox": BOX, "category_id": 2}]}, "category 2 is none of 0 to 1", id="unknown category"
        ),
        pytest.param({"annotations": [{"category_id": 0}]}, "bbox", id="no box"),
        pytest.param({"relations": [[0, 1]]}, "not enough values", id="half a relation"),
        pytest.param({"width": None}, "NoneType", id="no width"),
    ],
)
def test_a_malformed_entry_is_named_by_its_number(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError, match=f"entry 1 of `data`.*{expected}"):
        load_psg(psg_file(tmp_path, entry(), entry(**changes)), tmp_path)


def test_real_photos_and_segments_are_read(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "coco_panoptic_sample"
    psg = load_psg(folder / "psg_style.json", folder)
    rows = list(psg_rows(psg.images, psg.repairs))
    assert [(image.is_test, len(image.graph.triplets)) for image in psg.images] == [(False, 13), (True, 17)]
    assert [row["image_id"] for row in rows] == ["142238", "439180"]
    assert len(psg.vocabulary.objects) == 133
    assert len(psg.vocabulary.predicates) == 56
