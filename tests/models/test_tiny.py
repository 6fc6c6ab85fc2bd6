"""Tiny checkpoints: transformers loads them as it loads the real ones, and answers stay short."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl.data_utils import apply_chat_template

from r1sgg_cli.data.prompts import build_messages, format_answer
from r1sgg_cli.errors import OutputError
from r1sgg_cli.models.families import FAMILIES, ModelType
from r1sgg_cli.models.tiny import build_tiny_checkpoint
from tests.models.conftest import synthetic_graphs

MODEL_TYPES: tuple[ModelType, ...] = get_args(ModelType)
CLASSES = {
    "qwen2_vl": "Qwen2VLForConditionalGeneration",
    "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
    "qwen3_vl": "Qwen3VLForConditionalGeneration",
    "internvl": "InternVLForConditionalGeneration",
    "llava": "LlavaForConditionalGeneration",
}
# Of a 100×100 image: one for 20×20 pixels, but InternVL's four for each of 3×3 tiles and the whole image.
NUM_IMAGE_TOKENS = {"internvl": 4 * (3 * 3 + 1)}


def conversation(image: Image.Image | None = None) -> list[dict[str, Any]]:
    return build_messages("Describe.", "Write the scene graph.", image)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_checkpoint_loads_looks_at_an_image_and_writes(
    model_type: ModelType, tiny_checkpoint: Callable[[ModelType], Path]
) -> None:
    folder = tiny_checkpoint(model_type)
    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    inputs = processor.apply_chat_template(
        conversation(Image.new("RGB", (100, 100), "white")),
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    assert type(model).__name__ == CLASSES[model_type]
    assert (inputs["input_ids"] == model.config.image_token_id).sum() == NUM_IMAGE_TOKENS.get(model_type, 25)
    with torch.no_grad():
        assert model(**inputs).logits.isfinite().all()
        answer = model.generate(**inputs, max_new_tokens=6)
    assert inputs["input_ids"].shape[1] < answer.shape[1] <= inputs["input_ids"].shape[1] + 6


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_image_changes_what_the_model_says(
    model_type: ModelType, tiny_checkpoint: Callable[[ModelType], Path]
) -> None:
    folder = tiny_checkpoint(model_type)
    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    text = processor.apply_chat_template(conversation(), add_generation_prompt=True)
    logits = []
    for colour in ("white", "navy"):
        inputs = processor(text=[text], images=[Image.new("RGB", (100, 100), colour)], return_tensors="pt")
        with torch.no_grad():
            logits.append(model(**inputs).logits[0, -1])
    assert not torch.allclose(logits[0], logits[1])


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_an_answer_is_at_most_63_tokens_and_decodes_to_itself(
    model_type: ModelType, tiny_checkpoint: Callable[[ModelType], Path]
) -> None:
    tokenizer = AutoProcessor.from_pretrained(tiny_checkpoint(model_type)).tokenizer
    for graph in synthetic_graphs(100, seed=1):
        family = FAMILIES[model_type]
        text = format_answer(family.encode(graph, (100, 100)), decimals=family.decimals)
        token_ids = tokenizer(text + tokenizer.eos_token, add_special_tokens=False).input_ids
        assert len(token_ids) <= 63
        assert tokenizer.decode(token_ids, skip_special_tokens=True) == text


def test_thinking_and_answer_tags_are_one_token_each_and_survive_decoding(
    tiny_checkpoint: Callable[[ModelType], Path],
) -> None:
    tokenizer = AutoProcessor.from_pretrained(tiny_checkpoint("qwen2_vl")).tokenizer
    text = "<think></think><answer></answer>"
    token_ids = tokenizer(text).input_ids
    assert len(token_ids) == 4
    assert tokenizer.decode(token_ids, skip_special_tokens=True) == text


@pytest.mark.parametrize("text", ["Ünïcode ☃ 猫", "  a\n\tb ", '{"a": [1.5, -2]}', "x" * 50], ids=repr)
def test_any_text_survives_the_tokenizer(text: str, tiny_checkpoint: Callable[[ModelType], Path]) -> None:
    tokenizer = AutoProcessor.from_pretrained(tiny_checkpoint("qwen2_vl")).tokenizer
    assert tokenizer.decode(tokenizer(text).input_ids) == text


@pytest.mark.parametrize(
    ("model_type", "image"),
    [("qwen2_vl", "<|vision_start|><|image_pad|><|vision_end|>"), ("internvl", "<IMG_CONTEXT>\n")],
)
def test_the_conversation_is_chatml_with_the_image_first(
    model_type: ModelType, image: str, tiny_checkpoint: Callable[[ModelType], Path]
) -> None:
    processor = AutoProcessor.from_pretrained(tiny_checkpoint(model_type))
    assert processor.apply_chat_template(conversation(), add_generation_prompt=True) == (
        "<|im_start|>system\nDescribe.<|im_end|>\n"
        f"<|im_start|>user\n{image}Write the scene graph.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_llavas_conversation_is_plain_text_after_the_start_token(tiny_checkpoint: Callable[[ModelType], Path]) -> None:
    processor = AutoProcessor.from_pretrained(tiny_checkpoint("llava"))
    text = processor.apply_chat_template(conversation(), add_generation_prompt=True)
    assert text == "Describe. USER: <image>\nWrite the scene graph. ASSISTANT:"
    ids = processor(text=[text], images=[Image.new("RGB", (100, 100))]).input_ids[0]
    assert processor.decode(ids) == "<s>" + text.replace("<image>", 25 * "<image>")


@pytest.mark.parametrize("model_type", ["qwen2_vl", "internvl"])
def test_trl_splits_prompt_and_completion_at_the_assistants_turn(
    model_type: ModelType, tiny_checkpoint: Callable[[ModelType], Path]
) -> None:
    processor = AutoProcessor.from_pretrained(tiny_checkpoint(model_type))
    completion = [{"role": "assistant", "content": [{"type": "text", "text": "{}"}]}]
    example = apply_chat_template({"prompt": conversation(), "completion": completion}, processor)
    assert example["prompt"].endswith("<|im_start|>assistant\n")
    assert example["completion"] == "{}<|im_end|>\n"


@pytest.mark.parametrize(
    ("model_type", "end", "pad"),
    [
        ("qwen2_vl", "<|im_end|>", "<|endoftext|>"),
        ("internvl", "<|im_end|>", "<|endoftext|>"),
        ("llava", "</s>", "<pad>"),
    ],
)
def test_generation_ends_and_pads_with_the_tokenizers_own_tokens(
    model_type: ModelType, end: str, pad: str, tiny_checkpoint: Callable[[ModelType], Path]
) -> None:
    folder = tiny_checkpoint(model_type)
    tokenizer = AutoProcessor.from_pretrained(folder).tokenizer
    generation = AutoModelForImageTextToText.from_pretrained(folder).generation_config
    assert tokenizer.convert_ids_to_tokens(generation.eos_token_id) == end
    assert tokenizer.convert_ids_to_tokens(generation.pad_token_id) == pad


def test_who_may_read_its_other_files_may_read_its_weights(tiny_checkpoint: Callable[[ModelType], Path]) -> None:
    folder = tiny_checkpoint("qwen2_vl")
    assert (folder / "model.safetensors").stat().st_mode == (folder / "config.json").stat().st_mode


def test_a_file_in_the_way_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        build_tiny_checkpoint(tmp_path / "file", "qwen2_vl", ["a red circle"])


def test_equal_seeds_give_equal_weights_and_leave_the_callers_random_state_alone(tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        build_tiny_checkpoint(tmp_path / name, "qwen2_vl", ["a red circle"], seed)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in "abc"]
    assert weights[0] == weights[1] != weights[2]
    assert torch.equal(torch.random.get_rng_state(), before)
