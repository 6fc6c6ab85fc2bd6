"""A run that is asked to stop does so at a step's end, with a complete checkpoint: a job's time is nearly up."""

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from r1sgg_cli.training.processes import from_first


class StopsWhenAsked(TrainerCallback):
    """Stops training at the end of the step in which `file` is there. The first process looks; all do as it says."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.has_stopped = False

    def is_asked(self, args: TrainingArguments, state: TrainerState) -> bool:
        """Whether the file is there, but not between two steps on the same rollouts: they are not saved."""
        on_same_rollouts = state.global_step % getattr(args, "num_iterations", 1)
        return self.file is not None and not on_same_rollouts and from_first(self.file.exists())

    def stop(self, control: TrainerControl) -> None:
        """End training after this step."""
        control.should_training_stop = True
        self.has_stopped = True

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ask for a checkpoint and the end, with nothing before them that takes long: no evaluation."""
        if state.global_step < state.max_steps and self.is_asked(args, state):
            control.should_log = control.should_save = True
            control.should_evaluate = False
            self.stop(control)
