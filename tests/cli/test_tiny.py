"""`r1sgg tiny`: a checkpoint in a new folder, never over another."""

import subprocess
import sys
import time
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from datasets import DatasetDict
from transformers import AutoConfig

from r1sgg_cli.cli.app import app
from r1sgg_cli.cli.tiny import tiny as command
from r1sgg_cli.data.rows import load_rows
from r1sgg_cli.errors import DataError, OutputError
from r1sgg_cli.files import locked
from r1sgg_cli.models.families import ModelType
from tests.conftest import files_no_larger_than


def tiny(*argv: str | Path) -> None:
    app(["tiny", *map(str, argv)], standalone_mode=False)


def test_a_checkpoint_is_made_once(synthetic_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = (tmp_path / "tiny", "--dataset", synthetic_dataset, "--family", "qwen3_vl")
    tiny(*argv)
    assert AutoConfig.from_pretrained(tmp_path / "tiny").model_type == "qwen3_vl"
    written = (tmp_path / "tiny" / "model.safetensors").stat().st_mtime_ns
    tiny(*argv)
    assert capsys.readouterr().out.splitlines()[-1] == f"already there: {tmp_path / 'tiny'}"
    assert (tmp_path / "tiny" / "model.safetensors").stat().st_mtime_ns == written


def test_every_family_of_the_table_can_be_named() -> None:
    """The command names them itself, because its help may not import the table."""
    assert get_args(get_type_hints(command)["family"]) == get_args(ModelType)


def test_trained_weights_are_never_overwritten(synthetic_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"a week of GPUs")
    with pytest.raises(OutputError, match="holds something else"):
        tiny(tmp_path, "--dataset", synthetic_dataset)
    assert (tmp_path / "model.safetensors").read_bytes() == b"a week of GPUs"


def test_a_checkpoint_of_other_options_is_kept_and_the_difference_is_said(
    synthetic_dataset: Path, tmp_path: Path
) -> None:
    tiny(tmp_path / "tiny", "--dataset", synthetic_dataset)
    with pytest.raises(
        OutputError, match=r"other options \(family: qwen2_vl there, llava here; seed: 0 there, 1 here\)"
    ):
        tiny(tmp_path / "tiny", "--dataset", synthetic_dataset, "--family", "llava", "--seed", "1")


def test_a_misspelt_data_set_is_said_first_and_leaves_nothing_behind(synthetic_dataset: Path, tmp_path: Path) -> None:
    for out in ("there", "new"):
        (tmp_path / "there").mkdir(exist_ok=True)
        (tmp_path / "there" / "thesis.txt").touch()
        with pytest.raises(DataError, match=r"no folder `.*nope`"):
            tiny(tmp_path / out, "--dataset", tmp_path / "nope")
    with pytest.raises(DataError, match="has no split `train`"):
        tiny(tmp_path / "new", "--dataset", without_training_rows(synthetic_dataset, tmp_path / "data"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "there"]


def without_training_rows(dataset: Path, folder: Path) -> Path:
    DatasetDict({"test": load_rows(str(dataset), "test")}).save_to_disk(folder)
    return folder


def test_a_full_disk_leaves_nothing_in_the_way_of_the_same_command(synthetic_dataset: Path, tmp_path: Path) -> None:
    argv = (tmp_path / "tiny", "--dataset", synthetic_dataset)
    with files_no_larger_than(100_000), pytest.raises(OutputError, match=r"cannot write .*free some space"):
        tiny(*argv)
    assert not (tmp_path / "tiny").exists()
    tiny(*argv)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny"]


def test_what_a_killed_command_has_left_is_cleared_away(synthetic_dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "tiny"
    command = ["tiny", str(out), "--dataset", str(synthetic_dataset)]
    process = subprocess.Popen([sys.executable, "-m", "r1sgg_cli", *command], stderr=subprocess.DEVNULL)
    while not (half := list(tmp_path.glob(".tiny.partial/finished/*"))):
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert half
    assert not out.exists()
    (tmp_path / ".tiny.partial" / "finished" / "stray").touch()
    tiny(*command[1:])
    assert not (out / "stray").exists()
    assert AutoConfig.from_pretrained(out).model_type == "qwen2_vl"


def test_a_checkpoint_that_another_process_makes_is_left_to_it(synthetic_dataset: Path, tmp_path: Path) -> None:
    with locked(tmp_path / ".tiny.partial"), pytest.raises(OutputError, match="another r1sgg is writing"):
        tiny(tmp_path / "tiny", "--dataset", synthetic_dataset)


def test_an_empty_folder_is_filled_but_not_the_one_you_are_in(
    synthetic_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny").mkdir()
    tiny(tmp_path / "tiny", "--dataset", synthetic_dataset)
    assert (tmp_path / "tiny" / "tiny.json").is_file()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(OutputError, match="is the folder you are in"):
        tiny(".", "--dataset", synthetic_dataset)
