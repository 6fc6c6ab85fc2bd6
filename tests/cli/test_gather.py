"""`r1sgg gather`."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from r1sgg_cli.cli.gather import gather
from r1sgg_cli.data.rows import load_rows
from r1sgg_cli.errors import AnswersError, ConfigError, OutputError
from r1sgg_cli.inference.answers import Answer, Sample
from r1sgg_cli.inference.answers_file import AnswersFile
from r1sgg_cli.inference.ground_truth import ImageTruth, load_ground_truth, save_ground_truth
from r1sgg_cli.inference.run_record import RunRecord, save_run
from r1sgg_cli.scene_graph.graph import graph_from_rows
from tests.inference.conftest import ANSWERS_FILE

RUN: RunRecord = {
    "model": "runs/sft",
    "model_fingerprint": None,
    "base": None,
    "revision": None,
    "family": "qwen2_vl",
    "dataset": "data/shapes",
    "dataset_fingerprint": None,
    "annotated": True,
    "split": "test",
    "split_size": 3,
    "limit": None,
    "task": "sgg",
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
    with AnswersFile(folder, ANSWERS_FILE) as file:
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
    assert f"line 4 of `{ANSWERS_FILE}` is left out" in result.stderr
    assert "1 later answer of an image left out: `a`" in result.stderr
    assert "warning" not in result.stdout


@pytest.mark.parametrize(
    ("trial", "why", "images"),
    [
        pytest.param({}, "their images are not in the split", "preds.json: 1 image", id="no limit on record"),
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
    assert "1 answer left out: " in result.stderr
    assert why in result.stderr
    assert images in result.stdout


@pytest.fixture
def published(tmp_path: Path) -> tuple[Path, Path]:
    """A folder as the published code fills it, and the data set that it asked about."""
    folder, dataset = tmp_path / "raw", tmp_path / "dataset.jsonl"
    folder.mkdir()
    answer = {
        "objects": [{"id": "gentleman.1", "bbox": [0, 0, 500, 500]}, {"id": "bicycle.2", "bbox": [0, 0, 900, 900]}],
        "relationships": [{"subject": "bicycle.2", "predicate": "ridden by", "object": "gentleman.1"}],
    }
    for image_id in "ab":
        content = {"image_id": image_id, "response": json.dumps(answer), "box_scale": [1000.0, 1000.0]}
        (folder / f"{image_id}.json").write_text(json.dumps(content))
    row = {"width": 200, "height": 100, "objects": [], "relationships": []}
    dataset.write_text("\n".join(json.dumps({"image_id": image_id, **row}) for image_id in "ab"))
    return folder, dataset


def test_the_published_layout_is_gathered_beside_its_data_set(published: tuple[Path, Path], tmp_path: Path) -> None:
    folder, dataset = published
    result = _gather(folder, tmp_path / "preds.json", "--dataset", dataset, "--vocabulary", "vg150")
    assert result.exit_code == 0
    words = " ".join(result.stdout.split())
    assert "mapped into the vocabulary: 6 labels: bicycle → bike × 2, gentleman → man × 2" in words
    assert "ridden by → riding (ends swapped) × 2" in words
    content = json.loads((tmp_path / "preds.json").read_text())
    assert content["images"][0]["prediction"]["objects"][0] == {
        "id": "gentleman.1",
        "bbox": [0, 0, 100, 50],
        "name": "man",
    }
    assert content["images"][0]["prediction"]["relationships"] == [
        {"subject": "gentleman.1", "predicate": "riding", "object": "bicycle.2"}
    ]
    assert (content["provenance"]["dataset"], content["provenance"]["command"]) == (str(dataset), "not on record")


def test_what_is_off_maps_nothing_and_says_nothing(published: tuple[Path, Path], tmp_path: Path) -> None:
    folder, dataset = published
    result = _gather(folder, tmp_path / "p.json", "--dataset", dataset, "--vocabulary", "vg150", "--no-aliases")
    assert "mapped into" not in result.stdout
    assert "out_of_vocabulary_object" in result.stdout


def test_a_prepared_data_set_tells_sizes_and_ground_truth(synthetic_dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "raw"
    folder.mkdir()
    for image_id in load_rows(str(synthetic_dataset), "test")["image_id"]:
        content = {"image_id": image_id, "response": MAN, "box_scale": [1000.0, 1000.0]}
        (folder / f"{image_id}.json").write_text(json.dumps(content))
    result = _gather(folder, tmp_path / "preds.json", "--dataset", synthetic_dataset, "--split", "test")
    assert result.exit_code == 0, result.exception
    content = json.loads((tmp_path / "preds.json").read_text())
    assert len(content["images"]) == 12
    assert content["images"][0]["ground_truth"]["objects"]
    assert content["provenance"]["dataset_fingerprint"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        pytest.param([], "holds answers of the published layout, which do not tell the size", id="no data set"),
        pytest.param(["--dataset", "{}", "--split", "test"], "is one split; leave the option out", id="a file's split"),
        pytest.param(["--dataset", "{}", "--wordnet"], "have no vocabulary to map labels into", id="no vocabulary"),
        pytest.param(["--dataset", "{}", "--vocabulary", "vg15"], "no vocabulary `vg15`", id="another vocabulary"),
    ],
)
def test_the_published_layout_needs_what_its_files_do_not_say(
    published: tuple[Path, Path], tmp_path: Path, options: list[str], match: str
) -> None:
    folder, dataset = published
    result = _gather(folder, tmp_path / "preds.json", *(option.format(dataset) for option in options))
    assert isinstance(result.exception, ConfigError)
    assert match in str(result.exception)


def test_our_own_layout_says_it_all_itself(folder: Path, tmp_path: Path) -> None:
    result = _gather(folder, tmp_path / "preds.json", "--vocabulary", "vg150")
    assert isinstance(result.exception, ConfigError)
    assert "`--vocabulary`: " in str(result.exception)
    assert "says that itself (`run.json`); leave the option out" in str(result.exception)


def test_a_choice_where_there_is_none_is_said(folder: Path, tmp_path: Path) -> None:
    said = _gather(folder, tmp_path / "preds.json", "--allow-missing", "--pick", "majority").stderr
    assert "no image has several texts: `--pick majority` takes the only one, and all of its scores are 1" in said


def test_the_file_is_not_put_among_the_answers_that_it_is_made_of(published: tuple[Path, Path]) -> None:
    folder, dataset = published
    result = _gather(folder, folder / "preds.json", "--dataset", dataset)
    assert isinstance(result.exception, OutputError)
    assert "would lie among the answers and be read as one of them; name a file elsewhere" in str(result.exception)
    assert not (folder / "preds.json").exists()


def test_answers_about_other_images_are_no_failures(published: tuple[Path, Path], tmp_path: Path) -> None:
    folder, dataset = published
    dataset.write_text(dataset.read_text().replace('"a"', '"x"').replace('"b"', '"y"'))
    result = _gather(folder, tmp_path / "preds.json", "--dataset", dataset, "--allow-missing")
    assert isinstance(result.exception, AnswersError)
    assert "the 2 answers found are about none of the images of the split" in str(result.exception)
    assert "name the data set and split it asked about" in str(result.exception)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("preds.json", "holds predictions, which are gathered already; `r1sgg eval "),
        ("photos", "holds no answers; name a folder that `r1sgg infer` or the published code filled"),
        ("shapes", "holds an answer (state.json: no answer in it (`response` is missing))"),
        ("answer", "no folder or file of answers `{}/answer` (did you mean `{}/answers`?)"),
    ],
)
def test_what_holds_no_answers_is_told_apart(folder: Path, tmp_path: Path, name: str, said: str) -> None:
    _gather(folder, tmp_path / "preds.json", "--allow-missing")
    for foreign in ("photos/a.png", "shapes/state.json"):
        (tmp_path / foreign).parent.mkdir()
        (tmp_path / foreign).write_text("{}")
    result = _gather(tmp_path / name, tmp_path / "out.json")
    assert isinstance(result.exception, AnswersError)
    assert said.format(tmp_path, tmp_path) in str(result.exception)


def test_that_several_texts_were_left_out_is_said(folder: Path, tmp_path: Path) -> None:
    text = Sample(MAN, "stop", 9)
    with AnswersFile(folder, ANSWERS_FILE) as file:
        file.append([Answer("c", (1000, 1000), (text, text))])
    assert "images have up to 2 texts, and the first counts" in _gather(folder, tmp_path / "preds.json").stderr
    assert "several texts" not in _gather(folder, tmp_path / "preds.json", "--pick", "majority").stderr
    refused = _gather(folder, tmp_path / "preds.json", "--pick", "likelihood").exception
    assert isinstance(refused, AnswersError)


def test_an_image_that_could_not_be_asked_about_is_named_with_the_reason(folder: Path, tmp_path: Path) -> None:
    with AnswersFile(folder, ANSWERS_FILE) as file:
        file.append([Answer("c", (1000, 1000), (), error="[no] picture")])
    result = _gather(folder, tmp_path / "preds.json")
    assert "image `c` could not be asked about: [no] picture" in result.stderr
    assert "failed: not_asked" in result.stdout


def test_gathering_loads_no_torch(folder: Path, tmp_path: Path) -> None:
    script = (
        "import sys, typer\nfrom r1sgg_cli.cli.gather import gather\n"
        "app = typer.Typer()\napp.command()(gather)\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "heavy = {'torch', 'transformers', 'datasets', 'pandas', 'nltk', 'scipy', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    argv = [sys.executable, "-c", script, str(folder), str(tmp_path / "preds.json"), "--allow-missing"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = _gather(tmp_path / "nowhere", tmp_path / "preds.json")
    assert isinstance(result.exception, AnswersError)
    assert "no folder or file of answers" in str(result.exception)


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
    assert "is made anew (gathered alike)" in _gather(folder, preds, "--allow-missing").stderr
    assert preds.read_bytes() == written, "of the same run they are made again"
    voted = _gather(folder, preds, "--allow-missing", "--pick", "majority")
    assert "held predictions of the same run and is made anew (pick: first there, majority here)" in voted.stderr
    written = preds.read_bytes()
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


@pytest.fixture
def gathered_file(published: tuple[Path, Path], tmp_path: Path) -> Path:
    """What the published gather writes of one image of `published`."""
    path = tmp_path / "gathered.json"
    names = {"names": ["gentleman.1", "bike.2"], "names_target": ["man", "bike"], "boxes": [[0, 0, 9, 9], [0, 0, 8, 8]]}
    relations = {"relation_tuples": [["man", [], "bike", [], "riding"]], "graph": {"all_node_pairs": [[0, 1]]}}
    path.write_text(json.dumps({"a": {**names, **relations}}))
    return path


def test_the_file_of_the_published_gather_is_read_beside_its_data_set(
    gathered_file: Path, published: tuple[Path, Path], tmp_path: Path
) -> None:
    asked = ("--dataset", published[1], "--vocabulary", "vg150")
    result = _gather(gathered_file, tmp_path / "preds.json", *asked, "--allow-missing")
    assert result.exit_code == 0
    assert "gentleman → man × 1" in result.stdout
    assert "failed: missing" in result.stdout
    row = json.loads((tmp_path / "preds.json").read_text())["images"][0]["prediction"]
    assert row["relationships"] == [{"subject": "man.1", "predicate": "riding", "object": "bike.2"}]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        pytest.param([], "predictions without their ground truth: add `--dataset`", id="no data set"),
        pytest.param(["--dataset", "{}"], "add `--vocabulary vg150`", id="no vocabulary"),
        pytest.param(["--wordnet"], "`--wordnet`: `.*` holds graphs that are read and mapped", id="mapping"),
        pytest.param(["--no-aliases"], "`--aliases`: ", id="no mapping"),
        pytest.param(["--pick", "majority"], "`--pick`: ", id="several texts"),
        pytest.param(["--family", "qwen2_vl"], "`--family`: ", id="a family"),
    ],
)
def test_the_file_of_the_published_gather_has_no_texts_to_read(
    gathered_file: Path, published: tuple[Path, Path], tmp_path: Path, options: list[str], match: str
) -> None:
    result = _gather(gathered_file, tmp_path / "preds.json", *(option.format(published[1]) for option in options))
    assert isinstance(result.exception, ConfigError)
    assert re.search(match, str(result.exception))
