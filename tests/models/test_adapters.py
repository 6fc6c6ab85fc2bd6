"""Models as they are asked: adapters beside the checkpoint that they belong to, and quantised checkpoints."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model
from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

from r1sgg_cli.config.schema import Lora
from r1sgg_cli.errors import ModelError
from r1sgg_cli.models.adapter_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, adapter_of, base_of
from r1sgg_cli.models.adapters import asked_fingerprint, check_to_ask, load_to_ask
from r1sgg_cli.models.asking import Asking, load_asking, save_asking
from r1sgg_cli.models.checkpoint import fingerprint, load_checkpoint
from r1sgg_cli.models.families import family_of
from r1sgg_cli.training.lora import lora_config


@pytest.fixture
def adapters(tiny_checkpoint: Callable[[str], Path], tmp_path: Path) -> tuple[Path, Path]:
    """A copy of a checkpoint, and adapters of it."""
    base, folder = tmp_path / "base", tmp_path / "run" / "adapter"
    shutil.copytree(tiny_checkpoint("qwen2_vl"), base)
    model = AutoModelForImageTextToText.from_pretrained(base)
    get_peft_model(model, lora_config(Lora(rank=2), model)).save_pretrained(folder)
    return base, folder


def test_adapters_are_asked_with_the_checkpoint_that_they_belong_to(adapters: tuple[Path, Path]) -> None:
    base, folder = adapters
    assert (base_of(str(folder)), adapter_of(str(folder))) == (str(base), folder)
    assert (base_of(str(base)), adapter_of(str(base))) == (str(base), None)
    assert base_of("owner/name") == "owner/name"
    check_to_ask(str(folder))
    _, model = load_to_ask(str(folder), "cpu")
    assert model.peft_config["default"].r == 2
    assert not model.training


def test_training_and_evaluation_of_families_refuse_adapters_alone(adapters: tuple[Path, Path]) -> None:
    with pytest.raises(ModelError, match="holds adapters alone"):
        family_of(str(adapters[1]))


@pytest.mark.parametrize("changed", ["adapters", "base"])
def test_a_fingerprint_covers_adapters_and_checkpoint(changed: str, adapters: tuple[Path, Path]) -> None:
    base, folder = adapters
    before = asked_fingerprint(str(folder))
    assert before not in (None, fingerprint(str(base)))
    assert asked_fingerprint(str(base)) == fingerprint(str(base))
    path = folder / ADAPTER_WEIGHTS if changed == "adapters" else base / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert asked_fingerprint(str(folder)) != before


def test_the_adapters_of_a_finished_run_are_asked_as_the_run_says(adapters: tuple[Path, Path]) -> None:
    _, folder = adapters
    assert load_asking(str(folder)) is None
    of_run = Asking(think=True, predefined_categories=False, max_pixels=6400)
    save_asking(of_run, folder.parent)
    assert load_asking(str(folder)) == of_run
    own = Asking(think=False, predefined_categories=False, max_pixels=6400)
    save_asking(own, folder)
    assert load_asking(str(folder)) == own


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda base, folder: shutil.rmtree(base),
            r"holds adapters of `.*base`, but no folder `.*base`.*; put it there",
        ),
        (lambda base, folder: (base / "model.safetensors").unlink(), "base` is not a whole checkpoint"),
        (
            lambda base, folder: (folder / ADAPTER_WEIGHTS).unlink(),
            "adapter_model.safetensors` is missing or cut short",
        ),
        (lambda base, folder: (folder / ADAPTER_WEIGHTS).write_bytes(b"cut"), "is missing or cut short"),
        (lambda base, folder: (folder / ADAPTER_CONFIG).write_text("{}"), "is broken, and does not say"),
        (lambda base, folder: (folder / ADAPTER_CONFIG).write_text("["), "is broken, and does not say"),
    ],
    ids=["no checkpoint", "no weights", "no adapters", "cut short", "of nothing", "no JSON"],
)
def test_what_is_not_whole_is_one_line(
    damage: Callable[[Path, Path], object], said: str, adapters: tuple[Path, Path]
) -> None:
    damage(*adapters)
    with pytest.raises(ModelError, match=said) as raised:
        check_to_ask(str(adapters[1]))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config | {"r": 3},
        lambda config: config | {"target_modules": ["no_such_layer"]},
        lambda config: config | {"target_modules": ["mlp.fc1"]},
    ],
    ids=["of another rank", "of no layer", "of layers without one"],
)
def test_adapters_that_do_not_fit_are_one_line(
    change: Callable[[dict[str, Any]], dict[str, Any]], adapters: tuple[Path, Path]
) -> None:
    path = adapters[1] / ADAPTER_CONFIG
    path.write_text(json.dumps(change(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")
    with pytest.raises(ModelError, match=r"the adapters in `.*` do not fit `.*`") as raised:
        load_to_ask(str(adapters[1]), "cpu")
    assert "\n" not in str(raised.value)


def test_a_quantised_checkpoint_stays_as_it_is_stored(tiny_checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="needs `uv sync --extra qlora`")
    four_bits = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    processor, model = load_checkpoint(str(tiny_checkpoint("qwen2_vl")), torch.bfloat16, four_bits)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    _, asked = load_to_ask(str(tmp_path), "cpu")
    assert "Linear4bit" in {type(module).__name__ for module in asked.modules()}
    assert asked.dtype == torch.bfloat16


def test_a_library_that_a_quantised_checkpoint_needs_is_named(
    tiny_checkpoint: Callable[[str], Path], tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_checkpoint("qwen2_vl"), model)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match=r"`.*` cannot be loaded: .*; install that") as raised:
        load_to_ask(str(model), "cpu")
    assert "\n" not in str(raised.value)
