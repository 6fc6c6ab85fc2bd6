"""The finished model: a folder that `from_pretrained` loads, however it was trained."""

import shutil
from pathlib import Path

from transformers import Trainer

from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.models.asking import Asking, save_asking
from r1sgg_cli.training.checkpoints import full_disk_is_said
from r1sgg_cli.training.lora import save_merged
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
    save_asking(asking, run.out)
