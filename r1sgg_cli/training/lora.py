"""Low-rank adapters: which layers get one, and how it is merged into the model it was trained on."""

import re
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from r1sgg_cli.config.schema import Lora
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.models.checkpoint import load_checkpoint

_ALL_LINEAR = "all-linear"
_LANGUAGE_MODEL = "model.language_model."


def lora_config(lora: Lora | None, model: Any) -> LoraConfig | None:
    """peft's configuration for TRL; None trains all weights. Raises `ConfigError` where no layer would get an adapter.

    `all-linear` is all of the language model's linear layers here; peft's own would take the image encoder's as well.
    """
    if lora is None:
        return None
    targets = _linear_layers_of_language(model) if lora.target_modules == _ALL_LINEAR else lora.target_modules
    _insist_on_some(targets, model)
    return LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets, task_type="CAUSAL_LM"
    )


def _linear_layers_of_language(model: Any) -> str:
    """A pattern of their full names, which stays short in a 64-layer model."""
    names = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    leaves = sorted({name.rpartition(".")[2] for name in names if name.startswith(_LANGUAGE_MODEL)})
    return rf".*\.?{re.escape(_LANGUAGE_MODEL)}.*\.({'|'.join(leaves)})"


def _insist_on_some(targets: str | list[str], model: Any) -> None:
    """By peft's own rule: a text is a pattern of the whole name, a list holds ends of names."""
    names = [name for name, _ in model.named_modules()]
    if isinstance(targets, str):
        found = any(re.fullmatch(targets, name) for name in names)
    else:
        found = any(name == end or name.endswith(f".{end}") for name in names for end in targets)
    if not found:
        raise ConfigError(f"`lora.target_modules` {targets} names no layer of this model; `{_ALL_LINEAR}` fits any")


def save_merged(model: str, adapter: Path, folder: Path) -> None:
    """Write the checkpoint that `model` is with the adapter in its weights, in float32; all of it on the CPU.

    These are the checkpoint's own weights also where the adapter was trained on their 4-bit values (QLoRA), which the
    finished model has no part of: it answers a little differently than the model did while it was trained.
    """
    unset_hf_deepspeed_config()  # under ZeRO-3 one process alone would wait for its shards for ever
    processor, base = load_checkpoint(model, torch.float32)
    merged = PeftModel.from_pretrained(base, str(adapter)).merge_and_unload()
    merged.save_pretrained(folder)
    processor.save_pretrained(folder)
