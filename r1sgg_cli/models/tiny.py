"""Tiny random checkpoints of each supported family: the real architecture, processor and chat format, 0.6 M weights.

They are for the demo and the tests; sizes are those with which SFT and GRPO were measured to learn synthetic scenes
on a CPU. The tokenizer is trained on the texts that the model will write.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import (
    CLIPImageProcessor,
    GenerationConfig,
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from r1sgg_cli.errors import OutputError, first_line
from r1sgg_cli.files import follow_umask
from r1sgg_cli.models.families import ModelType
from r1sgg_cli.models.tiny_tokenizer import CHAT_FORMATS, MAX_POSITIONS, train_tokenizer

PATCH_SIZE, MERGE_SIZE = 10, 2
MIN_PIXELS, MAX_PIXELS = 4 * 20 * 20, 256 * 20 * 20
TILE_SIDE = 40
"""InternVL's: 2×2 image tokens a tile, so that small images already make several."""
SQUARE_SIDE, SQUARE_PATCH_SIZE = 100, 20
"""LLaVA's: 5×5 image tokens, which it does not merge."""
HIDDEN_SIZE = 128


def build_tiny_checkpoint(folder: Path, family: ModelType, texts: Iterable[str], seed: int = 0) -> None:
    """Write a random checkpoint of `family` that `from_pretrained` loads; the same arguments give the same weights.

    `texts` are prompts and answers as the model will see them: words, numbers and keys in them become single tokens.
    Raises `OutputError` where the folder cannot be written.
    """
    transformers.utils.logging.disable_progress_bar()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write `{folder}`: {error.strerror}; choose another folder") from error
    tokenizer = train_tokenizer(texts, CHAT_FORMATS[family])
    random_state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    model = _MODELS[family](tokenizer).to(torch.float32)
    torch.random.set_rng_state(random_state)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    try:
        model.save_pretrained(folder)
        _PROCESSORS[family](tokenizer).save_pretrained(folder)
        follow_umask(folder)
    except (OSError, SafetensorError) as error:
        reason = first_line(error)
        raise OutputError(f"cannot write `{folder}`: {reason}; free some space or choose another folder") from error


def _qwen_processor(processor_class: type[Any], video_class: type[Any], tokenizer: PreTrainedTokenizerFast) -> Any:
    patches = {"patch_size": PATCH_SIZE, "merge_size": MERGE_SIZE, "temporal_patch_size": 2}
    limits = {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS}
    image_processor = Qwen2VLImageProcessor(size=dict(limits), **patches)
    video_processor = video_class(size=dict(limits), **patches)
    return processor_class(image_processor, tokenizer, video_processor, chat_template=tokenizer.chat_template)


def _internvl_processor(tokenizer: PreTrainedTokenizerFast) -> Any:
    size = {"height": TILE_SIDE, "width": TILE_SIDE}
    return InternVLProcessor(
        GotOcr2ImageProcessor(size=dict(size)),
        tokenizer,
        InternVLVideoProcessor(size=dict(size)),
        image_seq_length=(TILE_SIDE // PATCH_SIZE // MERGE_SIZE) ** 2,
        chat_template=tokenizer.chat_template,
    )


def _llava_processor(tokenizer: PreTrainedTokenizerFast) -> Any:
    return LlavaProcessor(
        CLIPImageProcessor(
            size={"shortest_edge": SQUARE_SIDE}, crop_size={"height": SQUARE_SIDE, "width": SQUARE_SIDE}
        ),
        tokenizer,
        patch_size=SQUARE_PATCH_SIZE,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # CLIP's class token, which "default" leaves out
        chat_template=tokenizer.chat_template,
    )


_PROCESSORS: Mapping[ModelType, Callable[[PreTrainedTokenizerFast], Any]] = {
    "qwen2_vl": lambda tokenizer: _qwen_processor(Qwen2VLProcessor, Qwen2VLVideoProcessor, tokenizer),
    "qwen2_5_vl": lambda tokenizer: _qwen_processor(Qwen2_5_VLProcessor, Qwen2VLVideoProcessor, tokenizer),
    "qwen3_vl": lambda tokenizer: _qwen_processor(Qwen3VLProcessor, Qwen3VLVideoProcessor, tokenizer),
    "internvl": _internvl_processor,
    "llava": _llava_processor,
}


def _text_config(tokenizer: PreTrainedTokenizerFast, **rope: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": HIDDEN_SIZE,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": MAX_POSITIONS,
        "initializer_range": 0.06,
        "tie_word_embeddings": True,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "rope_parameters": {"rope_type": "default", "rope_theta": 100.0, **rope},
    }


def _qwen_vision() -> dict[str, Any]:
    return {
        "depth": 2,
        "initializer_range": 0.06,
        "num_heads": 4,
        "patch_size": PATCH_SIZE,
        "spatial_merge_size": MERGE_SIZE,
        "temporal_patch_size": 2,
    }


def _qwen_tokens(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    tokens = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    return {field: tokenizer.convert_tokens_to_ids(token) for field, token in tokens.items()}


def _qwen2_vl(tokenizer: PreTrainedTokenizerFast) -> Any:
    text = _text_config(tokenizer, mrope_section=[4, 6, 6])
    vision = _qwen_vision() | {"embed_dim": 64, "hidden_size": HIDDEN_SIZE, "mlp_ratio": 4}
    tokens = _qwen_tokens(tokenizer)
    config = Qwen2VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True, **tokens)
    return Qwen2VLForConditionalGeneration(config)


def _qwen2_5_vl(tokenizer: PreTrainedTokenizerFast) -> Any:
    text = _text_config(tokenizer, mrope_section=[4, 6, 6])
    vision = _qwen_vision() | {"hidden_size": 64, "out_hidden_size": HIDDEN_SIZE, "intermediate_size": 256}
    # Windows of 2×2 merged patches in the first layer, the whole image in the second.
    vision |= {"window_size": 2 * MERGE_SIZE * PATCH_SIZE, "fullatt_block_indexes": [1]}
    tokens = _qwen_tokens(tokenizer)
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True, **tokens)
    return Qwen2_5_VLForConditionalGeneration(config)


def _qwen3_vl(tokenizer: PreTrainedTokenizerFast) -> Any:
    # Its sections are interleaved and need a first one that is at least as long as the others.
    text = _text_config(tokenizer, mrope_section=[6, 5, 5], mrope_interleaved=True) | {"head_dim": 32}
    vision = _qwen_vision() | {"hidden_size": 64, "out_hidden_size": HIDDEN_SIZE, "intermediate_size": 256}
    vision |= {"num_position_embeddings": 100, "deepstack_visual_indexes": [0]}
    tokens = _qwen_tokens(tokenizer)
    config = Qwen3VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True, **tokens)
    return Qwen3VLForConditionalGeneration(config)


def _square_vision(side: int, patch_size: int, num_layers: int) -> dict[str, Any]:
    return {
        "hidden_size": 64,
        "intermediate_size": 256,
        "num_hidden_layers": num_layers,
        "num_attention_heads": 4,
        "image_size": side,
        "patch_size": patch_size,
        "initializer_range": 0.06,
    }


def _internvl(tokenizer: PreTrainedTokenizerFast) -> Any:
    config = InternVLConfig(
        text_config=_text_config(tokenizer) | {"model_type": "qwen2"},
        vision_config=_square_vision(TILE_SIDE, PATCH_SIZE, num_layers=2),
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=(TILE_SIDE // PATCH_SIZE // MERGE_SIZE) ** 2,
        downsample_ratio=1 / MERGE_SIZE,
    )
    return InternVLForConditionalGeneration(config)


def _llava(tokenizer: PreTrainedTokenizerFast) -> Any:
    config = LlavaConfig(
        text_config=_text_config(tokenizer) | {"model_type": "llama"},
        vision_config=_square_vision(SQUARE_SIDE, SQUARE_PATCH_SIZE, num_layers=3)  # the last one is not used
        | {"model_type": "clip_vision_model"},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=(SQUARE_SIDE // SQUARE_PATCH_SIZE) ** 2,
        tie_word_embeddings=True,
    )
    return LlavaForConditionalGeneration(config)


_MODELS: Mapping[ModelType, Callable[[PreTrainedTokenizerFast], Any]] = {
    "qwen2_vl": _qwen2_vl,
    "qwen2_5_vl": _qwen2_5_vl,
    "qwen3_vl": _qwen3_vl,
    "internvl": _internvl,
    "llava": _llava,
}
