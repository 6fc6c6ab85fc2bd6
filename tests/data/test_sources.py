"""What a user names becomes a source, or one line that says what to name."""

from dataclasses import replace
from pathlib import Path

import pytest
from datasets import DatasetDict

from r1sgg_cli.data.prepare import prepare_dataset
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.data.readers.synthetic import open_synthetic
from r1sgg_cli.data.rows import load_rows
from r1sgg_cli.data.sources import hold_out, open_source
from r1sgg_cli.errors import DataError
from tests.data.annotated import images_of
from tests.data.readers.layouts import random_samples, write_jsonl, write_psg, write_vg150


def test_a_layout_may_be_named(tmp_path: Path) -> None:
    write_psg(tmp_path, random_samples(0)).rename(tmp_path / "mine.txt")
    assert open_source("psg", tmp_path / "mine.txt", ReadOptions()).layout == "psg"


def test_vg150_with_files_is_the_h5_layout(tmp_path: Path) -> None:
    write_vg150(tmp_path, random_samples(0))
    assert open_source("vg150", tmp_path, ReadOptions()).layout == "vg150-h5"


def test_a_hub_name_may_be_a_folder_of_rows(synthetic_dataset: Path) -> None:
    source = open_source(f"hub:{synthetic_dataset}", None, ReadOptions())
    assert source.layout == "rows"
    assert source.num_images == {"train": 500, "test": 12}


def test_a_parquet_folder_is_detected(tmp_path: Path, synthetic_dataset: Path) -> None:
    rows = load_rows(str(synthetic_dataset), "test")
    (tmp_path / "set").mkdir()
    rows.to_parquet(tmp_path / "set" / "train.parquet")
    source = open_source(str(tmp_path / "set"), None, ReadOptions())
    assert len(list(source.read())) == 12


def test_a_set_that_holds_its_images_takes_no_folder_of_them(tmp_path: Path, synthetic_dataset: Path) -> None:
    with pytest.raises(DataError, match="holds its images itself; leave out `--images`"):
        open_source(str(synthetic_dataset), None, ReadOptions(images_dir=tmp_path))


def test_a_folder_that_is_called_as_a_published_set_is_that_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "psg").mkdir()
    write_psg(tmp_path / "psg", random_samples(0))
    monkeypatch.chdir(tmp_path)
    assert open_source("psg", None, ReadOptions()).files == (Path("psg/psg.json"),)


def test_the_published_sets_are_asked_of_the_hub() -> None:
    """Tests are offline: the right name is asked for, and the failure is one line."""
    with pytest.raises(DataError, match="JosephZ/vg150_train_sgg_prompt") as caught:
        open_source("vg150", None, ReadOptions())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        pytest.param("gqa", None, r"`gqa` needs its files: `r1sgg prepare gqa PATH", id="a layout alone"),
        pytest.param("gqq", "x", r"no layout `gqq`; did you mean `gqa`\?", id="a misspelt layout"),
        pytest.param("psg", "nowhere.json", r"no file or folder `nowhere.json`", id="a layout and no file"),
        pytest.param("somebody/set", None, r"no file or folder .*`hub:OWNER/NAME`", id="a hub name without its mark"),
    ],
)
def test_what_is_no_source_is_said(name: str, path: str | None, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        open_source(name, Path(path) if path else None, ReadOptions())


def test_a_misspelt_file_is_told_the_closest(tmp_path: Path) -> None:
    write_jsonl(tmp_path, random_samples(0))
    with pytest.raises(DataError, match=r"did you mean `.*own\.jsonl`"):
        open_source(str(tmp_path / "owm.jsonl"), None, ReadOptions())


def test_images_are_held_out_by_their_ids_and_the_seed(tmp_path: Path) -> None:
    samples = [replace(sample, split="train") for sample in random_samples(0, 40)]
    write_jsonl(tmp_path, samples)
    source = open_source(str(tmp_path / "own.jsonl"), None, ReadOptions())

    def test_ids(seed: int) -> set[str]:
        return {image.image_id for image in images_of(hold_out(source, 0.3, seed)) if image.split == "test"}

    assert len(test_ids(0)) == 12, "the very share"
    assert hold_out(source, 0.3, 0).num_images == {"train": 28, "test": 12}
    assert test_ids(0) == test_ids(0)
    assert test_ids(0) != test_ids(1)


@pytest.mark.parametrize(("share", "num_test"), [(0.0, 0), (0.05, 1), (1.0, 20)])
def test_a_share_is_rounded_to_whole_images(tmp_path: Path, share: float, num_test: int) -> None:
    write_jsonl(tmp_path, [replace(sample, split="train") for sample in random_samples(0, 20)])
    source = open_source(str(tmp_path / "own.jsonl"), None, ReadOptions())
    assert hold_out(source, share, 0).num_images == {"train": 20 - num_test, "test": num_test}


def test_a_share_that_is_not_one_image_is_refused(tmp_path: Path) -> None:
    write_jsonl(tmp_path, [replace(sample, split="train") for sample in random_samples(0, 20)])
    source = open_source(str(tmp_path / "own.jsonl"), None, ReadOptions())
    with pytest.raises(DataError, match=r"`--test-share 0.02` of 20 images is none; give 0.05 or more"):
        hold_out(source, 0.02, 0)


def test_a_source_with_splits_holds_nothing_out() -> None:
    with pytest.raises(DataError, match=r"its own splits \(train, test\)"):
        hold_out(open_synthetic(2, 2, 0, 0.0), 0.5, 0)


def test_rows_of_several_splits_keep_them(tmp_path: Path, synthetic_dataset: Path) -> None:
    rows = load_rows(str(synthetic_dataset), "test")
    DatasetDict({"validation": rows.select(range(4)), "test": rows.select(range(4, 8))}).save_to_disk(tmp_path / "set")
    prepare_dataset(open_source(str(tmp_path / "set"), None, ReadOptions()), tmp_path / "out")
    assert len(load_rows(str(tmp_path / "out"), "validation")) == 4


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("sythetic", "did you mean `synthetic`"),
        ("vg15", "did you mean `vg150`"),
        ("open-image", "did you mean `open-images`"),
        ("psg.json", "give annotation files"),
        ("VG/", "give annotation files"),
    ],
)
def test_a_word_that_is_nearly_a_source_is_told_which(
    name: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shapes.json").touch()  # shares no more than its ending with `psg.json`
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f"no file or folder `{name.rstrip('/')}`; {meant}"):
        open_source(name, None, ReadOptions())
