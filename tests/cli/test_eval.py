"""`r1sgg eval`."""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from r1sgg_cli.cli.eval import evaluate
from r1sgg_cli.data.predictions import ImagePrediction, Predictions, load_predictions, save_predictions
from r1sgg_cli.data.statistics import SplitStatistics
from r1sgg_cli.errors import AnswersError, ConfigError, DataError, OutputError
from r1sgg_cli.scene_graph.graph import graph_from_rows
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

ROWS = [{"id": "man.1", "bbox": [0, 0, 20, 10]}, {"id": "horse.2", "bbox": [50, 0, 90, 90]}]
RELATIONSHIPS = [{"subject": "man.1", "predicate": "riding", "object": "horse.2"}]


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    """Four images, one answered perfectly, three failed."""
    graph = graph_from_rows(ROWS, RELATIONSHIPS, (100, 100))
    images = [ImagePrediction("a", (100, 100), graph, graph, None, {}, "")]
    images += [ImagePrediction(image_id, (100, 100), graph, None, "missing", {}, "") for image_id in "bcd"]
    provenance = {"model": "runs/[b]sft", "dataset": "data/shapes", "split": "test", "gather": {"first_image": "a"}}
    vocabulary = Vocabulary(("man", "horse"), ("riding", "near"))
    save_predictions(Predictions(provenance, vocabulary, tuple(images)), tmp_path / "preds.json")
    return tmp_path / "preds.json"


def _eval(*arguments: str | Path, columns: int = 200) -> Result:
    app = typer.Typer()
    app.command()(evaluate)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": str(columns)})


def _cells(output: str, num_columns: int) -> dict[str, list[str]]:
    """The rows of tables with so many columns, by their first cell."""
    rows = ([cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines())
    return {row[0]: row[1:] for row in rows if len(row) == num_columns}


def test_the_first_table_says_each_number_its_interval_and_how_it_is_counted(predictions: Path) -> None:
    table = _cells(_eval(predictions).stdout, 4)
    assert table["failure rate"] == ["0.7500", "0.3006 – 0.9544", "images without a readable graph / all 4 images"]
    assert table["triplet recall @ all"][0] == "0.2500"
    assert "mean over 4 images with a relationship" in table["triplet recall @ all"][2]
    assert table["failure rate missing"][0] == "0.7500"
    assert table["annotated objects per image"] == ["2.0000", "2.0000 – 2.0000", "annotated / all 4 images"]


def test_a_narrow_terminal_has_it_below_the_table(predictions: Path) -> None:
    output = _eval(predictions, columns=80).stdout
    table = _cells(output, 3)
    assert table["failure rate"] == ["0.7500", "0.3006 – 0.9544"]
    assert table["triplet recall @ all"][0] == "0.2500"
    assert "how it is counted" not in output
    assert "\nfailure rate: images without a readable graph / all 4 images\n" in output
    lines = output.splitlines()
    assert next(i for i, line in enumerate(lines) if "├" in line) < 22  # the headline is on the first screen
    assert all(len(line) <= 80 for line in lines if "│" in line)


def test_the_second_table_has_a_column_for_each_k(predictions: Path) -> None:
    output = _eval(predictions).stdout
    table = _cells(output, 6)
    assert table["triplet recall (ng-R@K)"] == ["0.2500"] * 5
    assert table["mean recall vocabulary (ng-mR@K)"] == ["0.1250"] * 5
    assert "graph constrained recall, phrase recall: hits / annotated, mean over 4 images with a relationship" in output


def test_the_published_numbers_stand_beside_the_standard_ones(predictions: Path) -> None:
    output = _eval(predictions).stdout
    table = _cells(output, 4)
    assert table["ngR per image"] == ["0.2500", "0.2500", "triplet recall"]
    assert table["R @ 20"] == ["1.0000", "0.2500", "triplet recall"]  # there, images without an answer do not count
    assert "R @ 20, R @ 50, R @ 100: first K as written; mean over 1 images" in output
    content = json.loads(predictions.with_name("preds.metrics.json").read_text())
    assert {metric["name"] for metric in content["published"]["metrics"]} >= {"R", "mR", "AP", "APs", "whole ngR"}


def test_one_protocol_alone_can_be_asked_for(predictions: Path) -> None:
    path = predictions.with_name("numbers.json")
    assert "as published" not in _eval(predictions, "--protocol", "standard", "--out", path).stdout
    assert "published" not in json.loads(path.read_text())
    output = _eval(predictions, "--protocol", "published", "--out", path).stdout
    assert "failure rate" not in output
    assert _cells(output, 2)["ngR per image"] == ["0.2500"]
    assert "metrics" not in json.loads(path.read_text())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--protocol", "standard", "--resamples", "0"],
            "the intervals and the published evaluator's numbers of the same predictions, which would be lost: leave"
            " `--resamples 0` and `--protocol standard` out, or name another file with `--out`",
        ),
        (["--resamples", "0"], "the intervals of the same predictions, which would be lost: leave `--resamples 0` out"),
        (["--protocol", "standard"], "the published evaluator's numbers of the same predictions"),
        (["--protocol", "published"], "the standard numbers of the same predictions"),
    ],
    ids=["least", "no intervals", "standard", "published"],
)
def test_fewer_numbers_do_not_replace_more(predictions: Path, options: list[str], said: str) -> None:
    path = predictions.with_name("preds.metrics.json")
    assert _eval(predictions, "--resamples", "100").exit_code == 0
    before = path.read_text()
    refused = _eval(predictions, *options).exception
    assert isinstance(refused, OutputError)
    assert said in str(refused)
    assert path.read_text() == before
    assert _eval(predictions, *options, "--out", path).exit_code == 0  # named, it is replaced
    assert path.read_text() != before
    assert _eval(predictions, "--resamples", "100").exit_code == 0  # more replace fewer
    assert path.read_text() == before


def test_numbers_of_other_predictions_are_replaced(predictions: Path) -> None:
    assert _eval(predictions, "--resamples", "100").exit_code == 0
    predictions.write_text(predictions.read_text().replace("b]sft", "b]grpo"))
    assert _eval(predictions, "--resamples", "0").exit_code == 0
    assert json.loads(predictions.with_name("preds.metrics.json").read_text())["num_resamples"] == 0


def test_an_open_vocabulary_has_no_published_numbers_and_that_is_said(predictions: Path) -> None:
    loaded = load_predictions(predictions)
    save_predictions(replace(loaded, vocabulary=Vocabulary((), ())), predictions)
    assert "not computed: the published evaluator's numbers: " in _eval(predictions).stdout
    asked = _eval(predictions, "--protocol", "published", "--out", predictions.with_name("numbers.json"))
    assert isinstance(asked.exception, DataError)


def test_without_resamples_there_is_no_column_of_intervals(predictions: Path) -> None:
    result = _eval(predictions, "--resamples", "0")
    assert "95 % interval" not in result.stdout
    assert _cells(result.stdout, 3)["failure rate"][0] == "0.7500"
    metrics = json.loads(predictions.with_name("preds.metrics.json").read_text())["metrics"]
    assert all(metric["interval"] is None for metric in metrics)


@pytest.mark.parametrize("resamples", ["-1", "1", "99", "100001"])
@pytest.mark.parametrize("num_runs", [1, 2])
def test_too_few_resamples_for_an_interval_and_too_many_are_refused(
    predictions: Path, resamples: str, num_runs: int
) -> None:
    result = _eval(*[predictions] * num_runs, "--resamples", resamples)
    assert result.exit_code == 2
    assert "--resamples" in result.stderr
    assert not predictions.with_name("preds.metrics.json").exists()


def test_what_is_not_known_is_said_once_and_makes_no_row(predictions: Path) -> None:
    output = _eval(predictions).stdout
    assert output.count("nothing says what training showed; `--training DATASET`") == 1
    assert "zero shot" not in output


def test_a_prepared_data_set_says_what_training_showed(predictions: Path, tmp_path: Path) -> None:
    shown = SplitStatistics(1, predicates=Counter(near=5), triplets=Counter({("man", "near", "horse"): 5}))
    (tmp_path / "train_statistics.json").write_text(json.dumps(shown.to_json()))
    names = {"objects": ["man", "horse"], "predicates": ["riding", "near"]}
    (tmp_path / "vocabulary.json").write_text(json.dumps(names))
    output = _eval(predictions, "--training", tmp_path).stdout
    assert _cells(output, 6)["zero shot recall (ng-zR@K)"][4] == "0.2500"
    assert "not computed" not in output
    counts = json.loads(predictions.with_name("preds.metrics.json").read_text())["predicates"]
    assert [(each["name"], each["training"], each["group"]) for each in counts] == [
        ("riding", 0, "tail"),
        ("near", 5, "body"),
    ]


def test_a_folder_that_says_nothing_of_training_is_refused(predictions: Path, tmp_path: Path) -> None:
    refused = _eval(predictions, "--training", tmp_path).exception
    assert isinstance(refused, DataError)
    assert "has no `train_statistics.json`" in str(refused)


def test_the_training_of_another_data_set_is_refused(predictions: Path, tmp_path: Path) -> None:
    shown = SplitStatistics(1, predicates=Counter(above=5), triplets=Counter({("red square", "above", "dot"): 5}))
    (tmp_path / "train_statistics.json").write_text(json.dumps(shown.to_json()))
    refused = _eval(predictions, "--training", tmp_path).exception
    assert isinstance(refused, DataError)
    assert "is of another data set than the annotations: it has 0 of the 1 predicates" in str(refused)
    assert not predictions.with_name("preds.metrics.json").exists()


def test_labels_are_compared_by_meaning_where_that_is_asked_for(predictions: Path) -> None:
    assert "soft triplet recall" not in _eval(predictions).stdout
    refused = _eval(predictions, "--similarity", "telepathy").exception
    assert isinstance(refused, ConfigError)
    assert "no similarity `telepathy`" in str(refused)


def test_provenance_stands_on_top_as_it_is_written(predictions: Path) -> None:
    assert _eval(predictions).stdout.splitlines()[0] == "runs/[b]sft on data/shapes (test)"


def test_the_numbers_are_written_beside_the_predictions(predictions: Path) -> None:
    result = _eval(predictions)
    path = predictions.with_name("preds.metrics.json")
    content = json.loads(path.read_text())
    values = {(metric["name"], metric["k"]): metric["value"] for metric in content["metrics"]}
    assert values["triplet_recall", None] == 0.25
    assert content["image_ids"] == ["a", "b", "c", "d"]
    assert content["triplet_recall_per_image"] == [1, 0, 0, 0]
    assert content["recall_per_predicate"] == {"riding": 0.25, "near": None}
    assert content["provenance"]["dataset"] == "data/shapes"
    assert "preds.metrics.json" in result.stdout


def test_numbers_of_a_trial_say_so(predictions: Path) -> None:
    assert "runs/[b]sft on data/shapes (test)\n" in _eval(predictions).stdout
    trial = predictions.read_text().replace('"split": "test"', '"split": "test", "limit": 4, "split_size": 9')
    predictions.write_text(trial)
    assert "runs/[b]sft on data/shapes (test), first 4 of 9 images (`--limit`)\n" in _eval(predictions).stdout
    provenance = json.loads(predictions.with_name("preds.metrics.json").read_text())["provenance"]
    assert (provenance["limit"], provenance["split_size"]) == (4, 9)


@pytest.mark.parametrize(
    ("task", "absent", "present"),
    [
        pytest.param("det", ("elation", "riplet", "redicate"), ("object f1", "box ap50", "AP50"), id="det"),
        pytest.param("cls", ("object f1", "box ap", "AP50"), ("triplet recall", "ngR per image"), id="cls"),
    ],
)
def test_what_was_not_asked_for_is_neither_printed_nor_exported(
    predictions: Path, tmp_path: Path, task: str, absent: tuple[str, ...], present: tuple[str, ...]
) -> None:
    predictions.write_text(predictions.read_text().replace('"split": "test"', f'"split": "test", "task": "{task}"'))
    exports = ["csv=rows.csv", "markdown=rows.md", "latex=rows.tex", "model-card=README.md"]
    options = [f"--export={kind}={tmp_path / name}" for kind, name in (each.split("=") for each in exports)]
    result = _eval(predictions, *options)
    assert result.exit_code == 0, result.output
    rows = [line.split("│")[1] for line in result.stdout.splitlines() if line.startswith("│")]
    for word in absent:
        assert not [row for row in rows if word in row]
    for word in present:
        assert [row for row in rows if word in row]
    metrics = json.loads(predictions.with_name("preds.metrics.json").read_text())["published"]["metrics"]
    assert {metric["name"] == "AP" for metric in metrics} == ({False, True} if task == "det" else {False})
    for name in ("rows.csv", "rows.md", "rows.tex", "README.md"):
        assert (tmp_path / name).is_file()
    not_asked = "Recall" if task == "det" else "AP@50"
    assert f"- {not_asked}: not asked for" in (tmp_path / "rows.md").read_text()
    assert f"| {not_asked} | – | – | not asked for |" in (tmp_path / "README.md").read_text()


def test_few_images_are_warned_of(predictions: Path) -> None:
    assert "Only 4 images: intervals of so few are too narrow to rely on." in _eval(predictions).stdout
    assert "Only 4 images" not in _eval(predictions, "--resamples", "0").stdout


def test_pictures_without_annotations_are_not_scored(predictions: Path) -> None:
    predictions.write_text(predictions.read_text().replace('"split": "test"', '"split": "test", "annotated": false'))
    refused = _eval(predictions).exception
    assert isinstance(refused, AnswersError)
    assert "is of pictures without annotations: nothing to score" in str(refused)


def test_labels_that_were_mapped_are_said_beside_the_numbers(predictions: Path) -> None:
    assert "into the vocabulary" not in _eval(predictions).stdout
    mapping = '"label_mapping": {"aliases": "vg150", "wordnet": null, "mapped": {"objects": {"guy → man": 3}}}'
    predictions.write_text(predictions.read_text().replace('"first_image"', f'{mapping}, "first_image"'))
    assert "3 labels were mapped into the vocabulary (aliases: vg150), which may raise" in _eval(predictions).stdout


def test_what_ranks_is_said_under_the_table(predictions: Path) -> None:
    said = "the first K relationships of an answer, {};"
    assert said.format("in its order") in " ".join(_eval(predictions).stdout.split())
    loaded = load_predictions(predictions)
    first = replace(loaded.images[0], object_scores=(0.9, 0.8), triplet_scores=(0.5,))
    save_predictions(replace(loaded, images=(first, *loaded.images[1:])), predictions)
    assert said.format("by their scores") in " ".join(_eval(predictions).stdout.split())


def test_the_numbers_go_where_the_user_says(predictions: Path, tmp_path: Path) -> None:
    assert _eval(predictions, "--out", tmp_path / "sub" / "numbers.json").exit_code == 0
    assert (tmp_path / "sub" / "numbers.json").exists()
    assert not predictions.with_name("preds.metrics.json").exists()


def test_a_narrow_terminal_cuts_nothing(predictions: Path) -> None:
    assert "…" not in _eval(predictions, columns=72).stdout


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    result = _eval(tmp_path / "nothing.json")
    assert isinstance(result.exception, AnswersError)
    assert "nothing.json" in str(result.exception)


def test_another_json_file_is_no_predictions_file(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    result = _eval(tmp_path / "other.json")
    assert isinstance(result.exception, AnswersError)
    assert "is not a predictions file" in str(result.exception)


def test_an_unwritable_place_is_named_before_numbers_are_printed(predictions: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = _eval(predictions, "--out", tmp_path / "file" / "numbers.json")
    assert isinstance(result.exception, OutputError)
    assert "file/numbers.json" in str(result.exception)


def test_evaluation_prints_nothing_but_its_result_and_loads_no_torch(predictions: Path) -> None:
    script = (
        "import sys, typer\nfrom r1sgg_cli.cli.eval import evaluate\n"
        "app = typer.Typer()\napp.command()(evaluate)\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "heavy = {'torch', 'transformers', 'datasets', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(predictions)], capture_output=True, text=True, check=False, timeout=400
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "DONE" not in done.stdout


def test_help_shows_an_example() -> None:
    assert "Example: r1sgg eval preds.json" in _eval("--help").stdout


def test_a_file_without_images_is_not_scored(predictions: Path) -> None:
    content = json.loads(predictions.read_text())
    predictions.write_text(json.dumps(content | {"images": []}))
    refused = _eval(predictions).exception
    assert isinstance(refused, AnswersError)
    assert "holds no images: nothing to score" in str(refused)
