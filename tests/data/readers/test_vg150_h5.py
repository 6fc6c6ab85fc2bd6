"""VG150's h5: rows that stay with their images, halves that stay halves, the published counts."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from r1sgg_cli.data.annotations import AnnotatedImage
from r1sgg_cli.data.readers import vg150_h5
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.data.readers.vg150_h5 import open_vg150
from r1sgg_cli.errors import DataError
from r1sgg_cli.scene_graph.vocabulary import load_vocabulary
from tests.data.annotated import images_of
from tests.data.readers.layouts import Sample, random_samples, write_json, write_vg150

PUBLISHED = vg150_h5.PUBLISHED_IMAGES[False]
ReadAll = Callable[..., list[AnnotatedImage]]


def change(folder: Path, **arrays: Any) -> Path:
    """Replace arrays of the h5 file; None takes one out."""
    with h5py.File(folder / "VG-SGG-with-attri.h5", "a") as file:
        for key, values in arrays.items():
            del file[key]
            if values is not None:
                file[key] = values
    return folder


def test_half_a_pixel_is_kept(tmp_path: Path, read_all: ReadAll) -> None:
    sample = Sample(1, (1024, 512), (("man", (10, 10, 21, 31)), ("hat", (5, 5, 9, 9))), ((0, "on", 1),))
    (image,) = read_all(write_vg150(tmp_path, [sample]))
    assert image.objects[0].box_xyxy == [9.5, 9.5, 20.5, 30.5], "centre 15, width 11: the corner lies at 9.5"


def test_entries_of_corrupted_images_have_no_row(tmp_path: Path, read_all: ReadAll) -> None:
    samples = random_samples(0)
    write_vg150(tmp_path, samples)
    facts = json.loads((tmp_path / "image_data.json").read_text())
    corrupted = [{**facts[0], "image_id": image_id} for image_id in (1592, "4616")]
    write_json([facts[0], corrupted[0], *facts[1:], corrupted[1]], tmp_path / "image_data.json")
    assert [image.image_id for image in read_all(tmp_path)] == [str(sample.image_id) for sample in samples]


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    write_vg150(tmp_path, random_samples(0))
    write_json(json.loads((tmp_path / "image_data.json").read_text())[1:], tmp_path / "image_data.json")
    with pytest.raises(DataError, match="they do not belong together"):
        open_vg150(tmp_path, ReadOptions())


@pytest.mark.parametrize(
    "arrays",
    [
        pytest.param(lambda a: {"boxes_1024": None}, id="only boxes_512"),
        pytest.param(lambda a: {"predicates": a["predicates"].reshape(-1)}, id="flat predicates"),
        pytest.param(lambda a: {"boxes_1024": a["boxes_1024"].astype(np.float32)}, id="float boxes"),
    ],
)
def test_real_variants_of_the_arrays_are_read(
    tmp_path: Path, arrays: Callable[[Any], dict[str, Any]], read_all: ReadAll
) -> None:
    expected = read_all(write_vg150(tmp_path, random_samples(0)))
    with h5py.File(tmp_path / "VG-SGG-with-attri.h5") as file:
        found = {key: file[key][:] for key in file}
    for image, whole in zip(read_all(change(tmp_path, **arrays(found))), expected, strict=True):
        assert image.relationships == whole.relationships
        boxes, others = (np.array([row.box_xyxy for row in one.objects]) for one in (image, whole))
        assert np.abs(boxes - others).max() <= 2


def test_a_pair_of_another_image_and_an_unknown_label_are_dirt(tmp_path: Path, read_all: ReadAll) -> None:
    write_vg150(tmp_path, random_samples(0))
    with h5py.File(tmp_path / "VG-SGG-with-attri.h5") as file:
        pairs, labels = file["relationships"][:], file["labels"][:]
    pairs[0, 1], labels[0] = 999, 0
    image = read_all(change(tmp_path, relationships=pairs, labels=labels))[0]
    assert image.relationships[0].object == 999
    assert image.objects[0].name == "#0"


def test_validation_is_the_first_training_images_that_have_a_relationship(tmp_path: Path, read_all: ReadAll) -> None:
    samples = [
        replace(sample, relationships=() if number == 0 else sample.relationships)
        for number, sample in enumerate(random_samples(0))
    ]
    write_vg150(tmp_path, samples)
    assert [image.split for image in read_all(tmp_path, num_val=2)] == [
        "train",
        "val",
        "val",
        *["train"] * 3,
        "test",
        "test",
    ]
    assert [image.split for image in read_all(tmp_path, num_val=2, keep_empty=True)][:3] == ["val", "val", "train"]
    assert {image.split for image in read_all(tmp_path)} == {"train", "test"}, "only the published file has 5,000"


def test_a_value_that_is_no_split_is_refused(tmp_path: Path) -> None:
    write_vg150(tmp_path, random_samples(0))
    with pytest.raises(DataError, match=r"`split` holds \[7\]"):
        open_vg150(change(tmp_path, split=np.array([7] + [0] * 7)), ReadOptions())


def test_two_files_of_each_kind_belong_together_by_name(tmp_path: Path) -> None:
    write_vg150(tmp_path, random_samples(0))
    other = {"idx_to_label": {"0": "__background__", "1": "cat"}, "idx_to_predicate": {"1": "on"}}
    write_json(other, tmp_path / "VG-SGG-dicts.json")
    (tmp_path / "VG-SGG.h5").write_bytes((tmp_path / "VG-SGG-with-attri.h5").read_bytes())
    names = [open_vg150(tmp_path / name, ReadOptions()).vocabulary for name in ("VG-SGG.h5", "VG-SGG-with-attri.h5")]
    assert names[0] is not None
    assert names[0].objects == ("cat",)
    assert names[1] != names[0]
    with pytest.raises(DataError, match=r"`VG-SGG-with-attri\.h5`, `VG-SGG\.h5`; name the h5"):
        open_vg150(tmp_path, ReadOptions())


def test_ranges_of_another_length_are_one_line(tmp_path: Path) -> None:
    write_vg150(tmp_path, random_samples(0))
    with pytest.raises(DataError, match="no h5 file in VG150's layout"):
        open_vg150(change(tmp_path, img_to_first_box=np.zeros(3)), ReadOptions())
    write_vg150(tmp_path, random_samples(0))
    with pytest.raises(DataError, match="differ in length"):
        open_vg150(change(tmp_path, split=np.zeros(3)), ReadOptions())


def test_a_missing_array_and_a_missing_file_are_one_line(tmp_path: Path) -> None:
    write_vg150(tmp_path, random_samples(0))
    with pytest.raises(DataError, match=r"is no h5 file in VG150's layout.*labels"):
        open_vg150(change(tmp_path, labels=None), ReadOptions())
    (tmp_path / "VG-SGG-dicts-with-attri.json").unlink()
    with pytest.raises(DataError, match="has no `VG-SGG-dicts"):
        open_vg150(tmp_path, ReadOptions())


def published_size(folder: Path) -> Path:
    """Arrays of the published file's size: so many images with a relationship in each split, and others without."""
    num_train = PUBLISHED["train"] + PUBLISHED["val"]
    num_test = PUBLISHED["test"]
    with_rel = np.zeros(vg150_h5.PUBLISHED_ROWS, dtype=bool)
    with_rel[:num_train] = with_rel[-num_test:] = True
    first = np.where(with_rel, 2 * (np.cumsum(with_rel) - 1), -1)
    total = int(with_rel.sum())
    split = np.zeros(vg150_h5.PUBLISHED_ROWS, dtype=np.int32)
    split[-num_test - 500 :] = 2
    with h5py.File(folder / "VG-SGG.h5", "w") as file:
        file["boxes_1024"] = np.tile(np.array([50, 50, 20, 20], dtype=np.int32), (2 * total, 1))
        file["labels"] = np.ones((2 * total, 1), dtype=np.int64)
        file["relationships"] = np.arange(2 * total, dtype=np.int32).reshape(-1, 2)
        file["predicates"] = np.ones((total, 1), dtype=np.int64)
        file["split"] = split
        for kind, start, end in (("box", first, first + 1), ("rel", first // 2, first // 2)):
            file[f"img_to_first_{kind}"] = np.where(with_rel, start, -1)
            file[f"img_to_last_{kind}"] = np.where(with_rel, end, -1)
    images = [{"image_id": 200_000 + i, "width": 10, "height": 10} for i in range(vg150_h5.PUBLISHED_ROWS)]
    images += [{"image_id": i, "width": 10, "height": 10} for i in (1592, 1722, 4616, 4617)]
    write_json(images, folder / "image_data.json")
    vocabulary = load_vocabulary("vg150")
    numbered = {
        key: {str(i): name for i, name in enumerate(names, start=1)}
        for key, names in (("idx_to_label", vocabulary.objects), ("idx_to_predicate", vocabulary.predicates))
    }
    write_json(numbered, folder / "VG-SGG-dicts.json")
    return folder


def test_the_published_file_has_the_published_counts(tmp_path: Path) -> None:
    source = open_vg150(published_size(tmp_path), ReadOptions())
    assert source.published[False] == {"train": 57_723, "val": 5_000, "test": 26_446}
    assert source.published[True]["train"] == 56_224
    split_counts = {"train": 0, "val": 0, "test": 0}
    for image in images_of(source):
        split_counts[image.split] += bool(image.relationships)
    assert split_counts == source.published[False]
    assert open_vg150(tmp_path, ReadOptions(keep_empty=True)).published == {}
    assert open_vg150(tmp_path, ReadOptions(num_val=100)).published == {}
