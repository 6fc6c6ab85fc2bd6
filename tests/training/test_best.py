"""Which model a run ends with is said, whichever it is."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from transformers import TrainerState

from r1sgg_cli.config.recipes import resolve_run
from r1sgg_cli.config.schema import SFTRun
from r1sgg_cli.training.best import best_checkpoint, last_state


def sft_run(out: Path, *overrides: str) -> SFTRun:
    return resolve_run(SFTRun, None, overrides, model="m", dataset="d", out=out, precision="float32")


@pytest.mark.parametrize(
    ("best_step", "best", "there", "checkpoint", "said"),
    [
        (200, 0.5, True, "checkpoint-200", "the finished model is that of step 200, the best: mean recall 0.5000"),
        (
            300,
            0.5,
            True,
            "checkpoint-300",
            "the finished model is that of step 300, the last and the best",
        ),
        (
            200,
            0.5,
            False,
            None,
            "`checkpoint-200`, the best, is gone (mean recall 0.5000)",
        ),
        (
            None,
            None,
            False,
            None,
            "no evaluation gave a number for mean recall",
        ),
    ],
    ids=["an earlier one", "the last", "deleted by hand", "no number"],
)
def test_the_best_checkpoint_becomes_the_finished_model(
    best_step: int | None, best: float | None, there: bool, checkpoint: str | None, said: str, tmp_path: Path
) -> None:
    state = TrainerState(global_step=300, max_steps=300, best_global_step=best_step, best_metric=best)
    if there:
        folder = tmp_path / f"checkpoint-{best_step}"
        folder.mkdir()
        state.save_to_json(str(folder / "trainer_state.json"))
        assert last_state(folder).best_global_step == best_step
    console = Console(file=StringIO(), width=300)
    run = sft_run(tmp_path, "evaluation.best_by=mean_recall")
    assert best_checkpoint(run, state, console) == (tmp_path / checkpoint if checkpoint else None)
    assert said in console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("overrides", [(), ("evaluation.every=100",)], ids=["no evaluation", "nothing to choose by"])
def test_without_a_measure_it_is_the_last_one(overrides: tuple[str, ...], tmp_path: Path) -> None:
    state = TrainerState(global_step=300, max_steps=300)
    assert best_checkpoint(sft_run(tmp_path, *overrides), state, Console(quiet=True)) is None
