"""Rows of tables: what stands in them, and that nothing else is lost."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from r1sgg_cli.errors import OutputError
from r1sgg_cli.report.export_row import CSV_HEADER, Row, csv_table, latex_table, markdown_table, row_of
from r1sgg_cli.report.stages import evaluate_predictions

from .evaluated import make_predictions


@pytest.fixture(scope="module")
def row() -> Row:
    predictions = make_predictions()
    return row_of(Path("a/preds.json"), predictions, evaluate_predictions(predictions, 50))


def cells_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_fractions_with_their_intervals(row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text(csv_table([row], tmp_path / "t.csv"))
    (cells,) = cells_of(tmp_path / "t.csv")
    assert list(cells) == CSV_HEADER
    assert (cells["predictions"], cells["model"], cells["images"]) == ("a/preds.json", "runs/a_b&c", "30")
    assert float(cells["failure_rate"]) == pytest.approx(0.2)
    assert float(cells["triplet_recall_low"]) < float(cells["triplet_recall"]) < float(cells["triplet_recall_high"])


def test_a_csv_table_grows_and_a_files_row_replaces_its_older_one(
    row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "t.csv"
    for each in (row, replace(row, predictions='b,"c".json'), replace(row, num_images=7)):
        path.write_text(csv_table([each], path))
    assert [(cells["predictions"], cells["images"]) for cells in cells_of(path)] == [
        ("a/preds.json", "7"),
        ('b,"c".json', "30"),
    ]


def test_files_of_one_name_from_different_folders_are_different_rows(
    row: Row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tables" / "t.csv"
    path.parent.mkdir()
    for folder in ("ra", "rb", "ra"):
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / folder)
        path.write_text(csv_table([replace(row, predictions="preds.json", model=folder)], path))
    assert [(cells["predictions"], cells["model"]) for cells in cells_of(path)] == [
        ("../ra/preds.json", "ra"),
        ("../rb/preds.json", "rb"),
    ]
    monkeypatch.chdir(path.parent)
    table = csv_table([replace(row, predictions="../rb/preds.json", model="again")], Path("t.csv"))
    assert [line.split(",")[1] for line in table.splitlines()[1:]] == ["ra", "again"]


@pytest.mark.parametrize("text", ["a,b\n1,2\n", ",".join(CSV_HEADER) + "\n1,2\n"], ids=["header", "short row"])
def test_another_table_is_not_added_to(row: Row, tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(OutputError, match="a table with other columns"):
        csv_table([row], tmp_path / "t.csv")


def test_what_has_no_value_is_an_empty_cell_and_a_dash(row: Row, tmp_path: Path) -> None:
    empty = replace(row, metrics=tuple(replace(metric, value=float("nan"), interval=None) for metric in row.metrics))
    (tmp_path / "t.csv").write_text(csv_table([empty], tmp_path / "t.csv"))
    assert cells_of(tmp_path / "t.csv")[0]["box_ap50"] == ""
    assert "| – | – | – | – |" in markdown_table([empty])
    assert "-- & -- & -- & -- \\\\" in latex_table([empty])


def test_markdown_is_a_table_with_how_each_column_is_counted(row: Row) -> None:
    lines = markdown_table([row, row]).splitlines()
    header, rule, *rows = [line for line in lines if line.startswith("|")]
    assert header == "| Model | Data set | Images | Fail (%) | AP@50 (%) | Recall (%) | mRecall (%) |"
    assert {line.count("|") for line in (header, rule, *rows)} == {8}
    assert rows[0].startswith(r"| runs/a\_b&amp;c | data/shapes (test) | 30 | 20.00")
    assert any(line.startswith("- Recall: hits / annotated, mean over") for line in lines)


def test_latex_is_a_tabular_whose_rows_have_its_columns(row: Row) -> None:
    text = latex_table([row])
    body = text.split("\\toprule\n")[1].split("\\bottomrule")[0].splitlines()
    assert r"\begin{tabular}{lllrrrr}" in text
    assert all(
        line.replace(r"\&", "").count("&") == 6 and line.endswith("\\\\") for line in body if line != "\\midrule"
    )
    assert r"runs/a\_b\&c & data/shapes (test) & 30 & 20.00" in text
    assert all(line.startswith("%") for line in text.split(r"\begin")[0].splitlines())
