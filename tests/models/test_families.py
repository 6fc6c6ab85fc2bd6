"""Families: read from config.json, boxes within one unit, tokens that are never sampled."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from transformers import AutoProcessor

from r1sgg_cli.data.prompts import format_answer
from r1sgg_cli.errors import DataError, ModelError
from r1sgg_cli.models.families import (
    FAMILIES,
    ModelType,
    family_of,
    trainable_family_of,
    unsampled_token_ids,
)
from r1sgg_cli.models.images import resized_wh
from r1sgg_cli.scene_graph.graph import SceneGraph, SpaceWH
from r1sgg_cli.scene_graph.parse import parse_answer
from tests.models.conftest import published_limits

MODEL_TYPES: tuple[ModelType, ...] = get_args(ModelType)

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
        pytest.param("internvl", (1000.0, 1000.0), id="InternVL counts to 1000"),
        pytest.param("llava", (1.0, 0.65), id="LLaVA writes fractions of the longer side"),
    ],
)
def test_each_family_counts_in_its_own_space(model_type: str, expected: SpaceWH) -> None:
    assert FAMILIES[model_type].box_space_wh((1000, 650), (644, 420)) == expected


@pytest.mark.parametrize(
    ("model_type", "image_wh", "expected"),
    [
        pytest.param("qwen2_vl", (640, 480), (0.0, 0.0), id="Qwen2-VL counts from the image's corner"),
        pytest.param("internvl", (640, 480), (0.0, 0.0), id="InternVL too"),
        pytest.param("llava", (640, 480), (0.0, 0.125), id="LLaVA from that of the square: above a wide image"),
        pytest.param("llava", (480, 640), (0.125, 0.0), id="beside a tall one"),
        pytest.param("llava", (99, 100), (0.0, 0.0), id="half a pixel is no padding"),
    ],
)
def test_boxes_count_from_the_corner_that_the_family_sees(
    model_type: str, image_wh: tuple[int, int], expected: tuple[float, float]
) -> None:
    assert FAMILIES[model_type].box_origin(image_wh) == expected


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@given(width=sides, height=sides, corners=st.tuples(fractions, fractions, fractions, fractions))
def test_pixels_to_text_to_pixels_is_within_one_unit(
    model_type: ModelType, width: int, height: int, corners: tuple[float, float, float, float]
) -> None:
    assume(max(width, height) <= 200 * min(width, height))
    family, image_wh = FAMILIES[model_type], (width, height)
    (x1, x2), (y1, y2) = sorted(corners[:2]), sorted(corners[2:])
    graph = graph_with_box([x1 * width, y1 * height, x2 * width, y2 * height], image_wh)
    try:
        size_wh = resized_wh(image_wh, published_limits(model_type))
    except DataError:  # rounding may push a ratio just below 200 beyond it
        assume(False)
    space_wh = family.box_space_wh(image_wh, size_wh)

    answer = format_answer(family.encode(graph, size_wh), decimals=family.decimals)
    parsed = parse_answer(answer, space_wh, family.box_origin(image_wh))
    back = parsed.graph.rescaled(graph.space_wh)

    unit = np.array([width / space_wh[0], height / space_wh[1]] * 2) / 10**family.decimals
    assert (np.abs(back.boxes_xyxy - graph.boxes_xyxy) <= unit * (1 + 1e-9)).all()
    assert not parsed.defects


@pytest.mark.parametrize(
    ("model_type", "box", "expected"),
    [
        pytest.param("qwen2_vl", [0, 0, 200, 100], [0, 0, 1000, 1000], id="the whole image is 0 to 1000"),
        pytest.param("qwen2_5_vl", [0, 0, 200, 100], [0, 0, 223, 111], id="pixels end one before the side"),
        pytest.param("qwen2_vl", [100.02, 10, 100.05, 20], [500, 100, 501, 200], id="a thin box is widened to a unit"),
        pytest.param("qwen3_vl", [-5, -5, 300, 50], [0, 0, 1000, 500], id="a box beyond the image ends at it"),
        pytest.param("internvl", [50, 25, 100, 100], [250, 250, 500, 1000], id="each side is 1000 of its own"),
        pytest.param("llava", [0, 0, 200, 100], [0, 0.25, 1, 0.75], id="a wide image lies in the middle of a square"),
        pytest.param("llava", [11, 0, 12, 100], [0.05, 0.25, 0.06, 0.75], id="a thin box is 0.01 wide"),
        pytest.param("llava", [-5, -5, 300, 500], [0, 0.25, 1, 0.75], id="nothing is in the padding"),
    ],
)
def test_boxes_become_whole_units_inside_the_image(model_type: str, box: list[float], expected: list[float]) -> None:
    encoded = FAMILIES[model_type].encode(graph_with_box(box, (200, 100)), (224, 112))
    assert encoded.boxes_xyxy.tolist() == [expected]


@pytest.mark.parametrize(
    ("model_type", "text"),
    [
        pytest.param("internvl", '"bbox":[0,0,500,1000]', id="whole numbers"),
        pytest.param("llava", '"bbox":[0.0,0.25,0.5,0.75]', id="fractions"),
    ],
)
def test_numbers_are_written_as_the_family_writes_them(model_type: str, text: str) -> None:
    family = FAMILIES[model_type]
    graph = family.encode(graph_with_box([0, 0, 100, 100], (200, 100)), (336, 336))
    assert text in format_answer(graph, decimals=family.decimals)


@pytest.mark.parametrize(
    ("model_type", "words"),
    [
        ("qwen2_vl", "integers from 0 to 1000"),
        ("qwen2_5_vl", "integers in pixels"),
        ("qwen3_vl", "integers from 0 to 1000"),
        ("internvl", "integers from 0 to 1000"),
        ("llava", "fractions from 0 to 1 with 2 decimals, of the image padded to a square"),
    ],
)
def test_the_prompt_says_what_the_numbers_mean(model_type: str, words: str) -> None:
    assert words in FAMILIES[model_type].box_sentence


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
    with pytest.raises(ModelError, match=r"`llama`.*Qwen2-VL.*Qwen2\.5-VL.*Qwen3-VL.*InternVL \(`internvl`\), LLaVA"):
        family_of(model)


def test_a_folder_without_a_config_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no `config\.json`"):
        family_of(str(tmp_path))


def test_a_model_type_of_another_kind_is_not_supported(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="which is not supported"):
        family_of(write_config(tmp_path, '{"model_type": []}'))


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
    qwen = {"<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"}
    other = {"internvl": {"<IMG_CONTEXT>", "<img>", "</img>", "<video>"}, "llava": {"<image>"}}
    assert names == other.get(model_type, qwen)


def test_a_family_that_is_not_trained_says_which_are(tiny_checkpoint: Callable[[ModelType], Path]) -> None:
    assert trainable_family_of(str(tiny_checkpoint("internvl"))).trainable
    with pytest.raises(ModelError, match=r"is a LLaVA-1\.5, which .* does not train; it trains Qwen2-VL, .*InternVL$"):
        trainable_family_of(str(tiny_checkpoint("llava")))


def test_a_text_model_has_no_image_tokens(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="image_token_id"):
        unsampled_token_ids(write_config(tmp_path, json.dumps({"model_type": "qwen2_vl"})))
