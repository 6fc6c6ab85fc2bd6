"""A finished data set is known again by its description, and nothing else is ever overwritten."""

from pathlib import Path

import pytest

from r1sgg_cli.data.cleaning import CleaningRules
from r1sgg_cli.data.prepare import prepare_dataset
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.data.sources import open_source
from r1sgg_cli.errors import OutputError
from tests.data.readers.layouts import random_samples, write_images, write_sgg_benchmark
from tests.data.sources import numbered, source_of


def test_a_change_in_any_file_of_a_source_is_another_source(tmp_path: Path) -> None:
    """SGG-Benchmark's files share one name."""
    samples = random_samples(0)
    write_images(tmp_path / "images", samples)
    folder = write_sgg_benchmark(tmp_path / "files", samples)
    options = ReadOptions(tmp_path / "images")
    prepare_dataset(open_source(str(folder), None, options), tmp_path / "data")
    test_file = folder / "test" / "_annotations.coco.json"
    test_file.write_text(test_file.read_text().replace('"iscrowd": 0', '"iscrowd": 1'))
    with pytest.raises(OutputError, match="other options"):
        prepare_dataset(open_source(str(folder), None, options), tmp_path / "data")


def test_the_folder_that_one_is_in_is_no_place_for_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="the folder you are in"):
        prepare_dataset(source_of(*numbered(1)), Path())


def test_the_same_description_is_kept_and_another_never_overwrites(tmp_path: Path) -> None:
    assert prepare_dataset(source_of(*numbered(2)), tmp_path / "data") is not None
    assert prepare_dataset(source_of(*numbered(2)), tmp_path / "data") is None
    with pytest.raises(OutputError, match=r"other options \(rules\.keep_empty: False there, True here\)"):
        prepare_dataset(source_of(*numbered(2)), tmp_path / "data", CleaningRules(keep_empty=True))


@pytest.mark.parametrize("text", ["{", "\xff", "[]"], ids=["cut off", "no text", "a list"])
def test_a_broken_description_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "prepare.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(OutputError, match=r"prepare\.json.*choose another `--out`") as caught:
        prepare_dataset(source_of(*numbered(1)), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_of_something_else_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(OutputError, match="no data set of ours"):
        prepare_dataset(source_of(*numbered(1)), tmp_path)
