"""`r1sgg prepare`: a data set in a new folder, kept when it is there already."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from r1sgg_cli.cli.prepare import prepare
from r1sgg_cli.data.rows import ground_truth_graph, load_rows
from r1sgg_cli.errors import DataError, OutputError


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(prepare)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def prepare_synthetic(out: Path, *options: str) -> Result:
    return run("synthetic", "--out", out, "--num-images", "4", "--num-test", "2", *options)


def test_synthetic_scenes_are_written_sparse_for_training_and_whole_for_testing(tmp_path: Path) -> None:
    result = prepare_synthetic(tmp_path / "data", "--drop-relationships", "1")
    assert result.stdout == f"4 train, 2 test images: {tmp_path / 'data'}\n"
    assert (tmp_path / "data" / "vocabulary.json").is_file()
    numbers = {
        split: {len(ground_truth_graph(row).triplets) for row in load_rows(str(tmp_path / "data"), split)}
        for split in ("train", "test")
    }
    assert numbers == {"train": {1}, "test": {3}}


def test_the_same_command_again_keeps_what_is_there(tmp_path: Path) -> None:
    prepare_synthetic(tmp_path / "data")
    written = (tmp_path / "data" / "prepare.json").stat().st_mtime_ns
    assert prepare_synthetic(tmp_path / "data").stdout == f"already there: {tmp_path / 'data'}\n"
    assert (tmp_path / "data" / "prepare.json").stat().st_mtime_ns == written


def test_other_options_never_overwrite(tmp_path: Path) -> None:
    prepare_synthetic(tmp_path / "data")
    with pytest.raises(OutputError, match="other options"):
        prepare_synthetic(tmp_path / "data", "--seed", "1")


def test_a_psg_file_needs_the_folder_of_its_photos(tmp_path: Path) -> None:
    (tmp_path / "psg.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="--images"):
        run(tmp_path / "psg.json", "--out", tmp_path / "data")


def test_a_source_that_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no source .*psg.json`: give `synthetic`"):
        run(tmp_path / "psg.json", "--images", tmp_path, "--out", tmp_path / "data")


def test_real_photos_become_a_data_set(tmp_path: Path, shared_dir: Path) -> None:
    folder = shared_dir / "data" / "coco_panoptic_sample"
    result = run(folder / "psg_style.json", "--images", folder, "--out", tmp_path / "data")
    assert result.stdout.startswith("1 train, 1 test images")
    assert load_rows(str(tmp_path / "data"), "test")[0]["image"].size == (640, 360)


def test_a_probability_above_one_is_a_usage_error(tmp_path: Path) -> None:
    assert prepare_synthetic(tmp_path / "data", "--drop-relationships", "2").exit_code == 2
