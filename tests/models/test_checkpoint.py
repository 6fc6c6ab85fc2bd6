"""Checkpoints: loaded whole or refused in one line; a fingerprint that follows the weights."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from r1sgg_cli.errors import ModelError
from r1sgg_cli.models.checkpoint import check_weights, fingerprint, load_checkpoint, load_processor

Checkpoint = Callable[[str], Path]


@pytest.fixture
def copied(tiny_checkpoint: Checkpoint, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(tiny_checkpoint("qwen2_vl"), folder)
    return folder


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def test_processor_and_weights_come_in_the_wanted_precision_without_a_bar(
    copied: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    processor, model = load_checkpoint(str(copied), torch.bfloat16)
    assert processor.tokenizer.eos_token == "<|im_end|>"
    assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}
    assert "Loading" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "name", ["model.safetensors", "tokenizer.json", "tokenizer_config.json", "processor_config.json"]
)
@pytest.mark.parametrize("damage", [cut, lambda path: path.write_bytes(b"")], ids=["cut short", "emptied"])
def test_a_broken_file_is_one_line(copied: Path, name: str, damage: Callable[[Path], None]) -> None:
    damage(copied / name)
    with pytest.raises(ModelError, match=r"is not a whole checkpoint: .+; copy it again$") as caught:
        load_checkpoint(str(copied), torch.float32)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "processor_config.json"])
def test_a_missing_file_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(ModelError, match=f"is not a whole checkpoint: it lacks `{name}`; copy it again$"):
        load_checkpoint(str(copied), torch.float32)


def test_weights_are_checked_by_names_and_headers(copied: Path) -> None:
    check_weights(str(copied))
    check_weights("Qwen/Qwen2-VL-2B-Instruct")  # not here to be looked at
    weights, half = (copied / "model.safetensors"), "model-00002-of-00002.safetensors"
    weights.rename(copied / "model-00001-of-00002.safetensors")
    with pytest.raises(ModelError, match=r"it lacks `model\.safetensors`"):
        check_weights(str(copied))
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": half}}
    (copied / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=f"it lacks `{half}`; copy"):
        check_weights(str(copied))
    shutil.copy(copied / "model-00001-of-00002.safetensors", copied / half)
    check_weights(str(copied))
    cut(copied / half)
    with pytest.raises(ModelError, match=rf"`{half}` is broken or cut short \(.*\); copy it again"):
        check_weights(str(copied))


def test_a_processor_needs_no_weights(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    assert load_processor(str(copied)).tokenizer.eos_token == "<|im_end|>"


def test_a_copy_has_the_same_fingerprint(copied: Path, tiny_checkpoint: Checkpoint) -> None:
    assert fingerprint(str(copied)) == fingerprint(str(tiny_checkpoint("qwen2_vl")))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_other_weights_or_config_change_the_fingerprint(copied: Path, name: str) -> None:
    before = fingerprint(str(copied))
    content = bytearray((copied / name).read_bytes())
    content[-2] ^= 1
    (copied / name).write_bytes(content)
    assert fingerprint(str(copied)) != before


def test_what_training_leaves_beside_the_weights_keeps_the_fingerprint(copied: Path) -> None:
    before = fingerprint(str(copied))
    (copied / "r1sgg.json").write_text("{}", encoding="utf-8")
    (copied / "checkpoint-1").mkdir()
    (copied / "checkpoint-1" / "model.safetensors").write_bytes(b"x")
    assert fingerprint(str(copied)) == before


def test_a_name_on_the_hub_has_no_fingerprint() -> None:
    assert fingerprint("Qwen/Qwen2-VL-2B-Instruct") is None


def test_a_checkpoint_that_lacks_a_weight_is_not_filled_up_at_random(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    weights.pop(next(name for name in weights if "mlp" in name))
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"it lacks 1 weights, such as `.*mlp"):
        load_checkpoint(str(copied), torch.float32)


@pytest.mark.parametrize("model_type", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_a_whole_checkpoint_lacks_nothing(model_type: str, tiny_checkpoint: Checkpoint) -> None:
    load_checkpoint(str(tiny_checkpoint(model_type)), torch.float32)
