"""Chunks: every fault is counted with an example, strict stops at the first, lost images are looked for again."""

import json
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.data.prepare import prepare_dataset
from r1sgg_cli.data.rows import load_rows
from r1sgg_cli.errors import DataError
from tests.data.annotated import annotated, encoded
from tests.data.sources import interrupted, numbered, source_of


def test_every_fault_is_on_record_with_an_example(tmp_path: Path) -> None:
    cut = encoded()[:-200]
    images = (
        annotated(image_id="good"),
        annotated(image_id="good"),
        annotated(image_id="cut", image=cut),
        annotated(image_id="gone", image=("gone.jpg",)),
        annotated(image_id="self", relationships=((0, "riding", 1), (1, "on", 1))),
    )
    done = prepare_dataset(source_of(*images), tmp_path / "data")
    assert done is not None
    expected = {
        "repeated_image": {"count": 1, "example": "good"},
        "broken_image": {"count": 1, "example": "cut"},
        "missing_image": {"count": 1, "example": "gone"},
        "self_relationship": {"count": 1, "example": "self"},
    }
    assert json.loads((tmp_path / "data" / "prepare.json").read_text())["met"] == expected
    assert load_rows(str(tmp_path / "data"))["image_id"][:] == ["good", "self"]


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        pytest.param({"relationships": ((0, "on", 0), (0, "riding", 1))}, "self_relationship", id="a relationship"),
        pytest.param({"image": ("gone.jpg",)}, "missing_image", id="an image"),
        pytest.param({"image_id": "0"}, "repeated_image", id="an id"),
    ],
)
def test_strict_stops_at_the_first_fault_and_names_it(tmp_path: Path, bad: Any, kind: str) -> None:
    images = [*numbered(2), annotated(**{"image_id": "x", **bad})]
    with pytest.raises(DataError, match=rf"image `{bad.get('image_id', 'x')}`: {kind}"):
        prepare_dataset(source_of(*images), tmp_path / "data", strict=True)
    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("small_chunks")
def test_strict_is_strict_on_what_a_stopped_run_has_finished(tmp_path: Path) -> None:
    images = [annotated(image_id="bad", relationships=((0, "riding", 1), (0, "on", 0))), *numbered(11)]
    with pytest.raises(KeyboardInterrupt):
        prepare_dataset(source_of(read=lambda: interrupted(images, 9)), tmp_path / "data")
    with pytest.raises(DataError, match="image `bad`: self_relationship"):
        prepare_dataset(source_of(*images), tmp_path / "data", strict=True)
    prepare_dataset(source_of(*images), tmp_path / "data")
    with pytest.raises(DataError, match="image `bad`: self_relationship"):
        prepare_dataset(source_of(*images), tmp_path / "data", strict=True)


@pytest.mark.usefixtures("small_chunks")
def test_images_that_were_missing_are_looked_for_again(tmp_path: Path) -> None:
    images = numbered(6, image=("later.jpg",))
    with pytest.raises(DataError, match=r"missing_image 6.*--images"):
        prepare_dataset(source_of(*images, images_dir=tmp_path), tmp_path / "data")
    (tmp_path / "later.jpg").write_bytes(encoded())
    prepare_dataset(source_of(*images, images_dir=tmp_path), tmp_path / "data")
    assert len(load_rows(str(tmp_path / "data"))) == 6
