"""Raw Visual Genome: three versions, ends that are not in the list of objects, names in any case."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.data.annotations import AnnotatedImage
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.data.readers.visual_genome import open_visual_genome
from r1sgg_cli.errors import DataError
from tests.data.readers.conftest import Cleaned

ReadAll = Callable[..., list[AnnotatedImage]]

MAN = {"object_id": 5, "names": [" Man "], "x": 1, "y": 2, "w": 30, "h": 40}
DOG = {"object_id": 6, "names": ["dog"], "x": 40, "y": 2, "w": 30, "h": 40}


def end(item: dict[str, Any]) -> dict[str, Any]:
    return {**{key: value for key, value in item.items() if key != "names"}, "name": item["names"][0]}


def write(folder: Path, objects: list[Any], relationships: list[Any], image_ids: tuple[int, ...] = (1,)) -> Path:
    entries = [{"image_id": i, "objects": objects} for i in image_ids]
    rows = [{"image_id": i, "relationships": relationships} for i in reversed(image_ids)]
    facts = [{"image_id": i, "width": 100, "height": 100, "url": f"http://x/VG_100K_2/{i}.jpg"} for i in image_ids]
    for name, value in (("objects", entries), ("relationships", rows), ("image_data", facts)):
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder


def relationship(subject: Any, target: Any, predicate: str = "ON") -> dict[str, Any]:
    return {"relationship_id": 9, "predicate": predicate, "synsets": [], "subject": subject, "object": target}


def test_names_are_written_in_lower_case_and_photos_looked_for_where_they_lie(
    tmp_path: Path, read_all: ReadAll, cleaned: Cleaned
) -> None:
    image = read_all(write(tmp_path, [MAN, DOG], [relationship(end(MAN), end(DOG))]))[0]
    graph, met = cleaned(image)
    assert graph.ids == ("man.1", "dog.2")
    assert graph.boxes_xyxy.tolist() == [[1, 2, 31, 42], [40, 2, 70, 42]]
    assert [tuple(triplet) for triplet in graph.triplets] == [(0, "on", 1)]
    assert image.image == ("1.jpg", "VG_100K/1.jpg", "VG_100K_2/1.jpg")
    assert met == {}


def test_an_end_that_is_not_listed_becomes_an_object(tmp_path: Path, read_all: ReadAll, cleaned: Cleaned) -> None:
    graph, met = cleaned(read_all(write(tmp_path, [MAN], [relationship(end(MAN), end(DOG))]))[0])
    assert graph.ids == ("man.1", "dog.2")
    assert met == {"added_end": 1}


def test_an_end_that_was_merged_into_another_object_is_that_object(
    tmp_path: Path, read_all: ReadAll, cleaned: Cleaned
) -> None:
    merged = {**DOG, "merged_object_ids": [77]}
    graph, met = cleaned(
        read_all(write(tmp_path, [MAN, merged], [relationship(end(MAN), {**end(DOG), "object_id": 77})]))[0]
    )
    assert [tuple(triplet) for triplet in graph.triplets] == [(0, "on", 1)]
    assert met == {"merged_end": 1}


def test_files_in_another_order_are_joined_by_image(tmp_path: Path, read_all: ReadAll) -> None:
    images = read_all(write(tmp_path, [MAN, DOG], [relationship(end(MAN), end(DOG))], image_ids=(1, 2, 3)))
    assert sorted(image.image_id for image in images) == ["1", "2", "3"]
    assert all(len(image.relationships) == 1 for image in images)


def test_a_name_alone_is_as_good_as_a_list_of_one(tmp_path: Path, read_all: ReadAll, cleaned: Cleaned) -> None:
    man = {**MAN, "names": "person"}
    image = read_all(write(tmp_path, [man, DOG, {**DOG, "object_id": 9, "names": [None], "x": 1}], []))[0]
    graph, met = cleaned(image)
    assert graph.ids == ("person.1", "dog.2")
    assert met == {"unnamed_object": 1}


def test_images_without_an_annotation_are_read_too(tmp_path: Path, read_all: ReadAll) -> None:
    write(tmp_path, [MAN, DOG], [relationship(end(MAN), end(DOG))])
    facts = json.loads((tmp_path / "image_data.json").read_text())
    (tmp_path / "image_data.json").write_text(json.dumps([{**facts[0], "image_id": 99}, *facts]))
    assert [(image.image_id, len(image.objects)) for image in read_all(tmp_path)] == [("1", 2), ("99", 0)]


def test_scene_graphs_name_their_ends_by_id(tmp_path: Path, read_all: ReadAll, cleaned: Cleaned) -> None:
    row = {"predicate": "chases", "subject_id": 6, "object_id": 5, "synsets": []}
    (tmp_path / "scene_graphs.json").write_text(
        json.dumps([{"image_id": 3, "objects": [MAN, DOG], "relationships": [row]}])
    )
    graph, met = cleaned(read_all(tmp_path)[0])
    assert [tuple(triplet) for triplet in graph.triplets] == [(1, "chases", 0)]
    assert met == {}


def test_a_folder_without_its_files_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "relationships.json").write_text("[]")
    with pytest.raises(DataError, match=r"lacks `objects\.json` and `relationships\.json`"):
        open_visual_genome(tmp_path, ReadOptions())


@pytest.mark.parametrize(
    ("version", "num_added", "num_self"), [("v1.0.0", 161, 4), ("v1.2.0", None, None)], ids=["1.0", "1.2"]
)
def test_real_annotations_are_read_whole(
    shared_dir: Path, version: str, num_added: int | None, num_self: int | None, read_all: ReadAll, cleaned: Cleaned
) -> None:
    folder = shared_dir / "data" / "vg_raw_sample" / version
    images = read_all(folder)
    met = Counter[str]()
    for image in images:
        met.update(cleaned(image)[1])
    assert [image.image_id for image in images] == ["1", "2", "3", "4", "5"]
    assert not met["dangling_relationship"]
    if num_added is not None:
        # 161 ends are missing from the list; of some, two relationships speak.
        ends = [end for image in images for row in image.relationships for end in (row.subject, row.object)]
        listed = {
            item["id"] for entry in json.loads((folder / "objects.json").read_text()) for item in entry["objects"]
        }
        assert sum(end not in listed for end in ends) == num_added
        assert met["added_end"] == len({end for end in ends if end not in listed})
        assert met["self_relationship"] == num_self
