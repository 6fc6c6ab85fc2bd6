"""QLoRA (arXiv 2305.14314): adapters on a language model whose linear layers are kept in 4 bits.

NF4 in blocks of 64 whose scales are quantised again: 0.516 bytes a weight. Each layer is turned to the width that it
computes in whenever it is used. Not quantised are
- the image encoder and what leads from it: boxes are read from what it sees, no adapter there could make up for the
  error, and it is a twelfth of a 7B model;
- the head, whose weights TRL's fused head multiplies by itself, and the embedding.

peft's `prepare_model_for_kbit_training` is not called: peft freezes the weights and TRL asks for the inputs' gradients
without it, and its casts to float32 would double what is not quantised, though Qwen's norms compute in float32 anyway.
"""

from importlib.util import find_spec
from typing import Any

import torch
from transformers import BitsAndBytesConfig
from transformers.integrations import replace_with_bnb_linear

from r1sgg_cli.errors import ConfigError

_ALL_BUT_THE_LANGUAGE_MODEL = r"(?!model\.language_model\.)"  # a pattern that transformers looks for at a name's start


def four_bits(compute_dtype: torch.dtype) -> BitsAndBytesConfig:
    """How transformers is to load the model. Raises `ConfigError` where bitsandbytes is not installed."""
    if find_spec("bitsandbytes") is None:
        raise ConfigError("`lora.quantize` needs bitsandbytes; `uv sync --extra qlora` installs it")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype,
        llm_int8_skip_modules=[_ALL_BUT_THE_LANGUAGE_MODEL],  # holds for 4 bits, too
    )


def fill_in_four_bits(model: Any, dtype: torch.dtype, device: str) -> None:
    """Give a model without memory (`meta`) random weights, its language model's in 4 bits.

    One matrix at a time is there before it is quantised, as when a checkpoint is loaded.
    """
    replace_with_bnb_linear(model, [_ALL_BUT_THE_LANGUAGE_MODEL], four_bits(dtype))
    layers = [layer for layer in model.modules() if type(layer).__name__ == "Linear4bit"]
    kind = type(layers[0].weight)
    for layer in layers:
        layer.weight.data = torch.empty(0, dtype=dtype, device="meta")
        layer._is_hf_initialized = True
    model.to_empty(device=device)
    for layer in layers:
        weight = torch.randn(layer.out_features, layer.in_features, dtype=dtype, device=device)
        layer.weight = kind(weight, quant_type="nf4", module=layer).to(device)
        if layer.bias is not None:
            layer.bias.data.zero_()
    model.init_weights()


def scales_nbytes(parameter: torch.nn.Parameter) -> int:
    """Bytes of the scales of a parameter in 4 bits, which lie beside it; 0 of any other."""
    state = getattr(parameter, "quant_state", None)
    return 0 if state is None else state.absmax.nbytes + state.state2.absmax.nbytes


def keep_trainable(model: Any) -> None:
    """Keep bitsandbytes 0.50 from packing weights anew for a CPU's own kernel (AVX512-BF16).

    It does so in the first evaluation, such as `generate`; no gradient passes the layer from then on.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def train_adapters_in_float32(model: torch.nn.Module) -> None:
    """Give what is trained the width of every other run, before the optimizer is made.

    TRL 1.16 turns adapters on 4-bit weights to bf16 (trl#7268 excepts DoRA's magnitudes for the reason that holds for
    all): updates of 1e-5 are lost below its resolution.
    """
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
