"""`infer`: every image of the split answered once, through kills and repeats."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from r1sgg_cli.errors import ConfigError
from r1sgg_cli.inference.answers import ANSWERS_FILE, load_answers, load_ground_truth, load_run
from r1sgg_cli.inference.infer import InferRequest, infer
from r1sgg_cli.models.asking import Asking, save_asking


@pytest.fixture
def request_of(tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path: Path) -> InferRequest:
    return InferRequest(
        model=str(tiny_checkpoint("qwen2_vl")),
        out=tmp_path / "out",
        dataset=str(synthetic_dataset),
        split="test",
        vocabulary=None,
        predefined_categories=None,
        think=None,
        max_pixels=None,
        max_new_tokens=4,
        batch_size=5,
        limit=None,
    )


def test_every_image_of_the_split_is_answered_once(request_of: InferRequest) -> None:
    infer(request_of)
    answers = load_answers(request_of.out)
    assert list(answers.answers) == [truth.image_id for truth in load_ground_truth(request_of.out)]
    assert (len(answers.answers), answers.num_duplicates) == (12, 0)
    assert {answer.box_space_wh for answer in answers.answers.values()} == {(1000.0, 1000.0)}


def test_the_folder_says_what_ran(request_of: InferRequest) -> None:
    infer(replace(request_of, limit=2, think=True))
    run = load_run(request_of.out)
    assert (run["model"], run["family"], run["split"]) == (request_of.model, "Qwen2-VL", "test")
    assert run["prompts"]["think"] is True
    assert run["vocabulary"] is not None
    assert "red circle" in run["vocabulary"]["objects"]


def test_the_same_request_again_asks_only_for_what_is_missing(
    request_of: InferRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    infer(request_of)
    path = request_of.out / ANSWERS_FILE
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:7]) + lines[7][:20], encoding="utf-8")
    capsys.readouterr()
    infer(request_of)
    assert "7 of 12 images are answered already" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8").splitlines(keepends=True) == lines


def test_other_settings_in_the_same_folder_are_refused_and_named(request_of: InferRequest) -> None:
    infer(replace(request_of, limit=1))
    with pytest.raises(ConfigError, match=r"holds answers of another run \(generation: .*give another folder"):
        infer(replace(request_of, limit=1, max_new_tokens=5))


def test_a_model_is_asked_as_it_was_trained_unless_told_otherwise(
    request_of: InferRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = tmp_path / "trained"
    trained.mkdir()
    for file in Path(request_of.model).iterdir():
        (trained / file.name).symlink_to(file)
    save_asking(Asking(think=True, predefined_categories=True, max_pixels=6400), trained)
    infer(replace(request_of, model=str(trained), limit=1))
    assert "think and answer, predefined categories, at most 6400 pixels" in capsys.readouterr().err
    infer(replace(request_of, model=str(trained), limit=1, think=False, out=tmp_path / "other"))
    assert "the checkpoint was trained with another form" in capsys.readouterr().err


@pytest.mark.slow
def test_kill_nine_loses_no_finished_answer(request_of: InferRequest) -> None:
    argv = ["infer", request_of.model, str(request_of.out), "--dataset", request_of.dataset, "--split", "test"]
    argv += ["--batch-size", "1", "--max-new-tokens", "64"]
    process = subprocess.Popen([sys.executable, "-m", "r1sgg_cli", *argv], stderr=subprocess.DEVNULL)
    path = request_of.out / ANSWERS_FILE
    deadline = time.monotonic() + 120
    while not (path.exists() and path.read_bytes().count(b"\n") >= 2):
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline, "wrote no answer"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finished = load_answers(request_of.out).answers
    assert 2 <= len(finished) < 12
    infer(replace(request_of, batch_size=1, max_new_tokens=64))
    after = load_answers(request_of.out)
    assert (len(after.answers), after.num_duplicates, after.broken) == (12, 0, ())
    assert {image_id: after.answers[image_id] for image_id in finished} == finished
