"""Parameter counts equal those of transformers' own classes, whatever layout the config.json has."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForImageTextToText

from r1sgg_cli.errors import ModelError
from r1sgg_cli.launch.architectures import NOT_TRAINED, insist_on_trainable, parse_shape
from r1sgg_cli.launch.config_json import load_config
from r1sgg_cli.launch.shape import ModelShape
from r1sgg_cli.models.families import FAMILIES
from tests.launch.shapes import VARIANTS, published_config

SAFETENSORS_TOTALS = {
    "Qwen/Qwen2-VL-2B-Instruct": 2_208_985_600,
    "Qwen/Qwen2-VL-7B-Instruct": 8_291_375_616,
    "Qwen/Qwen2.5-VL-3B-Instruct": 3_754_622_976,
    "Qwen/Qwen2.5-VL-7B-Instruct": 8_292_166_656,
    "Qwen/Qwen3-VL-2B-Instruct": 2_127_532_032,
    "Qwen/Qwen3-VL-4B-Instruct": 4_437_815_808,
    "Qwen/Qwen3-VL-8B-Instruct": 8_767_123_696,
}


def counted(config: dict[str, Any]) -> tuple[int, int, int]:
    """Parameters of transformers' own class for a config.json, built without memory: language, vision, all."""
    copy = json.loads(json.dumps(config))  # transformers changes what it is given
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(AutoConfig.for_model(copy.pop("model_type"), **copy))
    model.tie_weights()
    total = sum(parameter.numel() for parameter in model.parameters())
    language = {id(p): p.numel() for part in (model.model.language_model, model.lm_head) for p in part.parameters()}
    return sum(language.values()), total - sum(language.values()), total


def counts(shape: ModelShape) -> tuple[int, int, int]:
    return shape.language_parameters, shape.vision.num_parameters, shape.num_parameters


@pytest.mark.parametrize("model", SAFETENSORS_TOTALS)
def test_published_models_have_as_many_weights_as_their_files_and_their_class(model: str) -> None:
    shape = parse_shape(published_config(model), model)
    assert shape.num_parameters == SAFETENSORS_TOTALS[model]
    assert counts(shape) == counted(published_config(model))


@pytest.mark.parametrize("config", [pytest.param(config, id=name) for name, config in VARIANTS.items()])
def test_other_configs_have_as_many_weights_as_their_class(config: dict[str, Any]) -> None:
    assert counts(parse_shape(config, "m")) == counted(config)


@pytest.mark.parametrize("model_type", FAMILIES)
def test_tiny_checkpoints_have_as_many_weights_as_are_saved(
    model_type: str, tiny_checkpoint: Callable[[str], Path]
) -> None:
    folder = tiny_checkpoint(model_type)
    found = load_config(str(folder), fetch=False)
    assert found is not None
    config, where = found
    assert where == "config.json of the folder"
    model = AutoModelForImageTextToText.from_pretrained(folder)
    shape = parse_shape(config, str(folder))
    assert shape.num_parameters == model.num_parameters()
    tower = model.model.get_submodule(FAMILIES[model_type].vision_module)
    assert shape.vision.frozen_parameters() == sum(parameter.numel() for parameter in tower.parameters())


def test_the_nested_layout_says_the_same_as_the_flat_one() -> None:
    flat = published_config("Qwen/Qwen2.5-VL-3B-Instruct")
    copy = json.loads(json.dumps(flat))
    nested = AutoConfig.for_model(copy.pop("model_type"), **copy).to_dict()
    assert "hidden_size" not in nested
    assert parse_shape(nested, "m") == parse_shape(flat, "m")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({"model_type": "gpt2"}, "`m` has model_type `gpt2`, of which no memory forecast", id="family"),
        pytest.param({"vocab_size": None}, "`m`: `vocab_size` is missing in its config.json", id="missing"),
        pytest.param({"hidden_size": "2048"}, '`hidden_size` is `"2048"` in its config.json', id="no number"),
        pytest.param({"vision_config": {}}, "`embed_dim` is missing in its config.json (vision_config)", id="nested"),
    ],
)
def test_a_config_that_cannot_be_used_is_one_line(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(ModelError) as error:
        parse_shape({**published_config("Qwen/Qwen2-VL-2B-Instruct"), **change}, "m")
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_families_that_are_not_trained_are_those_that_workers_refuse() -> None:
    assert {family.model_type for family in FAMILIES.values() if not family.trainable} == NOT_TRAINED
    with pytest.raises(ModelError, match="asks and evaluates, not trains"):
        insist_on_trainable("llava", "m", by_vllm=False)
    with pytest.raises(ModelError, match=r"not for `internvl`; use `--set preset\.rollouts=transformers`"):
        insist_on_trainable("internvl", "m", by_vllm=True)
    insist_on_trainable("internvl", "m", by_vllm=False)
