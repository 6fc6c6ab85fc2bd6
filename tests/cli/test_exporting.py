"""`r1sgg eval --export`."""

from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from r1sgg_cli.cli.eval import evaluate
from r1sgg_cli.data.predictions import save_predictions
from r1sgg_cli.errors import ConfigError, OutputError, R1SGGError
from r1sgg_cli.report.export_row import CSV_HEADER
from r1sgg_cli.scene_graph.vocabulary import Vocabulary
from tests.report.evaluated import make_predictions


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    save_predictions(make_predictions(), tmp_path / "preds.json")
    return tmp_path / "preds.json"


def _eval(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(evaluate)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


KINDS = {
    "coco": ("boxes", "boxes/detections.json"),
    "sgb": ("graphs", "graphs/gathered.json"),
    "csv": ("new/rows.csv", "new/rows.csv"),
    "markdown": ("row.md", "row.md"),
    "latex": ("row.tex", "row.tex"),
    "model-card": ("README.md", "README.md"),
}


def test_all_kinds_are_written_at_once_and_again(predictions: Path, tmp_path: Path) -> None:
    options = [f"--export={kind}={tmp_path / path}" for kind, (path, _) in KINDS.items()]
    for _ in range(2):
        result = _eval(predictions, *options)
        assert result.exit_code == 0, result.output
    for path, written in KINDS.values():
        assert (tmp_path / written).is_file()
        assert str(tmp_path / path) in result.stdout


def test_given_boxes_are_no_detections(tmp_path: Path) -> None:
    run = make_predictions()
    save_predictions(replace(run, provenance={**run.provenance, "task": "cls"}), tmp_path / "preds.json")
    refused = _eval(tmp_path / "preds.json", f"--export=coco={tmp_path / 'boxes'}").exception
    assert isinstance(refused, ConfigError)
    assert "is of predicted boxes, but the annotated objects were given" in str(refused)
    assert [path.name for path in tmp_path.iterdir()] == ["preds.json"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "model-card"])
def test_something_else_is_never_replaced(predictions: Path, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "place"
    if kind in ("coco", "sgb"):
        place.mkdir()
        (place / "thesis.txt").write_text("mine")
    else:
        place.write_text("mine")
    result = _eval(predictions, f"--export={kind}={place}")
    assert isinstance(result.exception, OutputError)
    assert "holds something else" in str(result.exception)
    assert not predictions.with_name("preds.metrics.json").exists()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("row.tex", "is not KIND=PATH"),
        ("pdf=row.pdf", "is not KIND=PATH"),
        ("coco=", "is not KIND=PATH"),
        ("model-card=preds.json", "is no model card"),
    ],
)
def test_a_wrong_kind_or_place_is_a_usage_error(predictions: Path, value: str, said: str) -> None:
    result = _eval(predictions, "--export", value)
    assert result.exit_code == 2
    assert said in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("exports", "said"),
    [
        (("csv=rows", "markdown=./rows"), "`--export markdown=rows` would replace what `--export csv` writes at"),
        (("csv=a.csv", "csv=b/../a.csv"), "would replace what `--export csv` writes at"),
        (("coco=both", "sgb=both"), "would replace what `--export coco` writes at"),
        (("sgb=graphs", "latex=graphs/labels.json"), "would replace what `--export sgb` writes at"),
        (("csv=preds.metrics.json",), "would replace the numbers at"),
    ],
    ids=["two kinds", "one kind twice", "two folders", "a file of a folder", "the numbers"],
)
def test_two_things_at_one_place_are_refused_before_anything_is_written(
    predictions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exports: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = _eval("preds.json", *(f"--export={each}" for each in exports)).exception
    assert isinstance(refused, ConfigError)
    assert said in str(refused)
    assert "give each a path of its own" in str(refused)
    assert list(tmp_path.iterdir()) == [predictions]


@pytest.mark.parametrize(
    ("export", "said"),
    [
        ("sgb=graphs", "the file has no vocabulary"),
        ("model-card=card.md", "is no model card that can be read"),
        ("csv=table.csv", "a table with other columns"),
    ],
)
def test_what_could_not_be_written_is_refused_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, export: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    save_predictions(replace(make_predictions(), vocabulary=Vocabulary((), ())), tmp_path / "preds.json")
    (tmp_path / "card.md").write_text("---\na: [\n---\n")
    (tmp_path / "table.csv").write_text(",".join(CSV_HEADER) + "\n1,2\n")
    refused = _eval("preds.json", f"--export={export}").exception
    assert isinstance(refused, R1SGGError)
    assert said in str(refused)
    assert not (tmp_path / "preds.metrics.json").exists()


def test_the_published_protocol_alone_is_not_exported(predictions: Path, tmp_path: Path) -> None:
    refused = _eval(predictions, "--protocol", "published", f"--export=csv={tmp_path / 'rows.csv'}").exception
    assert isinstance(refused, ConfigError)
    assert "leave `--protocol published` out" in str(refused)
