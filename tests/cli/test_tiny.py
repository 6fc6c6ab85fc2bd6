"""`r1sgg tiny`: a checkpoint in a new folder, never over another."""

from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from transformers import AutoConfig

from r1sgg_cli.cli.app import app
from r1sgg_cli.cli.tiny import tiny as command
from r1sgg_cli.errors import OutputError
from r1sgg_cli.models.families import ModelType


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
