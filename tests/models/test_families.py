"""Families: read from config.json, boxes within one unit, images that no processor resizes again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image
from transformers import AutoProcessor

from r1sgg_cli.data.prompts import format_answer
from r1sgg_cli.errors import ConfigError, DataError, ModelError
from r1sgg_cli.models.families import (
    FAMILIES,
    ModelType,
    PixelLimits,
    family_of,
    fit_image,
    pixel_limits,
    resized_wh,
    unsampled_token_ids,
)
from r1sgg_cli.scene_graph.graph import SceneGraph, SpaceWH
from r1sgg_cli.scene_graph.parse import parse_answer

MODEL_TYPES: tuple[ModelType, ...] = get_args(ModelType)
PUBLISHED = PixelLimits(factor=28, min_pixels=56 * 56, max_pixels=512 * 28 * 28)

sides = st.integers(min_value=1, max_value=6000)
fractions = st.floats(min_value=0.0, max_value=1.0)


def graph_with_box(box: list[float], image_wh: tuple[int, int]) -> SceneGraph:
    space_wh = (float(image_wh[0]), float(image_wh[1]))
    return SceneGraph(("cat.1",), ("cat",), np.array([box], dtype=np.float64), (), space_wh)


@pytest.mark.parametrize(
    ("model_type", "expected"),
    [
        pytest.param("qwen2_vl", (1000.0, 1000.0), id="Qwen2-VL counts to 1000"),
        pytest.param("qwen2_5_vl", (644.0, 420.0), id="Qwen2.5-VL counts pixels of the resized image"),
        pytest.param("qwen3_vl", (1000.0, 1000.0), id="Qwen3-VL counts to 1000"),
    ],
)
def test_each_family_counts_in_its_own_space(model_type: str, expected: SpaceWH) -> None:
    assert FAMILIES[model_type].box_space_wh((644, 420)) == expected


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@given(width=sides, height=sides, corners=st.tuples(fractions, fractions, fractions, fractions))
def test_pixels_to_text_to_pixels_is_within_one_unit(
    model_type: ModelType, width: int, height: int, corners: tuple[float, float, float, float]
) -> None:
    assume(max(width, height) <= 200 * min(width, height))
    family, image_wh = FAMILIES[model_type], (width, height)
    (x1, x2), (y1, y2) = sorted(corners[:2]), sorted(corners[2:])
    graph = graph_with_box([x1 * width, y1 * height, x2 * width, y2 * height], image_wh)
    size_wh = resized_wh(image_wh, PUBLISHED)
    space_wh = family.box_space_wh(size_wh)

    answer = format_answer(family.encode(graph, size_wh))
    back = parse_answer(answer, space_wh).graph.rescaled(graph.space_wh)

    unit = np.array([width / space_wh[0], height / space_wh[1]] * 2)
    assert (np.abs(back.boxes_xyxy - graph.boxes_xyxy) <= unit * (1 + 1e-9)).all()


@pytest.mark.parametrize(
    ("model_type", "box", "expected"),
    [
        pytest.param("qwen2_vl", [0, 0, 200, 100], [0, 0, 1000, 1000], id="the whole image is 0 to 1000"),
        pytest.param("qwen2_5_vl", [0, 0, 200, 100], [0, 0, 223, 111], id="pixels end one before the side"),
        pytest.param("qwen2_vl", [100.02, 10, 100.05, 20], [500, 100, 501, 200], id="a thin box is widened to a unit"),
        pytest.param("qwen3_vl", [-5, -5, 300, 50], [0, 0, 1000, 500], id="a box beyond the image ends at it"),
    ],
)
def test_boxes_become_whole_numbers_inside_the_image(model_type: str, box: list[float], expected: list[float]) -> None:
    encoded = FAMILIES[model_type].encode(graph_with_box(box, (200, 100)), (224, 112))
    assert encoded.boxes_xyxy.tolist() == [expected]


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_family_comes_from_config_json(
    model_type: ModelType, tiny_checkpoint: Callable[[ModelType], Path], tmp_path: Path
) -> None:
    assert family_of(str(tiny_checkpoint(model_type))).model_type == model_type


def write_config(folder: Path, text: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(text)
    return str(folder)


def test_an_unsupported_family_names_the_supported_ones(tmp_path: Path) -> None:
    model = write_config(tmp_path, json.dumps({"model_type": "llama"}))
    with pytest.raises(ModelError, match=r"`llama`.*Qwen2-VL.*Qwen2\.5-VL.*Qwen3-VL"):
        family_of(model)


def test_a_folder_without_a_config_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no `config\.json`"):
        family_of(str(tmp_path))


def test_a_file_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "model.bin").touch()
    with pytest.raises(ModelError, match="is a file"):
        family_of(str(tmp_path / "model.bin"))


@pytest.mark.parametrize(
    "text", ["{", "[]", "3", "", "\ud800"], ids=["cut short", "a list", "a number", "empty", "binary"]
)
def test_a_broken_config_is_said_to_be_no_whole_checkpoint(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_bytes(
        text.encode("utf-16", "surrogatepass") if text == "\ud800" else text.encode()
    )
    with pytest.raises(ModelError, match=r"is not a whole checkpoint: its `config\.json`"):
        family_of(str(tmp_path))


def test_a_model_type_of_another_kind_is_not_supported(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="which is not supported"):
        family_of(write_config(tmp_path, '{"model_type": []}'))


@pytest.mark.parametrize("model", ["runs/sft/checkpoint-100", "runs/sft/", "/x", "./x", "../x", "~x", "~/x"])
def test_a_path_that_does_not_exist_is_said_to_be_no_folder(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=f"^no folder `{model}`; ") as caught:
        family_of(model)
    assert "\n" not in str(caught.value)


def test_a_name_that_may_be_on_the_hub_is_looked_up_there() -> None:
    with pytest.raises(ModelError, match="nor a model that can be fetched"):
        family_of("runs/sft")


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_image_and_video_tokens_are_never_sampled(
    model_type: ModelType, tiny_checkpoint: Callable[[ModelType], Path]
) -> None:
    folder = str(tiny_checkpoint(model_type))
    tokenizer = AutoProcessor.from_pretrained(folder).tokenizer
    names = {tokenizer.convert_ids_to_tokens(token_id) for token_id in unsampled_token_ids(folder)}
    assert names == {"<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"}


def test_a_text_model_has_no_image_tokens(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="image_token_id"):
        unsampled_token_ids(write_config(tmp_path, json.dumps({"model_type": "qwen2_vl"})))


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize(
    "image_wh", [(100, 100), (641, 427), (37, 2000), (7, 9)], ids=["square", "photo", "tall", "tiny"]
)
def test_a_fitted_image_is_not_resized_again(
    model_type: ModelType, image_wh: tuple[int, int], tiny_checkpoint: Callable[[ModelType], Path]
) -> None:
    processor = AutoProcessor.from_pretrained(tiny_checkpoint(model_type))
    pixels = np.random.default_rng(0).integers(256, size=(image_wh[1], image_wh[0], 3), dtype=np.uint8)
    fitted = fit_image(Image.fromarray(pixels), pixel_limits(processor, max_pixels=40_000))

    resized = processor.image_processor(images=[fitted], return_tensors="pt")
    untouched = processor.image_processor(images=[fitted], return_tensors="pt", do_resize=False)

    grid = resized["image_grid_thw"][0].tolist()
    assert (grid[2] * 10, grid[1] * 10) == fitted.size
    assert torch.equal(resized["pixel_values"], untouched["pixel_values"])


@given(width=sides, height=sides, max_tokens=st.integers(min_value=4, max_value=1024))
def test_resizing_twice_is_resizing_once(width: int, height: int, max_tokens: int) -> None:
    assume(max(width, height) <= 200 * min(width, height))
    limits = PixelLimits(28, 4 * 28 * 28, max_tokens * 28 * 28)
    try:
        once = resized_wh((width, height), limits)
    except DataError:
        assume(False)
    assert resized_wh(once, limits) == once
    assert once[0] % 28 == once[1] % 28 == 0


def test_an_image_that_is_far_too_long_is_refused() -> None:
    with pytest.raises(DataError, match="201×1 pixels cannot be resized"):
        resized_wh((201, 1), PUBLISHED)


def test_the_pixel_limit_can_be_lowered_and_never_raised(tiny_checkpoint: Callable[[ModelType], Path]) -> None:
    processor = AutoProcessor.from_pretrained(tiny_checkpoint("qwen2_vl"))
    assert pixel_limits(processor) == PixelLimits(20, 1600, 102_400)
    assert pixel_limits(processor, 50_000).max_pixels == 50_000
    assert pixel_limits(processor, 1_000_000).max_pixels == 102_400


def test_a_pixel_limit_below_the_processors_own_is_refused(tiny_checkpoint: Callable[[ModelType], Path]) -> None:
    processor = AutoProcessor.from_pretrained(tiny_checkpoint("qwen2_vl"))
    with pytest.raises(ConfigError, match=r"max_pixels is 100.*1600 or more"):
        pixel_limits(processor, 100)


def test_a_grey_image_becomes_rgb() -> None:
    assert fit_image(Image.new("L", (56, 56)), PUBLISHED).mode == "RGB"
