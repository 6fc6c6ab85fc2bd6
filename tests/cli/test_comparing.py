"""`r1sgg eval A.json B.json …`."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from r1sgg_cli.cli.eval import evaluate
from r1sgg_cli.data.predictions import save_predictions
from r1sgg_cli.errors import AnswersError, ConfigError, OutputError
from tests.report.evaluated import make_predictions


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """A poor run and a good one."""
    paths = [tmp_path / name / "preds.json" for name in ("[b]sft", "grpo")]
    for path, skill in zip(paths, (0.3, 0.9), strict=True):
        save_predictions(make_predictions(40, skill=skill), path)
    return paths


def _eval(*arguments: str | Path, columns: int = 200) -> Result:
    app = typer.Typer()
    app.command()(evaluate)
    few = ["--resamples", "100"]
    return CliRunner().invoke(app, [*few, *(str(argument) for argument in arguments)], env={"COLUMNS": str(columns)})


def test_numbers_predicates_and_sentences_are_printed(runs: list[Path]) -> None:
    result = _eval(*runs)
    assert result.exit_code == 0, result.output
    rows = [[cell.strip() for cell in line.split("│")[1:7]] for line in result.stdout.splitlines()]
    table = {row[0]: row[1:] for row in rows if len(row) == 6}
    assert table["failure rate"][:3] == ["20.00", "20.00", "0.00"]
    assert table["triplet recall"][4] == "better"
    assert "grpo against [b]sft: 40 images" in result.stdout
    assert "of the annotated relationships than [b]sft (95 % interval" in result.stdout
    assert "not corrected for how many there are" in " ".join(result.stdout.split())


def test_the_same_is_written_as_json_beside_the_first_run(runs: list[Path]) -> None:
    result = _eval(*runs)
    path = runs[0].with_name("[b]sft-vs-grpo.comparison.json")
    assert str(path) in result.stdout
    content = json.loads(path.read_text())
    assert [run["name"] for run in content["runs"]] == ["[b]sft", "grpo"]
    (comparison,) = content["comparisons"]
    assert {"numbers", "predicates", "images", "in_words"} <= set(comparison)
    recall = next(number for number in comparison["numbers"] if number["name"] == "triplet_recall" and not number["k"])
    assert recall["interval"][0] < recall["difference"] < recall["interval"][1]
    assert recall["difference"] == pytest.approx(recall["values"][1] - recall["values"][0])
    assert {each["predicate"] for each in comparison["predicates"]} == {"has", "near", "on"}
    assert _eval(*runs).exit_code == 0, "its own file is replaced"


def test_three_runs_are_two_comparisons(runs: list[Path], tmp_path: Path) -> None:
    save_predictions(make_predictions(40, seed=5), tmp_path / "third" / "preds.json")
    out = tmp_path / "numbers.json"
    assert _eval(*runs, tmp_path / "third" / "preds.json", "--out", out).exit_code == 0
    assert [each["other"] for each in json.loads(out.read_text())["comparisons"]] == ["grpo", "third"]


def test_a_table_has_a_row_per_run_and_what_is_of_one_run_is_refused(runs: list[Path], tmp_path: Path) -> None:
    result = _eval(*runs, "--export", f"markdown={tmp_path / 'rows.md'}")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "rows.md").read_text().count(r"runs/a\_b&amp;c") == 2
    refused = _eval(*runs, "--export", f"coco={tmp_path / 'boxes'}").exception
    assert isinstance(refused, ConfigError)
    assert "is of one run" in str(refused)


def test_other_images_are_refused_before_anything_is_written(runs: list[Path]) -> None:
    run = make_predictions(40)
    save_predictions(replace(run, images=run.images[:30]), runs[1])
    refused = _eval(*runs).exception
    assert isinstance(refused, AnswersError)
    assert "10 only in the first" in str(refused)
    assert [path.name for path in runs[0].parent.iterdir()] == ["preds.json"]


def test_a_run_that_was_given_the_objects_is_not_compared_with_one_that_had_to_find_them(runs: list[Path]) -> None:
    run = make_predictions(40)
    save_predictions(replace(run, provenance={**run.provenance, "task": "cls"}), runs[1])
    refused = str(_eval(*runs).exception)
    assert "preds.json` is PredCls (the annotated objects were given" in refused
    assert "compare runs that were asked the same" in refused


def test_wrong_files_are_one_line(runs: list[Path], tmp_path: Path) -> None:
    missing = _eval(runs[0], tmp_path / "nothing.json").exception
    assert isinstance(missing, AnswersError)
    twice = _eval(runs[0], runs[0]).exception
    assert "given twice" in str(twice)
    (tmp_path / "thesis.json").write_text("{}")
    unpaired = _eval(*runs, "--resamples", "0").exception
    assert "leave `--resamples 0` out" in str(unpaired)
    published = _eval(*runs, "--protocol", "published").exception
    assert "several runs are compared by the standard protocol" in str(published)
    foreign = _eval(*runs, "--out", tmp_path / "thesis.json").exception
    assert isinstance(foreign, OutputError)


def test_a_narrow_terminal_cuts_nothing(runs: list[Path]) -> None:
    assert "…" not in _eval(*runs, columns=72).stdout
