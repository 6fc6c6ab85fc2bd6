"""The options that TRL's trainers take, read from their source: a plan knows them without importing torch.

TRL's configurations are dataclasses on top of transformers' `TrainingArguments`; their fields are the annotated names
in the class bodies. A test holds them equal to what `dataclasses.fields` says.
"""

import ast
import difflib
import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from r1sgg_cli.errors import ConfigError

TrainerConfigName = Literal["SFTConfig", "GRPOConfig"]
_OWN_FILE: Mapping[TrainerConfigName, str] = {
    "SFTConfig": "trainer/sft_config.py",
    "GRPOConfig": "trainer/grpo_config.py",
}


_STATED_BY_BOTH = frozenset(
    {
        *("output_dir", "seed", "learning_rate", "num_train_epochs", "max_steps", "warmup_steps", "lr_scheduler_type"),
        *("adam_beta2", "weight_decay", "max_grad_norm", "per_device_train_batch_size", "gradient_accumulation_steps"),
        *("bf16", "use_cpu", "ddp_timeout", "save_steps", "save_total_limit", "report_to", "remove_unused_columns"),
        *("disable_tqdm", "deepspeed", "fsdp", "fsdp_config"),
        *("do_eval", "eval_strategy", "eval_steps", "eval_on_start", "eval_delay", "metric_for_best_model"),
        *("greater_is_better", "load_best_model_at_end"),
    }
)
STATED: Mapping[TrainerConfigName, frozenset[str]] = {
    "SFTConfig": _STATED_BY_BOTH | {"max_length", "completion_only_loss"},
    "GRPOConfig": _STATED_BY_BOTH
    | {"steps_per_generation", "num_generations", "max_completion_length", "temperature", "top_p", "top_k", "beta"}
    | {"reward_weights", "use_vllm", "vllm_mode", "vllm_server_base_url", "vllm_gpu_memory_utilization"}
    | {"vllm_tensor_parallel_size", "generation_kwargs", "num_generations_eval"},
}
"""What follows from the recipe and the plan, and cannot be said a second time."""
_SAID_AS = {
    "save_steps": "checkpoint_every",
    "save_total_limit": "keep_checkpoints",
    "max_completion_length": "max_new_tokens",
    "do_eval": "evaluation.every",
    "eval_strategy": "evaluation.every",
    "eval_steps": "evaluation.every",
    "metric_for_best_model": "evaluation.best_by",
    "load_best_model_at_end": "evaluation.best_by",
}


_WHOLE_NUMBERS = frozenset({"dataloader_num_workers", "vllm_max_model_length"})
"""Options that are read here before TRL's own checks could see them."""


def check_trainer_options(kind: TrainerConfigName, options: Mapping[str, Any]) -> None:
    """Insist that TRL has each option, and that none follows from the recipe or the plan. Raises `ConfigError`."""
    fields = trainer_fields(kind)
    for name, value in options.items():
        if name not in fields:
            close = difflib.get_close_matches(name, fields, n=1)
            hint = f"; did you mean `{close[0]}`?" if close else ""
            raise ConfigError(f"TRL's `{kind}` has no option `{name}`{hint}")
        if name in STATED[kind]:
            way = f"set `{_SAID_AS[name]}`" if name in _SAID_AS else "set the recipe's own field, or the preset's"
            raise ConfigError(f"`trainer.{name}` follows from the recipe and the plan; {way}")
        if name in _WHOLE_NUMBERS and value is not None and (type(value) is not int or value < 0):
            raise ConfigError(f"`trainer.{name}` is a whole number from 0 up, not `{value}`")


@cache
def trainer_fields(kind: TrainerConfigName) -> frozenset[str]:
    """Names of all options of a TRL configuration class. Raises `ConfigError` where TRL is not installed."""
    trl, transformers = _package("trl"), _package("transformers")
    places = [
        (trl / _OWN_FILE[kind], kind),
        (trl / "trainer" / "base_config.py", "_BaseConfig"),
        (transformers / "training_args.py", "TrainingArguments"),
    ]
    return frozenset(name for path, name_of_class in places for name in _annotated_names(path, name_of_class))


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)  # finds a top-level package without importing it
    if found is None or found.origin is None:
        raise ConfigError(f"`{name}` is not installed; `uv sync` installs it")
    return Path(found.origin).parent


def _annotated_names(path: Path, name_of_class: str) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name_of_class)
    return [
        node.target.id
        for node in body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and not _is_not_init(node)
    ]


def _is_not_init(node: ast.AnnAssign) -> bool:
    """Whether the field says `init=False`, or is a class variable."""
    if "ClassVar" in ast.unparse(node.annotation):
        return True
    keywords = node.value.keywords if isinstance(node.value, ast.Call) else []
    return any(k.arg == "init" and isinstance(k.value, ast.Constant) and k.value.value is False for k in keywords)
