"""Evaluations in a run that may be ended at any moment: what is learned is saved first, and no evaluation is left out.

transformers evaluates a step before it saves it, and an evaluation can take longer than a job that is told to stop has
left. So a step is saved, then evaluated, and its numbers are put into its checkpoint; an evaluation during which the
run is asked to stop ends there. What a run did not come to, its next start makes up for.
"""

from pathlib import Path
from typing import Any

from transformers import TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME

from r1sgg_cli.files import replacing
from r1sgg_cli.training.stopping import StopsWhenAsked

EVALUATED = "eval_runtime"
"""Is in the log of each evaluation, whatever could be measured."""


class EvaluationStoppedError(Exception):
    """The run is asked to stop while it is evaluated."""


def owes_evaluation(args: TrainingArguments, state: TrainerState) -> bool:
    """Whether the step of a checkpoint was to be evaluated, and was not."""
    step, is_last = state.global_step, state.global_step >= state.max_steps
    if args.eval_strategy != "steps" or not step or (step % int(args.eval_steps or 1) and not is_last):
        return False
    return not any(EVALUATED in row and row["step"] == step for row in state.log_history)


class SavesBeforeEvaluation:
    """Mixed into TRL's trainers, before `Evaluates`."""

    args: TrainingArguments
    state: TrainerState
    control: TrainerControl
    stops: StopsWhenAsked | None = None
    """By whom a run is asked to stop."""

    def check_stop(self) -> None:
        """Every process calls it between two parts of an evaluation. Raises `EvaluationStoppedError` in all of them.

        The one before the first step has nothing to lose, and is not stopped.
        """
        if self.stops and self.control.should_evaluate and self.stops.is_asked(self.args, self.state):
            raise EvaluationStoppedError

    def _maybe_log_save_evaluate(self, *given: Any, **named: Any) -> None:
        is_due, self.control.should_evaluate = self.control.should_evaluate, False
        super()._maybe_log_save_evaluate(*given, **named)  # type: ignore[misc]
        if not is_due:
            return
        self.control.should_evaluate = True
        try:
            super()._maybe_log_save_evaluate(*given, **named)  # type: ignore[misc]
        except EvaluationStoppedError:
            assert self.stops is not None
            self.control.should_evaluate = False
            self.control.should_save = not self._saved_state().exists()
            self.stops.stop(self.control)
            super()._maybe_log_save_evaluate(*given, **named)  # type: ignore[misc]
        else:
            self._record_evaluation()

    def _evaluate(self, trial: Any, ignore_keys_for_eval: Any, skip_scheduler: bool = False) -> dict[str, float]:
        metrics = super()._evaluate(trial, ignore_keys_for_eval, skip_scheduler)  # type: ignore[misc]
        if skip_scheduler and self.state.global_step:  # at a start: one that was owed, which counts as any other
            self._determine_best_metric(metrics=metrics, trial=trial)  # type: ignore[attr-defined]
            self._record_evaluation()
        return metrics

    def _run_epoch(self, **options: Any) -> None:
        """An epoch's steps; none for a run that has taken them all and owes its last evaluation alone."""
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True
        else:
            super()._run_epoch(**options)  # type: ignore[misc]

    def _saved_state(self) -> Path:
        return Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}" / TRAINER_STATE_NAME

    def _record_evaluation(self) -> None:
        """Put the numbers, and which step is the best, into the step's checkpoint, if it has one."""
        path = self._saved_state()
        if self.args.should_save and path.exists():
            with replacing(path) as temporary:
                self.state.save_to_json(str(temporary))
