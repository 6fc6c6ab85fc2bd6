"""Config.json contents: of published models, of every variant, and of small models whose memory is in one place."""

from typing import Any, Literal

from r1sgg_cli.launch.config_json import load_config

Kind = Literal["wide", "deep", "vocabulary", "vision"]
SIZES: dict[Kind, dict[str, int]] = {
    "wide": {"layers": 2, "hidden": 256, "inner": 3072, "vocabulary": 300, "vision_layers": 1, "vision_width": 64},
    "deep": {"layers": 24, "hidden": 256, "inner": 512, "vocabulary": 300, "vision_layers": 1, "vision_width": 64},
    "vocabulary": {
        "layers": 2,
        "hidden": 256,
        "inner": 512,
        "vocabulary": 60_000,
        "vision_layers": 1,
        "vision_width": 64,
    },
    "vision": {"layers": 1, "hidden": 64, "inner": 128, "vocabulary": 300, "vision_layers": 8, "vision_width": 256},
}
FAMILY_NAMES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "internvl")
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
VARIANTS: dict[str, dict[str, Any]] = {
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


def published_config(model: str) -> dict[str, Any]:
    """The config.json of a model that this package knows."""
    found = load_config(model, fetch=False)
    assert found is not None
    return found[0]


def config_of(family: str, kind: Kind) -> dict[str, Any]:
    """The config.json of a small model of a trainable family: its MLPs are wide, its layers many, and so on."""
    size = SIZES[kind]
    heads, half = 8, size["hidden"] // 16
    third = half * 3 // 8
    text: dict[str, Any] = {
        "hidden_size": size["hidden"],
        "intermediate_size": size["inner"],
        "num_hidden_layers": size["layers"],
        "num_attention_heads": heads,
        "num_key_value_heads": 2,
        "vocab_size": size["vocabulary"],
        "max_position_embeddings": 4096,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    rope = {"type": "mrope", "mrope_section": [half - 2 * third, third, third]}
    vision: dict[str, Any] = {
        "depth": size["vision_layers"],
        "hidden_size": size["vision_width"],
        "intermediate_size": 4 * size["vision_width"],
        "out_hidden_size": size["hidden"],
        "num_heads": 4,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    }
    tokens = {"image_token_id": 3, "video_token_id": 4, "vision_start_token_id": 5, "vision_end_token_id": 6}
    named = {"model_type": family, "tie_word_embeddings": True, **tokens}
    match family:
        case "qwen2_vl":
            del vision["intermediate_size"], vision["out_hidden_size"]
            vision |= {"embed_dim": size["vision_width"], "hidden_size": size["hidden"], "patch_size": 14}
            return {**named, **text, "rope_scaling": rope, "vision_config": vision}
        case "qwen2_5_vl":
            return {**named, **text, "rope_scaling": rope, "vision_config": vision | {"patch_size": 14}}
        case "qwen3_vl":
            text |= {"head_dim": size["hidden"] // heads}
            # Its sections are interleaved and need a first one that is at least as long as the others.
            text |= {
                "rope_scaling": {"rope_type": "default", "mrope_section": [half - 2 * (half // 3), *[half // 3] * 2]}
            }
            deep = {"patch_size": 16, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
            return {**named, "text_config": text, "vision_config": vision | deep}
        case _:
            square = {"image_size": 112, "patch_size": 14, "num_attention_heads": 4}
            square |= {"num_hidden_layers": vision["depth"], "hidden_size": vision["hidden_size"]}
            square |= {"intermediate_size": vision["intermediate_size"]}
            return {
                "model_type": "internvl",
                "image_token_id": 3,
                "text_config": text | {"model_type": "qwen2"},
                "vision_config": square,
            }
