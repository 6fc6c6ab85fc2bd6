"""GQA: edges hang on their subject, boxes may leave the image."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from r1sgg_cli.data.annotations import AnnotatedImage
from r1sgg_cli.data.readers.gqa import open_gqa
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.errors import DataError
from tests.data.readers.conftest import Cleaned


def test_real_graphs_are_read_whole(
    shared_dir: Path, read_all: Callable[..., list[AnnotatedImage]], cleaned: Cleaned
) -> None:
    folder = shared_dir / "data" / "gqa_sample"
    images = read_all(folder)
    met = Counter[str]()
    for image in images:
        met.update(cleaned(image)[1])
    assert len(images) == 14
    assert open_gqa(folder, ReadOptions()).num_images == {"train": 14}
    assert sum(len(image.objects) for image in images) == 239
    assert sum(len(image.relationships) for image in images) == 755
    assert met["clipped_box"] == 2
    assert not met["dangling_relationship"]


def test_the_split_is_the_files(tmp_path: Path, read_all: Callable[..., list[AnnotatedImage]]) -> None:
    (tmp_path / "val_sceneGraphs.json").write_text('{"7": {"width": 9, "height": 9, "objects": {}}}')
    assert [(image.image_id, image.split) for image in read_all(tmp_path)] == [("7", "val")]


def test_names_that_are_no_text_say_nothing(
    tmp_path: Path, read_all: Callable[..., list[AnnotatedImage]], cleaned: Cleaned
) -> None:
    box = {"x": 1, "y": 1, "w": 5, "h": 5}
    objects = {"1": {"name": None, **box}, "2": {"name": "cat", **box, "relations": [{"name": 3, "object": "2"}]}}
    graph = {"7": {"width": 9, "height": 9, "objects": objects}}
    (tmp_path / "train_sceneGraphs.json").write_text(json.dumps(graph))
    assert cleaned(read_all(tmp_path)[0])[1] == {"unnamed_object": 1, "self_relationship": 1}


def test_an_entry_of_another_layout_is_named(tmp_path: Path) -> None:
    (tmp_path / "train_sceneGraphs.json").write_text('{"7": {"width": 9, "objects": {}}}')
    with pytest.raises(DataError, match="image `7` is not in the layout: `height` is missing"):
        list(open_gqa(tmp_path, ReadOptions()).read())


def test_a_folder_without_graphs_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no `"):
        open_gqa(tmp_path, ReadOptions())
