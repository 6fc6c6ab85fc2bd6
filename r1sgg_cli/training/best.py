"""Which model a run ends with: that of the last step, or the best of the evaluated ones.

The Trainer's own `_load_best_model` is not used: it loads as transformers resumes, past every key (see `checkpoints`).
"""

from pathlib import Path

from rich.console import Console
from transformers import TrainerState
from transformers.trainer import TRAINER_STATE_NAME

from r1sgg_cli.config.schema import GRPORun, SFTRun


def best_checkpoint(run: SFTRun | GRPORun, state: TrainerState, console: Console) -> Path | None:
    """The checkpoint that becomes the finished model; None for the model of the last step. Says which it is."""
    evaluation = run.recipe.evaluation
    if evaluation is None or evaluation.best_by is None:
        return None
    name, last = evaluation.best_by.replace("_", " "), f"the finished model is that of step {state.global_step}, the"
    if not state.best_global_step:
        console.print(f"[yellow]no evaluation gave a number for {name}[/]: {last} last")
        return None
    path = run.out / f"checkpoint-{state.best_global_step}"
    best = f"{name} {state.best_metric:.4f}"
    if state.best_global_step == state.global_step:
        console.print(f"{last} last and the best: {best}", highlight=False)
    elif not (path / TRAINER_STATE_NAME).is_file():
        console.print(f"[yellow]`{path.name}`, the best, is gone[/] ({best}): {last} last")
        return None
    else:
        console.print(f"the finished model is that of step {state.best_global_step}, the best: {best}", highlight=False)
    return path


def last_state(checkpoint: Path) -> TrainerState:
    """The trainer's state that a checkpoint holds."""
    return TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))
