"""What both trainers share: options checked against TRL's fields, model and processor, resume, the finished model."""

import dataclasses
import difflib
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
import transformers
from rich.console import Console
from transformers import AutoModelForImageTextToText, AutoProcessor, PrinterCallback, Trainer
from trl import GRPOConfig, SFTConfig

from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.errors import ConfigError, ModelError
from r1sgg_cli.models.asking import Asking, load_asking, save_asking
from r1sgg_cli.models.families import ModelFamily, family_of
from r1sgg_cli.training.callbacks import MetricsLog, ProgressBar
from r1sgg_cli.training.checkpoints import full_disk_is_said, last_complete_checkpoint

TrainerConfig = TypeVar("TrainerConfig", SFTConfig, GRPOConfig)

METRICS_FILE = "metrics.jsonl"


def default_precision() -> Literal["bf16", "float32"]:
    """bf16 where the GPU computes in it, float32 elsewhere."""
    return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "float32"


def trainer_config(kind: type[TrainerConfig], run: SFTRun | GRPORun, **own: Any) -> TrainerConfig:
    """TRL's configuration of a run: what the recipe states (`own` and below), then the recipe's `trainer` options.

    Raises `ConfigError` for an option that TRL does not have or that the recipe states under a name of its own.
    """
    recipe = run.recipe
    stated: dict[str, Any] = {
        "output_dir": str(run.out),
        "seed": run.seed,
        "learning_rate": recipe.learning_rate,
        "num_train_epochs": recipe.num_epochs,
        "max_steps": recipe.max_steps or -1,
        "warmup_steps": recipe.warmup,
        "lr_scheduler_type": recipe.lr_schedule,
        "adam_beta2": recipe.adam_beta2,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "per_device_train_batch_size": run.micro_batch,
        "bf16": run.precision == "bf16",
        "use_cpu": not torch.cuda.is_available(),
        "save_steps": recipe.checkpoint_every,
        "save_total_limit": recipe.keep_checkpoints,
        "report_to": run.report_to or "none",
        "remove_unused_columns": False,
        "disable_tqdm": True,
        **own,
    }
    fields = {field.name for field in dataclasses.fields(kind) if field.init}
    for name in recipe.trainer:
        if name not in fields:
            close = difflib.get_close_matches(name, fields, n=1)
            hint = f"; did you mean `{close[0]}`?" if close else ""
            raise ConfigError(f"TRL's `{kind.__name__}` has no option `{name}`{hint}")
        if name in stated:
            raise ConfigError(f"`trainer.{name}` is computed from the recipe and the command line; set it there")
    defaults = {"logging_steps": 1, "save_strategy": "steps"}
    return kind(**{**defaults, **stated, **recipe.trainer})


def load_model(run: SFTRun | GRPORun) -> tuple[ModelFamily, Any, Any]:
    """Family, processor and model. Weights are float32 also under bf16, which then is autocast: an update of 6e-7 is
    below bf16's resolution and would be lost."""
    family = family_of(run.model)
    transformers.utils.logging.disable_progress_bar()
    try:
        processor = AutoProcessor.from_pretrained(run.model)
        model = AutoModelForImageTextToText.from_pretrained(run.model, dtype=torch.float32)
    except OSError as error:
        raise ModelError(f"`{run.model}` is not a whole checkpoint: {str(error).splitlines()[0]}") from error
    if run.recipe.freeze_vision:
        model.model.visual.requires_grad_(False)
    return family, processor, model


def is_finished(run: SFTRun | GRPORun, console: Console) -> bool:
    """Whether the run's folder holds the finished model already; says so."""
    finished = load_asking(str(run.out)) is not None
    if finished:
        console.print(f"already trained: {run.out}")
    return finished


def train(trainer: Trainer, run: SFTRun | GRPORun, console: Console) -> None:
    """Train from the last complete checkpoint, if there is one, to the end, and save the finished model."""
    checkpoint, passed_over = last_complete_checkpoint(run.out)
    for path in passed_over:
        console.print(f"[yellow]passed over[/] `{path}`: it is half-written")
    if checkpoint:
        console.print(f"continuing from `{checkpoint}`")
    bar = ProgressBar(f"{run.stage} {run.out}", console)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(MetricsLog(run.out / METRICS_FILE))
    trainer.add_callback(bar)
    with bar.progress:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    with full_disk_is_said(run.out):
        trainer.save_model(str(run.out))
    recipe = run.recipe
    save_asking(Asking(recipe.think, recipe.predefined_categories, recipe.max_pixels), Path(run.out))
    console.print(f"finished: {run.out}")
