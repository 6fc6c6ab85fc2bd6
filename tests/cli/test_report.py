"""`r1sgg report`: one page or one folder, that replaces nothing foreign and says what it lacks."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from r1sgg_cli.cli.report import report
from r1sgg_cli.data.predictions import ImagePrediction, Predictions, save_predictions
from r1sgg_cli.data.rows import load_rows, parse_ground_truth, sized_rows
from r1sgg_cli.errors import AnswersError, ConfigError, DataError, OutputError
from r1sgg_cli.scene_graph.vocabulary import load_vocabulary
from tests.report.run_folder import make_run


@pytest.fixture(scope="module")
def answered(synthetic_dataset: Path) -> Predictions:
    """The test split of the synthetic set, every second image answered as it is annotated, the others not at all."""
    images: list[ImagePrediction] = []
    for row, image_wh in sized_rows(load_rows(str(synthetic_dataset), "test")):
        truth = parse_ground_truth(row["image_id"], row["objects"], row["relationships"], image_wh)
        graph, failure = (truth, None) if len(images) % 2 else (None, "no_json")
        images.append(ImagePrediction(row["image_id"], image_wh, truth, graph, failure, {}, "as it was written"))
    provenance = {"model": "runs/sft", "dataset": str(synthetic_dataset), "split": "test"}
    vocabulary = load_vocabulary(str(synthetic_dataset / "vocabulary.json"))
    return Predictions(provenance, vocabulary, tuple(images))


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answered: Predictions) -> None:
    monkeypatch.chdir(tmp_path)
    save_predictions(answered, Path("preds.json"))


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(report)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_page_is_named_after_the_predictions_and_can_be_written_again() -> None:
    for _ in range(2):
        assert run("preds.json", "--images", "2").stdout == "preds.report.html: 2 of 12 images\n"
    html = Path("preds.report.html").read_text(encoding="utf-8")
    assert html.count("<template") == 2
    assert html.count("data:image/jpeg") == 2
    assert "2 of 12 images: " in html
    assert "annotated in the training split" in html


def test_all_images_make_a_folder_that_can_be_written_again() -> None:
    for _ in range(2):
        assert run("preds.json", "--all", "--out", "all").stdout == "all/index.html: 12 of 12 images\n"
    assert len(list(Path("all/images").glob("*.jpg"))) == len(list(Path("all/cards").glob("*.js"))) == 12
    assert not list(Path().glob(".*"))


def test_photos_are_asked_for_unless_they_are_left_out(answered: Predictions, synthetic_dataset: Path) -> None:
    moved = replace(answered, provenance={**answered.provenance, "dataset": "/gone/data"})
    save_predictions(moved, Path("moved.json"))
    with pytest.raises(DataError, match=r"no photos: no folder `/gone/data`; go without with `--no-photos`"):
        run("moved.json")
    assert run("moved.json", "--no-photos", "--images", "1").stdout == "moved.report.html: 1 of 12 images\n"
    blank = Path("moved.report.html").read_text(encoding="utf-8")
    assert "The photos were left out" in blank
    assert "how often training showed it is not on record" in blank
    shown = {"num_images": 1, "objects": {"man": 1}, "predicates": {"riding": 1}, "triplets": []}
    Path("train_statistics.json").write_text(json.dumps(shown), encoding="utf-8")
    with pytest.raises(DataError, match=r"`\.` is of another data set than the annotations"):
        run("moved.json", "--no-photos", "--dataset", ".")
    run("moved.json", "--dataset", synthetic_dataset, "--images", "1")
    assert "The photos were left out" not in Path("moved.report.html").read_text(encoding="utf-8")


def test_a_runs_curves_are_on_the_page() -> None:
    make_run(Path("run"), kept=())
    run("preds.json", "--run", "run", "--images", "1")
    assert "Groups without variance" in Path("preds.report.html").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="`elsewhere` is no run; give the folder"):
        run("preds.json", "--run", "elsewhere")
    Path("run/metrics.jsonl").write_text("")
    with pytest.raises(ConfigError, match="`run` has logged nothing to draw"):
        run("preds.json", "--run", "run")


def test_two_runs_are_laid_side_by_side(answered: Predictions) -> None:
    later = [replace(image, prediction=image.ground_truth, failure=None) for image in answered.images]
    save_predictions(replace(answered, images=tuple(later)), Path("later.json"))
    result = run("--compare", "preds.json", "later.json", "--out", "both.html", "--images", "2")
    assert result.stdout == "both.html: 2 of 12 images\n"
    html = Path("both.html").read_text(encoding="utf-8")
    assert "<h1>preds against later</h1>" in html
    assert html.count('<section class="side">') == 6
    assert "later finds more of the annotated relationships than preds or fewer is not shown: +50.00 points" in html
    assert "Only 12 images: intervals of so few are too narrow to rely on." in html


def test_other_images_or_annotations_are_not_laid_side_by_side(answered: Predictions) -> None:
    save_predictions(replace(answered, images=answered.images[1:]), Path("fewer.json"))
    first = answered.images[0]
    with pytest.raises(AnswersError, match=r"`fewer.json` is of other images than `preds.json`"):
        run("--compare", "preds.json", "fewer.json")
    changed = replace(first, ground_truth=answered.images[1].ground_truth)
    save_predictions(replace(answered, images=(changed, *answered.images[1:])), Path("changed.json"))
    with pytest.raises(
        AnswersError, match=f"other annotations than `preds.json` in 1 of 12 images .`{first.image_id}`"
    ):
        run("--compare", "preds.json", "changed.json")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["preds.json", "preds.json"], "2 predictions files: add `--compare`"),
        (["--compare", "preds.json"], "1 predictions files: `--compare` takes two"),
        (["preds.json", "--all", "--images", "3"], "`--all` shows every image"),
        (["--compare", "preds.json", "preds.json", "--run", "run"], "`--run` shows the curves of one training"),
    ],
    ids=["two without --compare", "one with it", "all and some", "whose curves"],
)
def test_options_that_contradict_each_other_are_refused(arguments: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        run(*arguments)


def test_a_foreign_file_or_folder_is_never_replaced() -> None:
    Path("page.html").write_text("<!DOCTYPE html>mine", encoding="utf-8")
    with pytest.raises(OutputError, match="holds something else"):
        run("preds.json", "--out", "page.html")
    Path("site").mkdir()
    for name in ("notes.txt", "index.html"):
        Path("site", name).write_text("mine", encoding="utf-8")
        with pytest.raises(OutputError, match="holds something else"):
            run("preds.json", "--all", "--out", "site")
    assert Path("page.html").read_text(encoding="utf-8") == "<!DOCTYPE html>mine"
    assert sorted(path.name for path in Path("site").iterdir()) == ["index.html", "notes.txt"]


def test_pictures_without_annotations_have_nothing_to_stand_beside(answered: Predictions) -> None:
    own = replace(answered, provenance={**answered.provenance, "annotated": False})
    save_predictions(own, Path("own.json"))
    with pytest.raises(AnswersError, match="is of pictures without annotations"):
        run("own.json")
    save_predictions(replace(answered, images=()), Path("none.json"))
    with pytest.raises(AnswersError, match="holds no image"):
        run("none.json")


def test_broken_training_counts_are_named(answered: Predictions) -> None:
    Path("data").mkdir()
    Path("data/train_statistics.json").write_text(json.dumps({"predicates": 3}))
    moved = replace(answered, provenance={**answered.provenance, "dataset": "data"})
    save_predictions(moved, Path("moved.json"))
    with pytest.raises(DataError, match=r"`data/train_statistics.json` is not what `r1sgg prepare` writes"):
        run("moved.json", "--no-photos")


def test_help_shows_an_example() -> None:
    assert "Example: r1sgg report preds.json --out report.html" in run("--help").stdout
