"""PSG: indices from 0, xyxy boxes, splits by test ids; a file of another layout is one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.data.annotations import AnnotatedImage
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.data.readers.psg import open_psg
from r1sgg_cli.errors import DataError
from tests.data.annotated import images_of
from tests.data.readers.conftest import Cleaned

ReadAll = Callable[..., list[AnnotatedImage]]
BOX = [0, 0, 40, 50]


def entry(**changes: Any) -> dict[str, Any]:
    image = {
        "file_name": "train2017/a.jpg",
        "height": 50,
        "width": 100,
        "image_id": 1,
        "annotations": [{"bbox": BOX, "category_id": 0}, {"bbox": [40, 10, 90, 50], "category_id": 1}],
        "relations": [[0, 1, 0]],
    }
    return {**image, **changes}


def psg_file(folder: Path, *entries: dict[str, Any], **changes: Any) -> Path:
    content = {
        "data": entries,
        "thing_classes": ["person"],
        "stuff_classes": ["tree-merged"],
        "predicate_classes": ["in front of", "on"],
        "test_image_ids": [],
    }
    kept = {key: value for key, value in {**content, **changes}.items() if value is not None}
    (folder / "psg.json").write_text(json.dumps(kept))
    return folder / "psg.json"


def test_an_image_becomes_a_graph_of_its_segments(tmp_path: Path, read_all: ReadAll, cleaned: Cleaned) -> None:
    image = read_all(psg_file(tmp_path, entry()))[0]
    graph, met = cleaned(image)
    assert graph.ids == ("person.1", "tree-merged.2")
    assert graph.boxes_xyxy.tolist() == [BOX, [40, 10, 90, 50]]
    assert [tuple(triplet) for triplet in graph.triplets] == [(0, "in front of", 1)]
    assert image.image == ("train2017/a.jpg", "a.jpg")
    assert met == {}


def test_a_box_that_says_it_is_xywh_is_read_so(tmp_path: Path, read_all: ReadAll) -> None:
    annotations = [{"bbox": [10, 20, 30, 5], "bbox_mode": 1, "category_id": 0}]
    image = read_all(psg_file(tmp_path, entry(annotations=annotations)))[0]
    assert image.objects[0].box_xyxy == [10, 20, 40, 25]


@pytest.mark.parametrize("test_ids", [[2], ["2"]], ids=["numbers", "strings"])
def test_the_split_follows_the_test_ids(tmp_path: Path, test_ids: list[Any], read_all: ReadAll) -> None:
    images = read_all(psg_file(tmp_path, entry(), entry(image_id="2"), test_image_ids=test_ids))
    assert [image.split for image in images] == ["train", "test"]


def test_test_ids_of_images_that_a_subset_leaves_out_are_not_counted(tmp_path: Path) -> None:
    path = psg_file(tmp_path, entry(), entry(image_id=2), test_image_ids=["2", *range(1000, 1010)])
    assert open_psg(path, ReadOptions()).num_images == {"train": 1, "test": 1}


def test_without_test_ids_every_image_is_for_training(tmp_path: Path, read_all: ReadAll) -> None:
    images = read_all(psg_file(tmp_path, entry(), test_image_ids=None))
    assert [image.split for image in images] == ["train"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"relations": [[0, 1, 0], [0, 7, 0]]}, "dangling_relationship", id="no such object"),
        pytest.param({"relations": [[0, 1, 0], [-1, 1, 0]]}, "dangling_relationship", id="minus one is not the last"),
        pytest.param({"relations": [[0, 1, 0], [0, 1, 0]]}, "repeated_relationship", id="repeated"),
        pytest.param({"relations": [[0, 1, 0], [1, 1, 1]]}, "self_relationship", id="with itself"),
    ],
)
def test_dirt_is_counted(
    tmp_path: Path, changes: dict[str, Any], expected: str, read_all: ReadAll, cleaned: Cleaned
) -> None:
    graph, met = cleaned(read_all(psg_file(tmp_path, entry(**changes)))[0])
    assert met == {expected: 1}
    assert len(graph.triplets) == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"relations": [[0, 1, -1]]}, "#-1", id="a negative predicate"),
        pytest.param({"relations": [[0, 1, 2]]}, "#2", id="predicates counted from 1"),
    ],
)
def test_an_index_that_names_nothing_is_a_name_that_no_vocabulary_knows(
    tmp_path: Path, changes: dict[str, Any], expected: str, read_all: ReadAll
) -> None:
    source = open_psg(psg_file(tmp_path, entry(**changes)), ReadOptions())
    assert [row.predicate for image in images_of(source) for row in image.relationships] == [expected]
    assert source.vocabulary is not None
    assert expected not in source.vocabulary.predicates


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"annotations": [{"category_id": 0}]}, "bbox", id="no box"),
        pytest.param({"annotations": [{"bbox": BOX, "category_id": "0"}]}, "no index", id="a category by name"),
        pytest.param({"relations": [[0, 1]]}, "not enough values", id="half a relation"),
        pytest.param({"width": None}, "another type", id="no width"),
    ],
)
def test_a_malformed_entry_is_named_by_its_number(
    tmp_path: Path, changes: dict[str, Any], expected: str, read_all: ReadAll
) -> None:
    with pytest.raises(DataError, match=f"entry 1 of `data`.*{expected}"):
        read_all(psg_file(tmp_path, entry(), entry(**changes)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"thing_classes": []}, "no list `thing_classes`", id="no classes"),
        pytest.param({"thing_classes": [{"id": 1}]}, "`thing_classes` must list names", id="COCO categories"),
        pytest.param({"predicate_classes": ["on", None]}, "`predicate_classes` must list names", id="a null"),
    ],
)
def test_lists_of_another_layout_are_named(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        open_psg(psg_file(tmp_path, entry(), **changes), ReadOptions())


def test_a_folder_with_one_such_file_is_that_file(tmp_path: Path) -> None:
    psg_file(tmp_path, entry())
    (tmp_path / "instances.json").write_text('{"images": [], "annotations": [], "categories": []}')
    assert open_psg(tmp_path, ReadOptions()).files == (tmp_path / "psg.json",)
    (tmp_path / "psg.json").rename(tmp_path / "a.json")
    psg_file(tmp_path, entry())
    with pytest.raises(DataError, match=r"it has `a\.json`, `psg\.json`: name the file itself"):
        open_psg(tmp_path, ReadOptions())


def test_a_broken_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "psg.json").write_text('{"data": [')
    with pytest.raises(DataError, match="is not JSON") as caught:
        open_psg(tmp_path / "psg.json", ReadOptions())
    assert "\n" not in str(caught.value)


def test_real_segments_are_read(shared_dir: Path, read_all: ReadAll, cleaned: Cleaned) -> None:
    images = read_all(shared_dir / "data" / "coco_panoptic_sample" / "psg_style.json")
    assert [(image.image_id, image.split, len(image.relationships)) for image in images] == [
        ("142238", "train", 13),
        ("439180", "test", 17),
    ]
    assert all(cleaned(image)[1] == {} for image in images)
