"""The finished model: a folder that `from_pretrained` loads, however it was trained."""

import shutil
from pathlib import Path
from typing import Any

from transformers import Trainer

from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.data.run_logs import METRICS_FILE, load_metric_rows
from r1sgg_cli.files import follow_umask, save_text
from r1sgg_cli.models.asking import Asking, save_asking
from r1sgg_cli.models.families import trainable_family_of
from r1sgg_cli.training.checkpoints import full_disk_is_said
from r1sgg_cli.training.lora import save_merged
from r1sgg_cli.training.model_card import CARD_FILE, model_card
from r1sgg_cli.training.owed import EVALUATED
from r1sgg_cli.training.processes import is_first

ADAPTER = "adapter"
_OF_TRAINING = (  # what a checkpoint holds besides its model
    *("optimizer*", "scheduler.pt", "scaler.pt", "rng_state*.pth", "trainer_state.json", "training_args.bin"),
    *("global_step*", "latest", "zero_to_*.py", "pytorch_model_fsdp*", "r1sgg.json"),
)


def save_finished(trainer: Trainer, run: SFTRun | GRPORun, asking: Asking, checkpoint: Path | None = None) -> None:
    """Write the model to the run's folder, and last of all what it is asked; every process must call it.

    It is the trainer's, or that of the `checkpoint` with which training ended. Of a run with adapters, the adapter
    stands in `adapter`, and the model has it in its weights.
    """
    folder = run.out / ADAPTER if run.recipe.lora else run.out
    with full_disk_is_said(run.out):
        if checkpoint is None:
            trainer.save_model(str(folder))
        elif is_first():
            shutil.copytree(checkpoint, folder, ignore=shutil.ignore_patterns(*_OF_TRAINING), dirs_exist_ok=True)
        if not is_first():
            return
        if run.recipe.lora:
            save_merged(run.model, folder, run.out)
        follow_umask(run.out)
        step = int(checkpoint.name.removeprefix("checkpoint-")) if checkpoint else trainer.state.global_step
        _save_cards(run, asking, step)
    save_asking(asking, run.out)


def _save_cards(run: SFTRun | GRPORun, asking: Asking, step: int) -> None:
    """In the model's folder, and in that of its adapter, where peft's has blanks to fill in."""
    box_sentence, numbers = trainable_family_of(run.model).box_sentence, _numbers_at(step, run.out / METRICS_FILE)
    save_text(model_card(run, asking, step, numbers, box_sentence), run.out / CARD_FILE)
    if run.recipe.lora:
        card = model_card(run, asking, step, numbers, box_sentence, is_adapter=True)
        save_text(card, run.out / ADAPTER / CARD_FILE)


def _numbers_at(step: int, log: Path) -> dict[str, float]:
    """Of the evaluation at a step, under the names of `metrics.evaluation`; empty where there was none."""
    rows = load_metric_rows(log) if log.exists() else []
    found: dict[str, Any] = next((row for row in reversed(rows) if EVALUATED in row and row["step"] == step), {})
    prefix = EVALUATED.removesuffix("runtime")
    return {
        name.removeprefix(prefix): value
        for name, value in found.items()
        if name.startswith(prefix) and name != EVALUATED
    }
