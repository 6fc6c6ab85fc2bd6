"""A model's card with its numbers, as the hub reads it."""

from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from r1sgg_cli.errors import OutputError
from r1sgg_cli.report.export_card import model_card_with
from r1sgg_cli.report.export_row import Row, row_of
from r1sgg_cli.report.stages import evaluate_predictions

from .evaluated import make_predictions

CARD = "---\nlibrary_name: transformers\nmodel_kind: odd\n---\n\n# grpo\n\nTrained by hand.\n"


@pytest.fixture(scope="module")
def row() -> Row:
    predictions = make_predictions()
    return row_of(Path("a/preds.json"), predictions, evaluate_predictions(predictions, 50))


def exported(row: Row, path: Path) -> ModelCard:
    path.write_text(model_card_with(row, path), encoding="utf-8")
    return ModelCard.load(path)


def test_the_hub_reads_every_number_with_its_data_set(row: Row, tmp_path: Path) -> None:
    data = exported(row, tmp_path / "README.md").data
    assert data["model_name"] == "a_b&c"
    assert {(r.metric_name, r.dataset_name, r.dataset_split) for r in data["eval_results"]} == {
        (title, "data/shapes", "test") for title in ("Fail", "AP@50", "Recall", "mRecall")
    }
    recall = next(result for result in data["eval_results"] if result.metric_type == "triplet_recall")
    assert recall.metric_value == pytest.approx(row.metrics[2].value, abs=1e-6)
    assert recall.metric_args["interval_95"] == pytest.approx(row.metrics[2].interval, abs=1e-6)


def test_a_card_keeps_all_else_it_says(row: Row, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(CARD)
    card = exported(row, path)
    assert (card.data["library_name"], card.data["model_kind"]) == ("transformers", "odd")
    assert card.text.strip().startswith("# grpo\n\nTrained by hand.\n\n<!-- r1sgg eval ")


def test_the_same_data_set_again_replaces_its_numbers_and_another_is_added(row: Row, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(CARD)
    once = exported(row, path)
    assert str(exported(row, path)) == str(once)
    both = exported(replace(row, split="val"), path)
    assert len(both.data["eval_results"]) == 2 * len(once.data["eval_results"])
    assert both.text.count("## Evaluated on data/shapes") == 2
    exported(replace(row, num_images=7), path)
    assert "7 images, by r1sgg" in path.read_text()
    assert path.read_text().count("## Evaluated on data/shapes, test") == 1


def test_data_sets_of_one_name_and_different_owners_keep_their_numbers(row: Row, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    for owner in ("alice", "bob"):
        card = exported(replace(row, dataset=f"{owner}/vg150"), path)
    results = card.data["eval_results"]
    assert {(r.dataset_name, r.dataset_type) for r in results} == {("alice/vg150",) * 2, ("bob/vg150",) * 2}
    assert len(results) == 8
    assert all(f"## Evaluated on {owner}/vg150, test" in card.text for owner in ("alice", "bob"))


def test_a_text_without_metadata_gets_some(row: Row, tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text("# Mine\n")
    card = exported(row, tmp_path / "card.md")
    assert card.text.strip().startswith("# Mine")
    assert len(card.data["eval_results"]) == 4


@pytest.mark.parametrize(
    "metadata", ["a: [", "- a list", "model-index: [{}]"], ids=["no YAML", "no mapping", "no model index"]
)
def test_metadata_that_cannot_be_read_is_one_line(row: Row, tmp_path: Path, metadata: str) -> None:
    (tmp_path / "README.md").write_text(f"---\n{metadata}\n---\n# Mine\n")
    with pytest.raises(OutputError, match="is no model card that can be read"):
        model_card_with(row, tmp_path / "README.md")


def test_a_number_without_a_value_is_not_sent_to_the_hub(row: Row, tmp_path: Path) -> None:
    unknown = replace(row.metrics[1], value=float("nan"), interval=None)
    card = exported(replace(row, metrics=(row.metrics[0], unknown, *row.metrics[2:])), tmp_path / "README.md")
    assert {result.metric_name for result in card.data["eval_results"]} == {"Fail", "Recall", "mRecall"}
    assert "| AP@50 | – | – |" in card.text
