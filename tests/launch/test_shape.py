"""Shapes: parameter counts equal those of transformers' own classes, whatever layout the config.json has."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForImageTextToText

from r1sgg_cli.errors import ModelError
from r1sgg_cli.launch.shape import ModelShape, load_config, parse_shape
from r1sgg_cli.models.families import FAMILIES
from r1sgg_cli.models.images import PixelLimits, TileLimits, resized_wh

SAFETENSORS_TOTALS = {
    "Qwen/Qwen2-VL-2B-Instruct": 2_208_985_600,
    "Qwen/Qwen2-VL-7B-Instruct": 8_291_375_616,
    "Qwen/Qwen2.5-VL-3B-Instruct": 3_754_622_976,
    "Qwen/Qwen2.5-VL-7B-Instruct": 8_292_166_656,
    "Qwen/Qwen3-VL-2B-Instruct": 2_127_532_032,
    "Qwen/Qwen3-VL-4B-Instruct": 4_437_815_808,
    "Qwen/Qwen3-VL-8B-Instruct": 8_767_123_696,
}
CLIP = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4}
SQUARE = CLIP | {"image_size": 56, "patch_size": 14}
QWEN2 = {
    "hidden_size": 96,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "vocab_size": 300,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "LLaVA-1.5 as published, Llama's defaults left out": {
        "model_type": "llava",
        "text_config": {"model_type": "llama", "vocab_size": 32064},
        "vision_config": CLIP | {"image_size": 336, "patch_size": 14, "model_type": "clip_vision_model"},
    },
    "LLaVA with several feature layers": {
        "model_type": "llava",
        "vision_feature_layer": [-2, -1],
        "multimodal_projector_bias": False,
        "text_config": QWEN2 | {"model_type": "llama", "attention_bias": True, "mlp_bias": True},
        "vision_config": SQUARE | {"model_type": "clip_vision_model"},
    },
    "InternVL with a head of its own": {
        "model_type": "internvl",
        "tie_word_embeddings": False,
        "text_config": QWEN2 | {"model_type": "qwen2"},
        "vision_config": SQUARE | {"attention_bias": True},
    },
    "InternVL of every variant": {
        "model_type": "internvl",
        "text_config": QWEN2 | {"model_type": "qwen3", "head_dim": 32},
        "vision_config": SQUARE
        | {"norm_type": "rms_norm", "use_qk_norm": True, "use_mask_token": True, "use_mean_pooling": False},
    },
    "InternVL on a Llama": {
        "model_type": "internvl",
        "text_config": QWEN2 | {"model_type": "llama"},
        "vision_config": SQUARE | {"image_size": [56, 56], "patch_size": [14, 14]},
    },
}


def published(model: str) -> dict[str, Any]:
    found = load_config(model, fetch=False)
    assert found is not None
    return found[0]


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
    shape = parse_shape(published(model), model)
    assert shape.num_parameters == SAFETENSORS_TOTALS[model]
    assert counts(shape) == counted(published(model))


@pytest.mark.parametrize("config", [pytest.param(config, id=name) for name, config in CONFIGS.items()])
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
    flat = published("Qwen/Qwen2.5-VL-3B-Instruct")
    copy = json.loads(json.dumps(flat))
    nested = AutoConfig.for_model(copy.pop("model_type"), **copy).to_dict()
    assert "hidden_size" not in nested
    assert parse_shape(nested, "m") == parse_shape(flat, "m")


@pytest.mark.parametrize(
    ("model", "factor"), [("Qwen/Qwen2-VL-2B-Instruct", 28), ("Qwen/Qwen3-VL-2B-Instruct", 32)], ids=["14", "16"]
)
def test_no_image_has_more_tokens_than_forecast_and_a_square_one_nearly_as_many(model: str, factor: int) -> None:
    max_pixels = 512 * 28 * 28
    most = parse_shape(published(model), model).image_tokens(max_pixels)
    limits = PixelLimits(factor, 4 * factor**2, max_pixels)
    tokens = [
        width * height // factor**2
        for width, height in (resized_wh(size, limits) for size in [(1000, 1000), (640, 480), (3000, 200), (333, 777)])
    ]
    assert max(tokens) <= most
    assert max(tokens) > 0.9 * most


@pytest.mark.parametrize(
    ("max_pixels", "num_tiles"),
    [(448**2, 1), (2 * 448**2, 1), (3 * 448**2, 3), (9 * 448**2, 9), (100 * 448**2, 13)],
    ids=["one tile", "two are one", "two and the overview", "eight and the overview", "the processor's limit"],
)
def test_tiles_are_counted_with_their_overview(max_pixels: int, num_tiles: int) -> None:
    config = {**CONFIGS["InternVL with a head of its own"], "vision_config": SQUARE | {"image_size": 448}}
    shape = parse_shape(config, "m")
    assert shape.image_tokens(max_pixels) == num_tiles * 256
    assert shape.vision.num_patches(num_tiles * 256) == num_tiles * (1024 + 1)
    if num_tiles > 1:
        width, height = resized_wh((1600, 800), TileLimits(448, 1, num_tiles - 1, 12))
        assert (width * height // 448**2 + 1) <= num_tiles


def test_a_square_model_always_sees_as_many_tokens() -> None:
    shape = parse_shape(CONFIGS["LLaVA-1.5 as published, Llama's defaults left out"], "m")
    assert shape.image_tokens(10_000) == shape.image_tokens(10_000_000) == 576


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({"model_type": "gpt2"}, "`m` has model_type `gpt2`, of which no memory forecast", id="family"),
        pytest.param({"vocab_size": None}, "`m`: `vocab_size` is missing in its config.json", id="missing"),
        pytest.param({"hidden_size": "2048"}, "`hidden_size` is '2048' in its config.json", id="no number"),
        pytest.param({"vision_config": {}}, "`embed_dim` is missing in its config.json (vision_config)", id="nested"),
    ],
)
def test_a_config_that_cannot_be_used_is_one_line(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(ModelError) as error:
        parse_shape({**published("Qwen/Qwen2-VL-2B-Instruct"), **change}, "m")
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def save_in_hub_cache(cache: Path, model: str, config: dict[str, Any]) -> None:
    """A config.json where huggingface_hub keeps those that it fetched."""
    repository = cache / f"models--{model.replace('/', '--')}"
    snapshot = repository / "snapshots" / ("0" * 40)
    for folder in (snapshot, repository / "refs"):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40, encoding="utf-8")
    (snapshot / "config.json").write_text(json.dumps(config), encoding="utf-8")


def test_what_the_hub_cache_holds_wins_over_what_this_package_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = "Qwen/Qwen2-VL-2B-Instruct"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert load_config(model, fetch=False) == (published(model), "published shape")
    save_in_hub_cache(tmp_path, model, {"model_type": "changed"})
    assert load_config(model, fetch=False) == ({"model_type": "changed"}, "hub cache")


def test_nothing_is_known_of_another_name_unless_it_is_fetched() -> None:
    assert load_config("somebody/else", fetch=False) is None
    with pytest.raises(ModelError, match="`somebody/else` is no checkpoint folder, nor a model that can be fetched"):
        load_config("somebody/else", fetch=True)


def test_a_known_model_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    found = load_config("Qwen/Qwen3-VL-4B-Instruct", fetch=True)
    assert found is not None
    assert found[1] == "published shape"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(None, "holds no `config.json`; give the folder that does", id="no config"),
        pytest.param("{", "its `config.json` is broken", id="cut short"),
        pytest.param("[]", "its `config.json` is no JSON object", id="no object"),
    ],
)
def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path, content: str | None, expected: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(ModelError) as error:
        load_config(str(tmp_path), fetch=False)
    assert expected in str(error.value)


def test_a_path_where_nothing_is_is_no_name_on_the_hub() -> None:
    with pytest.raises(ModelError, match=r"no folder `\./nowhere`; give a checkpoint"):
        load_config("./nowhere", fetch=False)
