"""The shapes of image encoders, as transformers builds them: the one of all Qwen-VL, and the one of square images."""

from r1sgg_cli.launch.config_json import ConfigFields
from r1sgg_cli.launch.shape import Linears, Tiling, VisionShape


def qwen_encoder(
    vision: ConfigFields,
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


def square_encoder(
    vision: ConfigFields,
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


def num_square_patches(vision: ConfigFields) -> int:
    """Patches of the square image that an encoder takes. Raises `ModelError` where a side is missing."""
    return (vision.number("image_size") // vision.number("patch_size")) ** 2
