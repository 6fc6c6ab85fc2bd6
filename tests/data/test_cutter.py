"""Which images are taken, and that no split and no stray is lost on the way."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from r1sgg_cli.data.annotations import AnnotatedImage, StrayAnnotations
from r1sgg_cli.data.cutter import Selection
from r1sgg_cli.data.prepare import prepare_dataset
from r1sgg_cli.data.rows import load_splits
from r1sgg_cli.errors import DataError
from tests.data.annotated import annotated
from tests.data.sources import numbered, source_of


def test_the_limit_and_the_splits_select(tmp_path: Path) -> None:
    images = [*numbered(5), *(annotated(image_id=f"t{i}", split="test") for i in range(3))]
    prepare_dataset(source_of(*images), tmp_path / "few", selection=Selection(limit=2))
    assert {name: len(rows) for name, rows in load_splits(str(tmp_path / "few")).items()} == {"train": 2, "test": 2}
    prepare_dataset(source_of(*images), tmp_path / "test", selection=Selection(splits=frozenset({"test"})))
    assert list(load_splits(str(tmp_path / "test"))) == ["test"]
    assert not (tmp_path / "test" / "train_statistics.json").exists()


@pytest.mark.parametrize("split", ["../../evil", "a/b", "my split", ""])
def test_a_split_that_is_no_name_is_refused_before_it_is_a_file(tmp_path: Path, split: str) -> None:
    with pytest.raises(DataError, match=f"image `7`: `{split}` is no name of a split"):
        prepare_dataset(source_of(annotated(split=split)), tmp_path / "in" / "data")
    assert [path.name for path in tmp_path.rglob("*") if path.suffix == ".arrow"] == []


def test_strays_and_faults_of_lost_images_are_counted(tmp_path: Path) -> None:
    lost = annotated(image_id="gone", image=("gone.jpg",), faults={"added_end": 2})
    source = source_of(read=lambda: [StrayAnnotations("train/x.json", 3), lost, *numbered(1)])
    done = prepare_dataset(source, tmp_path / "data")
    assert done is not None
    assert done.tally.counts == {"stray_annotation": 3, "added_end": 2, "missing_image": 1}
    assert done.tally.examples["stray_annotation"] == "train/x.json"


def test_a_trial_reads_no_more_of_a_source_than_it_needs(tmp_path: Path) -> None:
    read = []

    def images() -> Iterable[AnnotatedImage]:
        for image in numbered(50):
            read.append(image.image_id)
            yield image

    prepare_dataset(source_of(read=images, num_images={"train": 50}), tmp_path / "data", selection=Selection(limit=3))
    assert len(read) == 4


@pytest.mark.parametrize("num_images", [{"train": 1, "test": 1}, {}], ids=["fewer than there are", "unknown"])
def test_a_limit_does_not_rest_on_what_a_reader_counted_beforehand(tmp_path: Path, num_images: dict[str, int]) -> None:
    images = [annotated(image_id=f"{split}{i}", split=split) for split in ("train", "test") for i in range(4)]
    prepare_dataset(source_of(*images, num_images=num_images), tmp_path / "data", selection=Selection(limit=3))
    assert {name: len(rows) for name, rows in load_splits(str(tmp_path / "data")).items()} == {"train": 3, "test": 3}
