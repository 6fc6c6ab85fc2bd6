"""COCO with relationships: global ids from 0, places among an image's annotations, strays counted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.data.annotations import AnnotatedImage, StrayAnnotations
from r1sgg_cli.data.readers.coco_rel import open_coco_rel
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.errors import DataError
from tests.data.annotated import images_of
from tests.data.readers.conftest import Cleaned
from tests.data.readers.layouts import random_samples, write_json, write_reltr, write_sgg_benchmark

ReadAll = Callable[..., list[AnnotatedImage]]

CONTENT: dict[str, Any] = {
    "images": [{"id": 0, "file_name": "a.jpg", "width": 100, "height": 100}],
    "categories": [{"id": 0, "name": "man"}, {"id": 1, "name": "hat"}],
    "annotations": [
        {"id": 0, "image_id": "0", "category_id": 0, "bbox": [10, 10, 20, 30]},
        {"id": 1, "image_id": 0, "category_id": 1, "bbox": [5, 5, 10, 10]},
    ],
    "rel_categories": [{"id": 0, "name": "wears"}],
    "rel_annotations": [{"id": 0, "image_id": 0, "subject_id": 0, "object_id": 1, "predicate_id": 0}],
}


def write(folder: Path, **changes: Any) -> Path:
    write_json({**CONTENT, **changes}, folder / "train" / "_annotations.coco.json")
    return folder


def test_ids_may_start_at_0_and_be_numbers_or_text(tmp_path: Path, read_all: ReadAll, cleaned: Cleaned) -> None:
    (image,) = read_all(write(tmp_path))
    graph, met = cleaned(image)
    assert graph.ids == ("man.1", "hat.2")
    assert graph.boxes_xyxy.tolist() == [[10, 10, 30, 40], [5, 5, 15, 15]]
    assert [tuple(triplet) for triplet in graph.triplets] == [(0, "wears", 1)]
    assert "train/a.jpg" in image.image
    assert met == {}


def test_annotations_of_images_that_are_not_listed_are_counted(tmp_path: Path) -> None:
    stray = {"id": 7, "image_id": 9, "category_id": 0, "bbox": [1, 1, 2, 2]}
    source = open_coco_rel(write(tmp_path, annotations=[*CONTENT["annotations"], stray]), ReadOptions())
    assert StrayAnnotations("train/_annotations.coco.json", 1) in list(source.read())
    assert [len(image.objects) for image in images_of(source)] == [2]


def test_ids_as_text_and_as_numbers_are_the_same(tmp_path: Path, read_all: ReadAll, cleaned: Cleaned) -> None:
    texts = [{**row, "id": str(row["id"]), "category_id": str(row["category_id"])} for row in CONTENT["annotations"]]
    graph, met = cleaned(read_all(write(tmp_path, annotations=texts))[0])
    assert graph.ids == ("man.1", "hat.2")
    assert len(graph.triplets) == 1
    assert met == {}


def test_image_ids_that_start_anew_in_each_file_are_told_apart(tmp_path: Path) -> None:
    write(tmp_path)
    write_json(CONTENT, tmp_path / "valid" / "_annotations.coco.json")
    source = open_coco_rel(tmp_path, ReadOptions())
    assert [image.image_id for image in images_of(source)] == ["train-0", "val-0"]
    assert "start anew" in source.notes[0]


def test_names_of_any_file_are_in_the_vocabulary_and_two_spellings_are_one(tmp_path: Path) -> None:
    write(tmp_path)
    more = [*CONTENT["categories"], {"id": 2, "name": "Hat"}, {"id": 3, "name": "t-shirt"}]
    write_json({**CONTENT, "categories": more}, tmp_path / "test" / "_annotations.coco.json")
    vocabulary = open_coco_rel(tmp_path, ReadOptions()).vocabulary
    assert vocabulary is not None
    assert vocabulary.written_objects == ("man", "hat", "t-shirt")


def test_a_folder_of_another_name_is_a_split_of_its_own(tmp_path: Path) -> None:
    write_json(CONTENT, tmp_path / "holiday pictures" / "_annotations.coco.json")
    assert open_coco_rel(tmp_path, ReadOptions()).num_images == {"holiday_pictures": 1}


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        pytest.param({"subject_id": 0, "object_id": 9, "predicate_id": 0}, "dangling_relationship", id="no such end"),
        pytest.param({"subject_id": 1, "object_id": 1, "predicate_id": 0}, "self_relationship", id="with itself"),
    ],
)
def test_dirt_is_counted(tmp_path: Path, row: Any, kind: str, read_all: ReadAll, cleaned: Cleaned) -> None:
    rows = [*CONTENT["rel_annotations"], {"id": 1, "image_id": 0, **row}]
    assert cleaned(read_all(write(tmp_path, rel_annotations=rows))[0])[1] == {kind: 1}


def test_relationships_without_an_image_follow_their_subject(tmp_path: Path, read_all: ReadAll) -> None:
    rows = [{"id": 0, "subject_id": 0, "object_id": 1, "predicate_id": 0}]
    assert len(read_all(write(tmp_path, rel_annotations=rows))[0].relationships) == 1


def test_a_file_without_predicates_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no list `rel_categories`"):
        open_coco_rel(write(tmp_path, rel_categories=[]), ReadOptions())


def test_reltr_counts_places_in_the_images_own_list(tmp_path: Path, read_all: ReadAll, cleaned: Cleaned) -> None:
    samples = random_samples(1)
    write_reltr(tmp_path, samples)
    rel = json.loads((tmp_path / "rel.json").read_text())
    first = str(samples[0].image_id)
    rel["train"][first].append([0, 99, 1])
    rel["train"]["999999"] = [[0, 1, 1]]
    write_json(rel, tmp_path / "rel.json")
    images = {image.image_id: image for image in read_all(tmp_path)}
    assert cleaned(images[first])[1] == {"dangling_relationship": 1}
    strays = [row for row in open_coco_rel(tmp_path, ReadOptions()).read() if isinstance(row, StrayAnnotations)]
    assert [row.number for row in strays] == [1]


@pytest.mark.parametrize(
    "train", [[1], {"9": None}, {"9": 5}, None], ids=["a list", "a stray null", "a stray number", "null"]
)
def test_a_malformed_split_of_reltr_is_one_line(tmp_path: Path, train: Any, read_all: ReadAll) -> None:
    write_reltr(tmp_path, random_samples(1))
    rel = json.loads((tmp_path / "rel.json").read_text())
    write_json({**rel, "train": train}, tmp_path / "rel.json")
    with pytest.raises(DataError, match=r"split `train` in `rel\.json` is not in the layout: a value is of another"):
        read_all(tmp_path)


def test_one_annotation_file_is_one_split(tmp_path: Path) -> None:
    folder = write_sgg_benchmark(tmp_path, random_samples(0))
    source = open_coco_rel(folder / "test" / "_annotations.coco.json", ReadOptions())
    assert {image.split for image in images_of(source)} == {"test"}
    assert source.num_images == {"test": 2}
