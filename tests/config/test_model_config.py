"""A checkpoint's config.json is read, may be on the hub, or its lack is one line that says what is there instead."""

from pathlib import Path

import pytest

from r1sgg_cli.config.model_config import read_local_config
from r1sgg_cli.errors import ModelError


def refusal(model: str | Path) -> str:
    """The one line that is said of what holds no checkpoint."""
    with pytest.raises(ModelError) as caught:
        read_local_config(str(model))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_a_folder_says_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_vl"}', encoding="utf-8")
    assert read_local_config(str(tmp_path)) == {"model_type": "qwen2_vl"}


def test_a_name_may_be_on_the_hub() -> None:
    assert read_local_config("somebody/else") is None


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (None, "is no checkpoint: it holds no `config.json`; give the folder that does"),
        ("adapter_config.json", "holds adapters alone; give the finished run's folder"),
        ("run.yaml", "holds a training that is not finished"),
    ],
    ids=["nothing", "adapters alone", "an unfinished run"],
)
def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path, file: str | None, said: str) -> None:
    if file:
        (tmp_path / file).touch()
    assert said in refusal(tmp_path)


def test_a_file_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "model.bin").touch()
    assert "is a file, not a checkpoint; give the folder" in refusal(tmp_path / "model.bin")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is broken: it is not JSON"),
        (b"", "is broken: it is not JSON"),
        (b"\xff\xfe{\x00", "is broken: it is not text in UTF-8"),
        (b"[" * 100_000, "is broken: it holds lists in lists without an end"),
        (b"[]", "is no JSON object"),
        (b"3", "is no JSON object"),
    ],
    ids=["cut short", "empty", "binary", "too deep", "a list", "a number"],
)
def test_a_broken_config_is_said_to_be_no_whole_checkpoint(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "config.json").write_bytes(content)
    assert f"`{tmp_path}` is not a whole checkpoint: its `config.json` {said}" in refusal(tmp_path)


@pytest.mark.parametrize("model", ["runs/sft/checkpoint-100", "runs/sft/", "/x", "./x", "../x", "~x", "~/x"])
def test_a_path_where_nothing_is_is_said_to_be_no_folder(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal(model).startswith(f"no folder `{model}`; give a checkpoint's folder, or a name on the hub")
