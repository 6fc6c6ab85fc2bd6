"""The shape of a model: what its config.json says about its weights and tokens, without loading anything.

Counts are exact: they equal the number of elements of transformers' own classes, parameter by parameter. A tied head
is counted once, as transformers does.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import huggingface_hub

from r1sgg_cli.errors import ModelError, why_unfetched
from r1sgg_cli.files import missing_local

Tiling = Literal["area", "tiles", "square"]
"""How an image becomes tokens: by its area, in square tiles with an overview, or as one square."""

_PUBLISHED = Path(__file__).with_name("published_shapes.json")
_PROCESSOR_MAX_TILES = 12  # of transformers' GotOcr2ImageProcessor, which InternVL's processor is
_LLAMA = {  # LLaVA-1.5's config.json leaves out what is Llama's default
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
}


@dataclass(frozen=True, slots=True)
class Linears:
    """Linear layers of one size."""

    count: int
    inputs: int
    outputs: int
    bias: bool = False

    @property
    def num_parameters(self) -> int:
        """Of all of them."""
        return self.count * (self.inputs + self.bias) * self.outputs

    @property
    def num_weights(self) -> int:
        """Without biases."""
        return self.count * self.inputs * self.outputs

    def num_adapters(self, rank: int) -> int:
        """Parameters of low-rank adapters on all of them: two matrices each (arXiv 2106.09685)."""
        return self.count * rank * (self.inputs + self.outputs)


@dataclass(frozen=True, slots=True)
class VisionShape:
    """The image encoder and what leads from it to the language model."""

    num_layers: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    is_gated: bool
    """Whether its MLP multiplies two halves, as Qwen2.5-VL's does."""
    mlp_tensors: int
    """Tensors of the inner width that an MLP saves: 4 gated, 3 with quick GELU, which is two steps, 2 with GELU."""
    patch_size: int
    image_size: int
    """Pixels along one side of a tile or square; 0 where images keep their size."""
    merge_size: int
    """Patches along one side of an image token."""
    pixels_per_patch: int
    """Numbers that the encoder is given for one patch."""
    tiling: Tiling
    tower: tuple[Linears, ...]
    tower_rest: int
    """Parameters of the encoder that are no linear layer's: patches, positions, norms."""
    projector: tuple[Linears, ...]
    projector_rest: int
    projector_is_in_tower: bool
    """Whether freezing the encoder freezes the projector too, as transformers' modules are nested."""

    @property
    def tower_parameters(self) -> int:
        """Of the encoder without the projector."""
        return sum(part.num_parameters for part in self.tower) + self.tower_rest

    @property
    def projector_parameters(self) -> int:
        """Of what leads to the language model: merger, projector."""
        return sum(part.num_parameters for part in self.projector) + self.projector_rest

    @property
    def num_parameters(self) -> int:
        """Of encoder and projector."""
        return self.tower_parameters + self.projector_parameters

    def frozen_parameters(self) -> int:
        """Of what a run with `freeze_vision` leaves as it is."""
        return self.num_parameters if self.projector_is_in_tower else self.tower_parameters

    def num_patches(self, image_tokens: int) -> int:
        """Positions in the encoder for so many image tokens."""
        patches = image_tokens * self.merge_size**2
        if self.tiling == "area":
            return patches
        per_tile = (self.image_size // self.patch_size) ** 2
        return patches + -(-patches // per_tile)  # a class token for each tile


@dataclass(frozen=True, slots=True)
class ModelShape:
    """What a forecast needs to know about a model."""

    model_type: str
    num_layers: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    vocab_size: int
    is_tied: bool
    """Whether the head is the embedding."""
    norms_heads: bool
    """Whether queries and keys are normalised, as Qwen3's are."""
    linears: tuple[Linears, ...]
    """The language model's, without embedding and head."""
    norms: int
    """Parameters of its norms."""
    vision: VisionShape

    @property
    def embedding_parameters(self) -> int:
        """Of the embedding; as many has the head."""
        return self.vocab_size * self.hidden_size

    @property
    def language_parameters(self) -> int:
        """With embedding and head, a tied one once."""
        embeddings = self.embedding_parameters * (1 if self.is_tied else 2)
        return sum(part.num_parameters for part in self.linears) + self.norms + embeddings

    @property
    def num_parameters(self) -> int:
        """Of the whole model."""
        return self.language_parameters + self.vision.num_parameters

    @property
    def kv_elements_per_token(self) -> int:
        """Numbers that a cache of keys and values holds for one token, in all layers."""
        return 2 * self.num_layers * self.num_kv_heads * self.head_dim

    def image_tokens(self, max_pixels: int) -> int:
        """The most image tokens of an image of at most `max_pixels` (`models/images.py` chooses the size)."""
        vision = self.vision
        if vision.tiling == "area":
            return max_pixels // (vision.patch_size * vision.merge_size) ** 2
        per_tile = (vision.image_size // vision.patch_size // vision.merge_size) ** 2
        if vision.tiling == "square":
            return per_tile
        allowed = max_pixels // vision.image_size**2
        num_tiles = min(_PROCESSOR_MAX_TILES, allowed - 1) if allowed > 2 else 1
        return per_tile * (num_tiles + (num_tiles > 1))


def load_config(model: str, *, fetch: bool) -> tuple[dict[str, Any], str] | None:
    """A checkpoint's config.json and where it was found: its folder, the hub's cache, the hub if `fetch`, this package.

    None where nothing is known of a name on the hub. Raises `ModelError` for a path that holds no checkpoint, for a
    broken config.json, and for a model that cannot be fetched and is not one of those that this package knows.
    """
    folder = Path(model)
    if (folder / "config.json").is_file():
        return _read_config(folder / "config.json", model), "config.json of the folder"
    if folder.is_dir():
        raise ModelError(f"`{model}` is no checkpoint: it holds no `config.json`; give the folder that does")
    if folder.is_file():
        raise ModelError(f"`{model}` is a file, not a checkpoint; give the folder that holds its `config.json`")
    if said := missing_local(model):
        raise ModelError(f"{said}; give a checkpoint's folder, or a name on the hub (`OWNER/NAME`)")
    return _config_of_name(model, fetch)


def _config_of_name(model: str, fetch: bool) -> tuple[dict[str, Any], str] | None:
    published = json.loads(_PUBLISHED.read_text(encoding="utf-8"))["models"].get(model)
    try:
        cached = huggingface_hub.try_to_load_from_cache(model, "config.json")
        if isinstance(cached, str):
            return _read_config(Path(cached), model), "hub cache"
        if fetch:
            return _read_config(Path(huggingface_hub.hf_hub_download(model, "config.json")), model), "hub"
    except (OSError, ValueError) as error:  # no such name, no network, a name that cannot be one
        if published is None:
            raise ModelError(
                f"`{model}` is no checkpoint folder, nor a model that can be fetched: {why_unfetched(error)}"
            ) from error
    return None if published is None else (published, "published shape")


def _read_config(path: Path, model: str) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"`{model}` is not a whole checkpoint: its `config.json` is broken: {error}") from error
    if not isinstance(config, dict):
        raise ModelError(f"`{model}` is not a whole checkpoint: its `config.json` is no JSON object")
    return config


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
    text = _Fields(nested if isinstance(nested, Mapping) else config, model, "text_config" if nested else "config")
    vision = _Fields(config.get("vision_config", {}), model, "vision_config")
    return _FAMILIES[model_type](_Fields(config, model, "config"), text, vision)


class _Fields:
    """A part of a config.json whose numbers are asked for by name."""

    def __init__(self, values: Mapping[str, Any], model: str, where: str) -> None:
        self.values = values
        self.model = model
        self.where = where

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number; the side of a square may be written as a pair."""
        value = self.values.get(name)
        if isinstance(value, list | tuple) and value:
            value = value[0]
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            said = "is missing" if value is None else f"is {value!r}"
            raise ModelError(
                f"`{self.model}`: `{name}` {said} in its config.json ({self.where}); use the checkpoint's own config"
            )
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Whether something is switched on."""
        value = self.values.get(name)
        return default if value is None else bool(value)


def _language(
    config: _Fields,
    text: _Fields,
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
        str(config.values["model_type"]),
        num_layers=layers,
        hidden_size=hidden,
        intermediate_size=inner,
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        vocab_size=text.number("vocab_size"),
        is_tied=is_tied,
        norms_heads=norms_heads,
        linears=linears,
        norms=(2 * layers + 1) * hidden + (2 * layers * head_dim if norms_heads else 0),
        vision=vision,
    )


def _qwen2(config: _Fields, text: _Fields, vision: VisionShape) -> ModelShape:
    """Qwen2-VL and Qwen2.5-VL; before transformers 5 the text part said if the head is tied."""
    return _language(
        config,
        text,
        vision,
        head_dim=text.number("hidden_size") // text.number("num_attention_heads"),
        qkv_bias=True,
        o_bias=False,
        mlp_bias=False,
        norms_heads=False,
        is_tied=config.flag("tie_word_embeddings", False) or text.flag("tie_word_embeddings", False),
    )


def _qwen2_vl(config: _Fields, text: _Fields, vision: _Fields) -> ModelShape:
    width = vision.number("embed_dim")
    inner = width * vision.number("mlp_ratio", 4)
    return _qwen2(
        config, text, _qwen_vision(vision, width, inner, vision.number("hidden_size"), norm=2 * width, mlp_tensors=3)
    )


def _qwen2_5_vl(config: _Fields, text: _Fields, vision: _Fields) -> ModelShape:
    width = vision.number("hidden_size")
    inner, out = vision.number("intermediate_size"), vision.number("out_hidden_size")
    return _qwen2(config, text, _qwen_vision(vision, width, inner, out, norm=width, mlp_tensors=4, is_gated=True))


def _qwen3_vl(config: _Fields, text: _Fields, vision: _Fields) -> ModelShape:
    width = vision.number("hidden_size")
    inner, out = vision.number("intermediate_size"), vision.number("out_hidden_size")
    deep = len(vision.values.get("deepstack_visual_indexes") or ())
    merged = width * vision.number("spatial_merge_size", 2) ** 2
    more = width + vision.number("num_position_embeddings") * width + deep * 2 * merged  # bias, positions, norms
    shape = _qwen_vision(vision, width, inner, out, norm=2 * width, mlp_tensors=2, num_mergers=1 + deep, rest=more)
    bias = text.flag("attention_bias", False)
    return _language(
        config,
        text,
        shape,
        head_dim=text.number("head_dim", 128),
        qkv_bias=bias,
        o_bias=bias,
        mlp_bias=False,
        norms_heads=True,
        is_tied=config.flag("tie_word_embeddings", False),
    )


def _qwen_vision(
    vision: _Fields,
    width: int,
    inner: int,
    out: int,
    *,
    norm: int,
    mlp_tensors: int,
    is_gated: bool = False,
    num_mergers: int = 1,
    rest: int = 0,
) -> VisionShape:
    """The encoder that all Qwen-VL share; `norm` is the parameters of one norm, `rest` what one family has besides."""
    layers, patch = vision.number("depth"), vision.number("patch_size", 14)
    merge = vision.number("spatial_merge_size", 2)
    merged = width * merge**2
    pixels = vision.number("in_channels", 3) * vision.number("temporal_patch_size", 2) * patch**2
    return VisionShape(
        num_layers=layers,
        hidden_size=width,
        intermediate_size=inner,
        num_heads=vision.number("num_heads"),
        is_gated=is_gated,
        mlp_tensors=mlp_tensors,
        patch_size=patch,
        image_size=0,
        merge_size=merge,
        pixels_per_patch=pixels,
        tiling="area",
        tower=(
            Linears(layers, width, 3 * width, bias=True),
            Linears(layers, width, width, bias=True),
            Linears(layers * (2 if is_gated else 1), width, inner, bias=True),
            Linears(layers, inner, width, bias=True),
        ),
        tower_rest=pixels * width + 2 * layers * norm + rest,
        projector=(Linears(num_mergers, merged, merged, bias=True), Linears(num_mergers, merged, out, bias=True)),
        projector_rest=norm,
        projector_is_in_tower=True,
    )


def _llama(config: _Fields, text: _Fields, vision: VisionShape, *, is_tied: bool) -> ModelShape:
    """The language model of InternVL and LLaVA: a Qwen2, a Qwen3 or a Llama, as its own config says."""
    kind = str(text.values.get("model_type"))
    if kind not in ("qwen2", "qwen3", "llama"):
        raise ModelError(
            f"`{text.model}` has a language model of type `{kind}`, of which no memory forecast is made; "
            "there is one for qwen2, qwen3 and llama"
        )
    if kind == "llama":
        text = _Fields({**_LLAMA, **text.values}, text.model, text.where)
    heads = text.number("num_attention_heads")
    bias = text.flag("attention_bias", False)
    return _language(
        config,
        text,
        vision,
        head_dim=text.number("head_dim", 128 if kind == "qwen3" else text.number("hidden_size") // heads),
        qkv_bias=bias or kind == "qwen2",
        o_bias=bias and kind != "qwen2",
        mlp_bias=text.flag("mlp_bias", False) and kind == "llama",
        norms_heads=kind == "qwen3",
        is_tied=is_tied,
    )


def _internvl(config: _Fields, text: _Fields, vision: _Fields) -> ModelShape:
    width, merge = vision.number("hidden_size"), round(1 / float(config.values.get("downsample_ratio", 0.5)))
    layers, patches = vision.number("num_hidden_layers"), _patches_of_square(vision)
    channels = vision.number("num_channels", 3) * vision.number("patch_size") ** 2
    norm = (2 if vision.values.get("norm_type", "layer_norm") == "layer_norm" else 1) * width
    positions = (patches + 1) * width if vision.flag("use_absolute_position_embeddings", True) else 0
    rest = (channels + 1) * width + positions + width + width * vision.flag("use_mask_token", False)
    rest += layers * (2 * norm + 2 * width + 2 * width * vision.flag("use_qk_norm", False))
    rest += 0 if vision.flag("use_mean_pooling", True) else 2 * width
    merged, out = width * merge**2, text.number("hidden_size")
    shape = _square_vision(
        vision,
        merge,
        "tiles",
        qkv_bias=vision.flag("attention_bias", False),
        rest=rest,
        projector=(Linears(1, merged, out, bias=True), Linears(1, out, out, bias=True)),
        projector_rest=2 * merged,
    )
    return _llama(config, text, shape, is_tied=config.flag("tie_word_embeddings", True))


def _llava(config: _Fields, text: _Fields, vision: _Fields) -> ModelShape:
    text = _Fields({"model_type": "llama", **text.values}, text.model, text.where)
    width, layers = vision.number("hidden_size"), vision.number("num_hidden_layers")
    channels = vision.number("num_channels", 3) * vision.number("patch_size") ** 2
    rest = channels * width + width + (_patches_of_square(vision) + 1) * width + (2 * layers + 2) * 2 * width
    feature = config.values.get("vision_feature_layer", -2)
    inputs = width * (len(feature) if isinstance(feature, list) else 1)
    out = text.number("hidden_size", _LLAMA["hidden_size"])
    bias = config.flag("multimodal_projector_bias", True)
    shape = _square_vision(
        vision,
        1,
        "square",
        qkv_bias=True,
        rest=rest,
        projector=(Linears(1, inputs, out, bias), Linears(1, out, out, bias)),
        projector_rest=0,
    )
    is_tied = config.flag("tie_word_embeddings", False) or text.flag("tie_word_embeddings", False)
    return _llama(config, text, shape, is_tied=is_tied)


def _patches_of_square(vision: _Fields) -> int:
    return (vision.number("image_size") // vision.number("patch_size")) ** 2


def _square_vision(
    vision: _Fields,
    merge: int,
    tiling: Tiling,
    *,
    qkv_bias: bool,
    rest: int,
    projector: tuple[Linears, ...],
    projector_rest: int,
) -> VisionShape:
    """The encoder of square images that InternVL and LLaVA share."""
    width, layers = vision.number("hidden_size"), vision.number("num_hidden_layers")
    inner = vision.number("intermediate_size")
    return VisionShape(
        num_layers=layers,
        hidden_size=width,
        intermediate_size=inner,
        num_heads=vision.number("num_attention_heads"),
        is_gated=False,
        mlp_tensors=2 if tiling == "tiles" else 3,
        patch_size=vision.number("patch_size"),
        image_size=vision.number("image_size"),
        merge_size=merge,
        pixels_per_patch=vision.number("num_channels", 3) * vision.number("patch_size") ** 2,
        tiling=tiling,
        tower=(
            Linears(3 * layers, width, width, qkv_bias),
            Linears(layers, width, width, bias=True),
            Linears(layers, width, inner, bias=True),
            Linears(layers, inner, width, bias=True),
        ),
        tower_rest=rest,
        projector=projector,
        projector_rest=projector_rest,
        projector_is_in_tower=False,
    )


_FAMILIES: Mapping[str, Callable[[_Fields, _Fields, _Fields], ModelShape]] = {
    "qwen2_vl": _qwen2_vl,
    "qwen2_5_vl": _qwen2_5_vl,
    "qwen3_vl": _qwen3_vl,
    "internvl": _internvl,
    "llava": _llava,
}
