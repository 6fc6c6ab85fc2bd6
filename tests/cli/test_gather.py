"""`r1sgg gather`."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from r1sgg_cli.cli.gather import gather
from r1sgg_cli.errors import AnswersError, OutputError
from r1sgg_cli.inference.answers import (
    ANSWERS_FILE,
    Answer,
    AnswersFile,
    ImageTruth,
    RunRecord,
    Sample,
    load_ground_truth,
    save_ground_truth,
    save_run,
)
from r1sgg_cli.scene_graph.graph import graph_from_rows

RUN: RunRecord = {
    "model": "runs/sft",
    "model_fingerprint": None,
    "family": "qwen2_vl",
    "dataset": "data/shapes",
    "dataset_fingerprint": None,
    "split": "test",
    "prompts": {},
    "generation": {},
    "vocabulary": None,
    "versions": {},
    "command": "r1sgg infer runs/sft answers",
}
MAN = json.dumps({"objects": [{"id": "man.1", "bbox": [0, 0, 1200, 500]}], "relationships": []})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images: one answered, one answered with prose, one whose line is broken; the first is answered twice."""
    truth = graph_from_rows([{"id": "man.1", "bbox": [0, 0, 100, 50]}], [], (100, 100))
    folder = tmp_path / "answers"
    save_run(RUN, folder)
    save_ground_truth([ImageTruth(image_id, (100, 100), truth) for image_id in "abc"], folder)
    with AnswersFile(folder) as file:
        file.append(
            [
                Answer(i, (1000, 1000), (Sample(text, "stop", 9),))
                for i, text in [("a", MAN), ("b", "a man"), ("a", MAN)]
            ]
        )
    with (folder / ANSWERS_FILE).open("a") as file:
        file.write('{"image_id": "c", \n')
    return folder


def _gather(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(gather)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "120"})


def test_missing_answers_are_an_error_and_nothing_is_written(folder: Path, tmp_path: Path) -> None:
    result = _gather(folder, tmp_path / "preds.json")
    assert isinstance(result.exception, AnswersError)
    assert "1 of 3 images have no answer: `c`" in str(result.exception)
    assert not (tmp_path / "preds.json").exists()


def test_the_summary_counts_what_failed_and_what_was_repaired(folder: Path, tmp_path: Path) -> None:
    result = _gather(folder, tmp_path / "preds.json", "--allow-missing")
    assert result.exit_code == 0
    for words in (["read", "1"], ["failed:", "no_json", "1"], ["failed:", "missing", "1"], ["clipped_box", "1", "1"]):
        assert any(line.replace("│", " ").split()[-len(words) :] == words for line in result.stdout.splitlines()), words
    assert "preds.json: 3 images" in result.stdout
    assert len(json.loads((tmp_path / "preds.json").read_text())["images"]) == 3


def test_broken_lines_and_repeats_are_reported_on_stderr(folder: Path, tmp_path: Path) -> None:
    result = _gather(folder, tmp_path / "preds.json", "--allow-missing")
    assert "line 4 of `answers.jsonl` is left out" in result.stderr
    assert "1 later answers of an image are left out" in result.stderr
    assert "warning" not in result.stdout


@pytest.mark.parametrize(
    ("trial", "why", "images"),
    [
        pytest.param({}, "their images are not in the split", "preds.json: 1 images", id="no limit on record"),
        pytest.param(
            {"split_size": 3, "limit": 1},
            "was last asked for the first 1 of 3 images (`--limit`); the same `r1sgg infer` without `--limit` takes",
            "preds.json: first 1 of 3 images (`--limit`)",
            id="a trial",
        ),
    ],
)
def test_answers_beyond_the_limit_are_no_strangers(
    folder: Path, tmp_path: Path, trial: dict[str, int], why: str, images: str
) -> None:
    save_run({**RUN, **trial}, folder)  # type: ignore[typeddict-item]
    save_ground_truth(load_ground_truth(folder)[:1], folder)
    result = _gather(folder, tmp_path / "preds.json")
    assert "1 answers are left out: " in result.stderr
    assert why in result.stderr
    assert images in result.stdout


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = _gather(tmp_path / "nowhere", tmp_path / "preds.json")
    assert isinstance(result.exception, AnswersError)
    assert "nowhere/run.json" in str(result.exception)


def test_an_unwritable_place_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = _gather(folder, tmp_path / "file" / "preds.json", "--allow-missing")
    assert isinstance(result.exception, OutputError)
    assert "file/preds.json" in str(result.exception)


def test_help_shows_an_example() -> None:
    assert "Example: r1sgg gather answers/ preds.json" in _gather("--help").stdout


def test_predictions_of_another_run_are_never_replaced(folder: Path, tmp_path: Path) -> None:
    preds = tmp_path / "preds.json"
    _gather(folder, preds, "--allow-missing")
    written = preds.read_bytes()
    _gather(folder, preds, "--allow-missing")
    assert preds.read_bytes() == written, "of the same run they are made again"
    save_run({**RUN, "model": "runs/grpo"}, folder)
    refused = _gather(folder, preds, "--allow-missing").exception
    assert isinstance(refused, OutputError)
    assert "predictions of another run (model: runs/sft there, runs/grpo here)" in str(refused)
    assert preds.read_bytes() == written


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b'"version": 1', b'"version": 2', id="another version"),
        pytest.param(b'"provenance": {', b'"whence": {', id="no provenance"),
        pytest.param(b'"images": [', b'"images": ', id="no JSON"),
    ],
)
def test_predictions_of_which_nothing_can_be_told_are_never_replaced(
    folder: Path, tmp_path: Path, old: bytes, new: bytes
) -> None:
    preds = tmp_path / "preds.json"
    _gather(folder, preds, "--allow-missing")
    preds.write_bytes(changed := preds.read_bytes().replace(old, new))
    refused = _gather(folder, preds, "--allow-missing").exception
    assert isinstance(refused, OutputError)
    assert "would be lost; name another file, or delete that one" in str(refused)
    assert preds.read_bytes() == changed


def test_broken_images_in_predictions_of_the_same_run_are_mended(folder: Path, tmp_path: Path) -> None:
    preds = tmp_path / "preds.json"
    _gather(folder, preds, "--allow-missing")
    whole = preds.read_bytes()
    preds.write_bytes(whole.replace(b'"image_wh": [100, 100]', b'"image_wh": []'))
    assert _gather(folder, preds, "--allow-missing").exit_code == 0
    assert preds.read_bytes() == whole
