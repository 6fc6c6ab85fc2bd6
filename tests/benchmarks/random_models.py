"""Random models at real shapes, and rows as large as real ones: what the trainers' benchmarks train."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from PIL import Image
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, Qwen2VLImageProcessor

from r1sgg_cli.data.prompts import Prompting, format_answer, system_prompt, user_prompt
from r1sgg_cli.data.rows import FEATURES, ground_truth_graph, make_row
from r1sgg_cli.launch.config_json import load_config
from r1sgg_cli.models.families import FAMILIES
from r1sgg_cli.models.tiny import build_tiny_checkpoint
from r1sgg_cli.scene_graph.graph import graph_from_rows

SMALL: dict[str, Any] = {
    "model_type": "qwen2_vl",
    "hidden_size": 128,
    "intermediate_size": 640,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 4096,
    "tie_word_embeddings": True,
    "vision_config": {
        **{"depth": 4, "embed_dim": 96, "hidden_size": 128, "mlp_ratio": 4, "num_heads": 4},
        **{"patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2},
    },
}
"""A twenty-fifth of the 2B model's width and depth in each of its parts, with a vocabulary to match."""
PHOTO_WH = ((500, 375), (375, 500), (500, 333), (640, 480), (800, 600), (600, 800), (1024, 768), (1024, 683))
TOKENS_PER_OBJECT, TOKENS_PER_RELATIONSHIP = 9, 6


def photos(shrink: float) -> list[tuple[bytes, tuple[int, int]]]:
    """Encoded files that cost as much to decode as real ones, and their sizes."""
    random = np.random.default_rng(0)
    files = []
    for width, height in PHOTO_WH:
        coarse = Image.fromarray(random.integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8))
        size_wh = (round(width / shrink), round(height / shrink))
        buffer = io.BytesIO()
        coarse.resize(size_wh, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=88)
        files.append((buffer.getvalue(), size_wh))
    return files


def rows(num_rows: int, shrink: float) -> Dataset:
    """Rows whose answers have from 50 to 600 tokens (less where it all is shrunk), 200 in the middle."""
    random = np.random.default_rng(1)
    files = photos(shrink)
    made = []
    for number in range(num_rows):
        content, (width, height) = files[random.integers(len(files))]
        num_tokens = float(np.clip(random.lognormal(np.log(200), 0.6), 50, 600)) / shrink
        num_objects = max(2, round(0.7 * num_tokens / TOKENS_PER_OBJECT))
        starts = random.integers(0, (width // 2, height // 2), (num_objects, 2))
        ends = starts + random.integers(8, (width // 2, height // 2), (num_objects, 2))
        boxes = np.concatenate([starts, ends], axis=1).tolist()
        objects = [{"id": f"thing.{i + 1}", "bbox": box} for i, box in enumerate(boxes)]
        pairs = random.integers(0, num_objects, (max(1, round(0.3 * num_tokens / TOKENS_PER_RELATIONSHIP)), 2))
        relationships = [
            {"subject": f"thing.{a + 1}", "predicate": "near", "object": f"thing.{b + 1}"} for a, b in pairs.tolist()
        ]
        graph = graph_from_rows(objects, relationships, (float(width), float(height)))
        made.append(make_row(f"row-{number}", content, graph))
    return Dataset.from_list(made, features=FEATURES)


def processor_of(family: str, examples: Dataset, folder: Path) -> Any:
    """The family's processor with the published models' patches, and a tokenizer that knows the rows' texts."""
    first = {name: examples[0][name] for name in examples.column_names if name != "image"}
    box_sentence = FAMILIES[family].box_sentence
    prompting = Prompting(think=False, predefined=False)
    texts = [system_prompt(prompting), user_prompt(first, prompting, box_sentence, None)]
    texts += [format_answer(ground_truth_graph(row)) for row in examples.select(range(8))]
    build_tiny_checkpoint(folder, family, texts)  # type: ignore[arg-type]
    processor = AutoProcessor.from_pretrained(folder)
    limits = {"shortest_edge": 4 * 28 * 28, "longest_edge": 16_384 * 28 * 28}
    processor.image_processor = Qwen2VLImageProcessor(size=limits, patch_size=14, merge_size=2, temporal_patch_size=2)
    return processor


def model_of(config: Mapping[str, Any], processor: Any, device: str, lora: bool) -> Any:
    """Random weights of the shape; those under adapters in bf16, as `r1sgg sft` loads them."""
    values = json.loads(json.dumps(dict(config)))
    half = values["hidden_size"] // values["num_attention_heads"] // 2
    values["rope_scaling"] = {"type": "mrope", "mrope_section": [half - 2 * (half * 3 // 8), *[half * 3 // 8] * 2]}
    names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
    names |= {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}
    values |= {key: processor.tokenizer.convert_tokens_to_ids(token) for key, token in names.items()}
    torch.manual_seed(0)
    with torch.device(device):
        kind = AutoConfig.for_model(values.pop("model_type"), **values)
        dtype = torch.bfloat16 if lora and device == "cuda" else torch.float32
        model = AutoModelForImageTextToText.from_config(kind, dtype=dtype)
    for named in (model.config, model.generation_config):
        named.eos_token_id, named.pad_token_id = processor.tokenizer.eos_token_id, processor.tokenizer.pad_token_id
    return model


def published(model: str) -> dict[str, Any]:
    """The config.json of a folder, or of a name that this package knows."""
    found = load_config(model, fetch=False)
    assert found is not None, f"nothing is known of {model}"
    return found[0]
