"""Checkpoints as they are read from disk or the hub: whole, or one line that says what is wrong with them."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import snapshot_download, try_to_load_from_cache
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, GenerationConfig

from r1sgg_cli.errors import ModelError, first_line
from r1sgg_cli.files import folder_fingerprint

# What transformers, tokenizers and safetensors raise for files that are missing, cut short or of another kind.
_BROKEN = (OSError, ValueError, SafetensorError)
# Files of which one each is enough, first the one that is usual.
_PROCESSOR_FILES = (
    ("tokenizer.json", "vocab.json", "tokenizer.model"),
    ("processor_config.json", "preprocessor_config.json"),
)
_WEIGHT_FILES = (
    *("model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
_WEIGHTS = ("config.json", "*.safetensors", "pytorch_model*.bin")


def fetch_checkpoint(model: str) -> None:
    """Bring a hub model's files into the hub's cache, for machines without a network; a folder is there already.

    Raises `ModelError`.
    """
    if Path(model).is_dir():
        return
    try:
        snapshot_download(model, allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"])
    except _BROKEN as error:
        raise ModelError(
            f"`{model}` cannot be fetched: {first_line(error)}; fetch it where there is a network"
        ) from error


def load_processor(model: str) -> Any:
    """The processor of a checkpoint folder or hub model. Raises `ModelError`."""
    try:
        return AutoProcessor.from_pretrained(model)
    except _BROKEN as error:
        raise _not_whole(model, error) from error


def load_checkpoint(model: str, dtype: torch.dtype | str, quantization: Any = None) -> tuple[Any, Any]:
    """Processor and model, its weights in `dtype` on the CPU, of a checkpoint folder or hub model.

    `auto` leaves them as they are stored. With transformers' `quantization`, or where the checkpoint is quantised, they
    are on the card of this process, where there is one. transformers' bars are off from here on. Raises `ModelError`.
    """
    transformers.utils.logging.disable_progress_bar()
    check_weights(model)
    processor = load_processor(model)
    chosen = {} if quantization is None else {"quantization_config": quantization}  # None would undo the checkpoint's
    try:
        loaded, report = AutoModelForImageTextToText.from_pretrained(
            model, dtype=dtype, output_loading_info=True, **chosen
        )
    except ImportError as error:  # of a quantised checkpoint
        raise ModelError(f"`{model}` cannot be loaded: {first_line(error).rstrip('.')}; install that") from error
    except _BROKEN as error:
        raise _not_whole(model, error) from error
    if report["missing_keys"]:  # transformers goes on with random weights in their place
        lacking = sorted(report["missing_keys"])
        raise ModelError(
            f"`{model}` is not a whole checkpoint: it lacks {len(lacking)} weights, such as `{lacking[0]}`"
        )
    return processor, loaded


def check_weights(model: str) -> None:
    """Make sure, from names and headers alone, that a checkpoint folder has its weights, none of them cut short.

    Says nothing of a name on the hub. Raises `ModelError`.
    """
    folder = Path(model)
    if not folder.is_dir():
        return
    if lacking := _lacking(folder, [_WEIGHT_FILES]) or _lacking(folder, [(name,) for name in _shards(folder)]):
        raise _lacks(model, lacking)
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt"):
                pass
        except _BROKEN as error:
            raise ModelError(
                f"`{model}` is not a whole checkpoint: `{path.name}` is broken or cut short ({first_line(error)}); "
                "copy it again"
            ) from error


def _shards(folder: Path) -> list[str]:
    """The files that an index of weights names; none where there is none, or one that transformers cannot read."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file() or not index.is_file():
        return []
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _lacking(folder: Path, groups: Iterable[Sequence[str]]) -> list[str]:
    """The first name of each group of which no file is there."""
    return [names[0] for names in groups if not any((folder / name).is_file() for name in names)]


def _lacks(model: str, lacking: Sequence[str]) -> ModelError:
    named = ", ".join(f"`{name}`" for name in lacking[:3]) + (", …" if len(lacking) > 3 else "")
    return ModelError(f"`{model}` is not a whole checkpoint: it lacks {named}; copy it again")


def end_token_ids(processor: Any, model: Any) -> tuple[int, ...]:
    """The tokens any of which ends an answer: the tokenizer's, and those of the model's generation config.

    They differ for InternVL 2.5, whose tokenizer ends texts and whose generation config ends turns.
    """
    return _end_ids(processor, model.generation_config)


def stored_end_token_ids(processor: Any, model: str) -> tuple[int, ...]:
    """The same of a checkpoint that is not loaded here: transformers makes up what generation config it lacks."""
    try:
        stored = GenerationConfig.from_pretrained(model)
    except OSError:
        stored = GenerationConfig.from_model_config(AutoConfig.from_pretrained(model))
    return _end_ids(processor, stored)


def _end_ids(processor: Any, generation_config: Any) -> tuple[int, ...]:
    configured = generation_config.eos_token_id
    ends = configured if isinstance(configured, list) else [configured]
    return tuple(sorted({token for token in (*ends, processor.tokenizer.eos_token_id) if token is not None}))


def fingerprint(model: str) -> str | None:
    """16 hex digits that change with the weights or the config of a checkpoint folder; None for a name on the hub.

    Reads the weights once. Raises `ModelError` where they cannot be read.
    """
    if not Path(model).is_dir():
        return None
    try:
        return folder_fingerprint(Path(model), _WEIGHTS)
    except OSError as error:
        raise _not_whole(model, error) from error


def revision(model: str) -> str | None:
    """The commit of a hub model's `config.json` in the hub's cache; None for a folder, and where it is not there."""
    if Path(model).is_dir():
        return None
    cached = try_to_load_from_cache(model, "config.json")
    return Path(cached).parent.name if isinstance(cached, str) else None


def _not_whole(model: str, error: Exception) -> ModelError:
    if Path(model).is_dir() and (lacking := _lacking(Path(model), _PROCESSOR_FILES)):
        return _lacks(model, lacking)
    return ModelError(f"`{model}` is not a whole checkpoint: {first_line(error).rstrip('.: ')}; copy it again")
