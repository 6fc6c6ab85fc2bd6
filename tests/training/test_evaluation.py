"""Evaluation in training: the numbers of `infer`, `gather` and `eval`, at no cost to what is learned."""

from importlib.util import find_spec
from io import StringIO
from math import nan
from pathlib import Path

import pytest
from rich.console import Console
from transformers import TrainerControl, TrainerState, TrainingArguments

from r1sgg_cli.config.schema import SFTRun
from r1sgg_cli.training.evaluation import TellsEvaluation, share_of
from tests.training.schooled import MAX_NEW_TOKENS, Schooled, evaluations, shared_numbers, told_by_commands, train
from tests.training.torchrun import R1SGG, R1SGG_WITH_FSDP, run_of, torchrun

LEARNED = ("step", "loss", "grad_norm")


@pytest.mark.parametrize(
    ("num_images", "world_size", "shares"),
    [
        (4, 1, [[0, 1, 2, 3]]),
        (5, 2, [[0, 2, 4], [1, 3, 0]]),
        (1, 3, [[0], [0], [0]]),
    ],
    ids=["alone", "one image twice", "fewer images than processes"],
)
def test_every_process_answers_as_many_images(num_images: int, world_size: int, shares: list[list[int]]) -> None:
    assert [share_of(num_images, rank, world_size) for rank in range(world_size)] == shares


@pytest.mark.slow
def test_its_numbers_are_those_of_the_commands(schooled: Schooled, tmp_path: Path) -> None:
    found = evaluations(schooled.out)
    assert list(found) == [0, 40, 80]
    assert (found[0]["failure_rate"], found[80]["failure_rate"]) == (1, 0)
    assert found[80]["object_recall"] > 0
    assert found[40]["relationships_per_image"] != found[80]["relationships_per_image"] != 0
    for step in (40, 80):
        told = told_by_commands(schooled.out / f"checkpoint-{step}", schooled.dataset, tmp_path / str(step))
        assert shared_numbers(found[step]) == told


@pytest.mark.slow
def test_the_finished_model_is_the_best_checkpoint_which_is_kept_beside_the_last_ones(schooled: Schooled) -> None:
    """Two checkpoints have failure rate 0, and the first of them is taken."""
    assert {path.name for path in schooled.out.glob("checkpoint-*")} == {"checkpoint-40", "checkpoint-80"}
    folders = (schooled.out, schooled.out / "checkpoint-40", schooled.model)
    finished, best, last = ((folder / "model.safetensors").read_bytes() for folder in folders)
    assert finished == best != last
    assert "the finished model is that of step 40, the best: failure rate 0.0000" in schooled.said


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_training_does_not_notice(stage: str, schooled: Schooled, tmp_path: Path) -> None:
    """To the digit, with sampled rollouts."""
    few = ("max_steps=4", "checkpoint_every=4", "warmup=0", "trainer.gradient_checkpointing=true")
    without = train(stage, schooled.model, schooled.dataset, tmp_path / "without", *few)
    rows = train(stage, schooled.model, schooled.dataset, tmp_path / "with", *few, "evaluation.every=2")
    assert [[row[key] for key in LEARNED] for row in rows if "loss" in row] == [
        [row[key] for key in LEARNED] for row in without if "loss" in row
    ]
    found = evaluations(tmp_path / "with")
    assert list(found) == [0, 2, 4]
    assert found[0] == evaluations(schooled.out)[80]
    told = told_by_commands(tmp_path / "with" / "checkpoint-4", schooled.dataset, tmp_path)
    assert shared_numbers(found[4]) == told


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sharding", "module"),
    [
        pytest.param(
            "zero3",
            R1SGG,
            id="zero3",
            marks=pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs `uv sync --extra deepspeed`"),
        ),
        pytest.param("fsdp2", R1SGG_WITH_FSDP, id="fsdp2"),
    ],
)
def test_two_processes_share_the_images(sharding: str, module: str, schooled: Schooled, tmp_path: Path) -> None:
    """Answers end at different tokens, and each process must take part in the forward passes of the other."""
    few = ("max_steps=2", "checkpoint_every=2", f"max_answer_tokens={MAX_NEW_TOKENS}")
    evaluated = ("evaluation.every=2", "evaluation.images_at_once=1")
    run = run_of(SFTRun, schooled.model, schooled.dataset, tmp_path / "run", *few, *evaluated, sharding=sharding)
    code, stderr = torchrun(run, module=module)
    assert code == 0, stderr
    assert stderr.count("evaluation at step 0: ") == 1
    found = evaluations(run.out)
    assert found[0] == pytest.approx(evaluations(schooled.out)[80])
    assert shared_numbers(found[2]) == pytest.approx(told_by_commands(run.out, schooled.dataset, tmp_path))


class Asked:
    """A trainer, as far as whoever tells of its evaluations looks at it."""

    num_asked = (0, 20)


@pytest.mark.parametrize(
    ("is_terminal", "shown", "said"),
    [
        (True, ["evaluating step 5: 0 of 20", "evaluating step 5: 8 of 20", ""], []),
        (False, [""], ["evaluating step 5 on 20 images"]),
    ],
    ids=["terminal", "pipe"],
)
def test_it_is_told_of_while_it_lasts_and_in_one_short_line(
    is_terminal: bool, shown: list[str], said: list[str], tmp_path: Path
) -> None:
    console, trainer = Console(file=StringIO(), width=200, force_terminal=is_terminal), Asked()
    notes: list[str] = []
    tells = TellsEvaluation(trainer, console, notes.append, best_by="triplet_f1")
    given = (TrainingArguments(output_dir=str(tmp_path), use_cpu=True), TrainerState(global_step=5), TrainerControl())
    for num_asked in (0, 8):
        trainer.num_asked = (num_asked, 20)
        tells.on_prediction_step(*given)
    numbers = {"triplet_recall": nan, "mean_recall": 0.25, "object_recall": 0.5, "failure_rate": 0, "triplet_f1": 0.1}
    tells.on_evaluate(*given, metrics={f"eval_{name}": value for name, value in numbers.items()} | {"eval_runtime": 22})
    assert notes == shown
    assert console.file.getvalue().splitlines() == [  # type: ignore[attr-defined]
        *said,
        "evaluation at step 5: triplet recall –, mean recall 0.250, object recall 0.500, failure rate 0.000, "
        "triplet f1 0.100 (22 s)",
    ]
