"""Tiny random checkpoints of each supported family: the real architecture, processor and chat format, 0.6 M weights.

They are for the demo and the tests; sizes are those with which SFT and GRPO were measured to learn synthetic scenes
on a CPU. The tokenizer is trained on the texts that the model will write, and its pre-tokenizer keeps each JSON key
with its punctuation and each whole number in one token: a graph of three objects takes about 45 tokens.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
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

from r1sgg_cli.errors import OutputError
from r1sgg_cli.models.families import ModelType

PATCH_SIZE, MERGE_SIZE = 10, 2
MIN_PIXELS, MAX_PIXELS = 4 * 20 * 20, 256 * 20 * 20
MAX_VOCABULARY = 2048
HIDDEN_SIZE = 128
MAX_POSITIONS = 4096

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END, IMAGE_PAD, VIDEO_PAD = "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"
SPECIAL_TOKENS = (END_OF_TEXT, TURN_START, TURN_END, VISION_START, VISION_END, IMAGE_PAD, VIDEO_PAD)
# One token each, yet ordinary text: decoding with skip_special_tokens must keep them.
ANSWER_TAGS = ("<think>", "</think>", "<answer>", "</answer>")

# In this order: JSON keys with the punctuation around them, object ids, `,450`, words, blanks, other punctuation.
# An id in one token is copied in one look back; in three, a tiny model mixes up the ids of a graph.
PIECES = r"""(?:[\[\]{},"]*"\w+":)+[\["]*|\p{L}[\p{L} _-]*\.\d+|,?\d+| ?\p{L}+|\s+|[^\s\p{L}\d]+"""

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\n' -}}"
    "{%- if message['content'] is string -%}{{- message['content'] -}}"
    "{%- else -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' -%}{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}"
    "{%- elif part['type'] == 'video' -%}{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}"
    "{%- else -%}{{- part['text'] -}}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{- '<|im_end|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)


def build_tiny_checkpoint(folder: Path, family: ModelType, texts: Iterable[str], seed: int = 0) -> None:
    """Write a random checkpoint of `family` that `from_pretrained` loads; the same arguments give the same weights.

    `texts` are prompts and answers as the model will see them: words, numbers and keys in them become single tokens.
    Raises `OutputError` where the folder cannot be made.
    """
    transformers.utils.logging.disable_progress_bar()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write `{folder}`: {error.strerror}; choose another folder") from error
    tokenizer = train_tokenizer(texts)
    random_state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    model = _build_model(family, tokenizer)
    torch.random.set_rng_state(random_state)
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    model.save_pretrained(folder)
    _build_processor(family, tokenizer).save_pretrained(folder)


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer for these texts, with the special tokens and chat template of the Qwen families."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=MAX_VOCABULARY,
        min_frequency=1,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in ANSWER_TAGS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=TURN_END,
        pad_token=END_OF_TEXT,
        additional_special_tokens=[token for token in SPECIAL_TOKENS if token not in (TURN_END, END_OF_TEXT)],
        clean_up_tokenization_spaces=False,
        padding_side="left",
        model_max_length=MAX_POSITIONS,
        chat_template=CHAT_TEMPLATE,
    )


def _build_processor(family: ModelType, tokenizer: PreTrainedTokenizerFast) -> Any:
    processors: dict[ModelType, tuple[type[Any], type[Any]]] = {
        "qwen2_vl": (Qwen2VLProcessor, Qwen2VLVideoProcessor),
        "qwen2_5_vl": (Qwen2_5_VLProcessor, Qwen2VLVideoProcessor),
        "qwen3_vl": (Qwen3VLProcessor, Qwen3VLVideoProcessor),
    }
    processor_class, video_class = processors[family]
    patches = {"patch_size": PATCH_SIZE, "merge_size": MERGE_SIZE, "temporal_patch_size": 2}
    limits = {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS}
    image_processor = Qwen2VLImageProcessor(size=dict(limits), **patches)
    video_processor = video_class(size=dict(limits), **patches)
    return processor_class(image_processor, tokenizer, video_processor, chat_template=CHAT_TEMPLATE)


def _text_config(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
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
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "rope_parameters": {"rope_type": "default", "rope_theta": 100.0, "mrope_section": [4, 6, 6]},
    }


def _vision_config() -> dict[str, Any]:
    return {
        "depth": 2,
        "initializer_range": 0.06,
        "num_heads": 4,
        "patch_size": PATCH_SIZE,
        "spatial_merge_size": MERGE_SIZE,
        "temporal_patch_size": 2,
    }


def _build_model(family: ModelType, tokenizer: PreTrainedTokenizerFast) -> Any:
    text, vision = _text_config(tokenizer), _vision_config()
    config_class: type[Any]
    model_class: type[Any]
    if family == "qwen2_vl":
        config_class, model_class = Qwen2VLConfig, Qwen2VLForConditionalGeneration
        vision |= {"embed_dim": 64, "hidden_size": HIDDEN_SIZE, "mlp_ratio": 4}
    elif family == "qwen2_5_vl":
        config_class, model_class = Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
        vision |= {"hidden_size": 64, "out_hidden_size": HIDDEN_SIZE, "intermediate_size": 256}
        # Windows of 2×2 merged patches in the first layer, the whole image in the second.
        vision |= {"window_size": 2 * MERGE_SIZE * PATCH_SIZE, "fullatt_block_indexes": [1]}
    else:
        config_class, model_class = Qwen3VLConfig, Qwen3VLForConditionalGeneration
        vision |= {"hidden_size": 64, "out_hidden_size": HIDDEN_SIZE, "intermediate_size": 256}
        vision |= {"num_position_embeddings": 100, "deepstack_visual_indexes": [0]}
        text |= {"head_dim": 32}
        # Its sections are interleaved and need a first one that is at least as long as the others.
        text["rope_parameters"] |= {"mrope_section": [6, 5, 5], "mrope_interleaved": True}
    tokens = {
        "image_token_id": IMAGE_PAD,
        "video_token_id": VIDEO_PAD,
        "vision_start_token_id": VISION_START,
        "vision_end_token_id": VISION_END,
    }
    token_ids = {field: tokenizer.convert_tokens_to_ids(token) for field, token in tokens.items()}
    config = config_class(text_config=text, vision_config=vision, tie_word_embeddings=True, **token_ids)
    return model_class(config).to(torch.float32)
