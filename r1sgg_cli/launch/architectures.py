"""The shape that a config.json describes, family by family, as transformers builds its classes from it."""

from collections.abc import Callable, Mapping
from typing import Any

from r1sgg_cli.errors import ModelError
from r1sgg_cli.launch.config_json import ConfigFields, load_config
from r1sgg_cli.launch.encoders import num_square_patches, qwen_encoder, square_encoder
from r1sgg_cli.launch.shape import Linears, ModelShape, VisionShape

_LLAMA = {  # LLaVA-1.5's config.json leaves out what is Llama's default
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
}


NOT_TRAINED = frozenset({"llava"})
"""Families that are asked and evaluated alone; `models/families.py` says the same to those who may import it."""
SAMPLED_BY_VLLM = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
"""Families of which vLLM and the trainer were seen to read the same prompt."""


def insist_on_trainable(model_type: str, model: str, *, by_vllm: bool) -> None:
    """Refuse a model that no worker would train, before it waits in a queue. Raises `ModelError`."""
    if model_type in NOT_TRAINED:
        raise ModelError(f"`{model}` has model_type `{model_type}`, which this version asks and evaluates, not trains")
    if by_vllm and model_type not in SAMPLED_BY_VLLM:
        raise ModelError(
            f"rollouts by vLLM were seen to be right for {', '.join(SAMPLED_BY_VLLM)}, not for `{model_type}`; "
            "use `--set preset.rollouts=transformers`"
        )


def load_shape(model: str) -> ModelShape:
    """The shape of a checkpoint that is here or can be fetched. Raises `ModelError`."""
    loaded = load_config(model, fetch=True)
    assert loaded is not None, "what is fetched is there"
    return parse_shape(loaded[0], model)


def parse_shape(config: Mapping[str, Any], model: str) -> ModelShape:
    """The shape that a checkpoint's config.json describes, in the nested or the flat published layout.

    `model` names it in messages. Raises `ModelError` for an unknown family and for the first field that is missing.
    """
    model_type = str(config.get("model_type"))
    if model_type not in _FAMILIES:
        raise ModelError(
            f"`{model}` has model_type `{model_type}`, of which no memory forecast is made; "
            f"there is one for {', '.join(_FAMILIES)}"
        )
    nested = config.get("text_config")
    text = ConfigFields(nested if isinstance(nested, Mapping) else config, model, "text_config" if nested else "config")
    vision = ConfigFields(config.get("vision_config", {}), model, "vision_config")
    return _FAMILIES[model_type](ConfigFields(config, model, "config"), text, vision)


def _language(
    text: ConfigFields,
    vision: VisionShape,
    *,
    head_dim: int,
    qkv_bias: bool,
    o_bias: bool,
    mlp_bias: bool,
    norms_heads: bool,
    is_tied: bool,
) -> ModelShape:
    layers, hidden, inner = (text.number(name) for name in ("num_hidden_layers", "hidden_size", "intermediate_size"))
    heads = text.number("num_attention_heads")
    kv_heads = text.number("num_key_value_heads", heads)
    linears = (
        Linears(layers, hidden, heads * head_dim, qkv_bias),
        Linears(2 * layers, hidden, kv_heads * head_dim, qkv_bias),
        Linears(layers, heads * head_dim, hidden, o_bias),
        Linears(2 * layers, hidden, inner, mlp_bias),
        Linears(layers, inner, hidden, mlp_bias),
    )
    return ModelShape(
        num_layers=layers,
        hidden_size=hidden,
        intermediate_size=inner,
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        vocab_size=text.number("vocab_size"),
        max_tokens=text.number("max_position_embeddings", 32_768),  # Qwen2-VL's, where a checkpoint does not say
        is_tied=is_tied,
        norms_heads=norms_heads,
        linears=linears,
        norms=(2 * layers + 1) * hidden + (2 * layers * head_dim if norms_heads else 0),
        vision=vision,
    )


def _qwen2(config: ConfigFields, text: ConfigFields, vision: VisionShape) -> ModelShape:
    """Qwen2-VL and Qwen2.5-VL; before transformers 5 the text part said if the head is tied."""
    return _language(
        text,
        vision,
        head_dim=text.number("hidden_size") // text.number("num_attention_heads"),
        qkv_bias=True,
        o_bias=False,
        mlp_bias=False,
        norms_heads=False,
        is_tied=config.flag("tie_word_embeddings", False) or text.flag("tie_word_embeddings", False),
    )


def _qwen2_vl(config: ConfigFields, text: ConfigFields, vision: ConfigFields) -> ModelShape:
    width = vision.number("embed_dim")
    inner = width * vision.number("mlp_ratio", 4)
    return _qwen2(
        config, text, qwen_encoder(vision, width, inner, vision.number("hidden_size"), norm=2 * width, mlp_tensors=3)
    )


def _qwen2_5_vl(config: ConfigFields, text: ConfigFields, vision: ConfigFields) -> ModelShape:
    width = vision.number("hidden_size")
    inner, out = vision.number("intermediate_size"), vision.number("out_hidden_size")
    return _qwen2(config, text, qwen_encoder(vision, width, inner, out, norm=width, mlp_tensors=4, is_gated=True))


def _qwen3_vl(config: ConfigFields, text: ConfigFields, vision: ConfigFields) -> ModelShape:
    width = vision.number("hidden_size")
    inner, out = vision.number("intermediate_size"), vision.number("out_hidden_size")
    deep = len(vision.values.get("deepstack_visual_indexes") or ())
    merged = width * vision.number("spatial_merge_size", 2) ** 2
    more = width + vision.number("num_position_embeddings") * width + deep * 2 * merged  # bias, positions, norms
    shape = qwen_encoder(vision, width, inner, out, norm=2 * width, mlp_tensors=2, num_mergers=1 + deep, rest=more)
    bias = text.flag("attention_bias", False)
    return _language(
        text,
        shape,
        head_dim=text.number("head_dim", 128),
        qkv_bias=bias,
        o_bias=bias,
        mlp_bias=False,
        norms_heads=True,
        is_tied=config.flag("tie_word_embeddings", False),
    )


def _llama(text: ConfigFields, vision: VisionShape, *, is_tied: bool) -> ModelShape:
    """The language model of InternVL and LLaVA: a Qwen2, a Qwen3 or a Llama, as its own config says."""
    kind = str(text.values.get("model_type"))
    if kind not in ("qwen2", "qwen3", "llama"):
        raise ModelError(
            f"`{text.model}` has a language model of type `{kind}`, of which no memory forecast is made; "
            "there is one for qwen2, qwen3 and llama"
        )
    if kind == "llama":
        text = ConfigFields({**_LLAMA, **text.values}, text.model, text.where)
    heads = text.number("num_attention_heads")
    bias = text.flag("attention_bias", False)
    return _language(
        text,
        vision,
        head_dim=text.number("head_dim", 128 if kind == "qwen3" else text.number("hidden_size") // heads),
        qkv_bias=bias or kind == "qwen2",
        o_bias=bias and kind != "qwen2",
        mlp_bias=text.flag("mlp_bias", False) and kind == "llama",
        norms_heads=kind == "qwen3",
        is_tied=is_tied,
    )


def _internvl(config: ConfigFields, text: ConfigFields, vision: ConfigFields) -> ModelShape:
    width, merge = vision.number("hidden_size"), round(1 / float(config.values.get("downsample_ratio", 0.5)))
    layers, patches = vision.number("num_hidden_layers"), num_square_patches(vision)
    channels = vision.number("num_channels", 3) * vision.number("patch_size") ** 2
    norm = (2 if vision.values.get("norm_type", "layer_norm") == "layer_norm" else 1) * width
    positions = (patches + 1) * width if vision.flag("use_absolute_position_embeddings", True) else 0
    rest = (channels + 1) * width + positions + width + width * vision.flag("use_mask_token", False)
    rest += layers * (2 * norm + 2 * width + 2 * width * vision.flag("use_qk_norm", False))
    rest += 0 if vision.flag("use_mean_pooling", True) else 2 * width
    merged, out = width * merge**2, text.number("hidden_size")
    shape = square_encoder(
        vision,
        merge,
        "tiles",
        qkv_bias=vision.flag("attention_bias", False),
        rest=rest,
        projector=(Linears(1, merged, out, bias=True), Linears(1, out, out, bias=True)),
        projector_rest=2 * merged,
    )
    return _llama(text, shape, is_tied=config.flag("tie_word_embeddings", True))


def _llava(config: ConfigFields, text: ConfigFields, vision: ConfigFields) -> ModelShape:
    text = ConfigFields({"model_type": "llama", **text.values}, text.model, text.where)
    width, layers = vision.number("hidden_size"), vision.number("num_hidden_layers")
    channels = vision.number("num_channels", 3) * vision.number("patch_size") ** 2
    rest = channels * width + width + (num_square_patches(vision) + 1) * width + (2 * layers + 2) * 2 * width
    feature = config.values.get("vision_feature_layer", -2)
    inputs = width * (len(feature) if isinstance(feature, list) else 1)
    out = text.number("hidden_size", _LLAMA["hidden_size"])
    bias = config.flag("multimodal_projector_bias", True)
    shape = square_encoder(
        vision,
        1,
        "square",
        qkv_bias=True,
        rest=rest,
        projector=(Linears(1, inputs, out, bias), Linears(1, out, out, bias)),
        projector_rest=0,
    )
    is_tied = config.flag("tie_word_embeddings", False) or text.flag("tie_word_embeddings", False)
    return _llama(text, shape, is_tied=is_tied)


_FAMILIES: Mapping[str, Callable[[ConfigFields, ConfigFields, ConfigFields], ModelShape]] = {
    "qwen2_vl": _qwen2_vl,
    "qwen2_5_vl": _qwen2_5_vl,
    "qwen3_vl": _qwen3_vl,
    "internvl": _internvl,
    "llava": _llava,
}
