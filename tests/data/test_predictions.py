"""`preds.json`."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.data.predictions import ImagePrediction, Predictions, load_predictions, save_predictions
from r1sgg_cli.errors import AnswersError, OutputError
from r1sgg_cli.scene_graph.graph import SceneGraph, graph_from_rows
from r1sgg_cli.scene_graph.training_names import TrainingNames
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

HEAD = (
    b'{"format": "r1sgg-predictions", "version": 1, "vocabulary": {%s, "predicates": []}, "provenance": {%s}, '
    b'"images": []}'
)


def _graph(left: float) -> SceneGraph:
    objects = [{"id": "man.1", "bbox": [left, 0, 20.1, 10]}, {"id": "traffic-light.2", "bbox": [1 / 3, 0, 9, 9]}]
    return graph_from_rows(
        objects, [{"subject": "man.1", "predicate": "near", "object": "traffic-light.2"}], (200, 100)
    )


@pytest.fixture
def predictions() -> Predictions:
    """Two images, one of which failed."""
    return Predictions(
        provenance={"model": "m", "command": 'r1sgg infer "a b"', "gather": {"repeated_answers": 0}},
        vocabulary=Vocabulary(("man", "traffic light"), ("near",)),
        images=(
            ImagePrediction("a", (200, 100), _graph(0), _graph(3), None, {"clipped_box": 1}, 'text "x"\n– \ud800'),
            ImagePrediction("b", (200, 100), _graph(0), None, "no_json", {}, ""),
        ),
    )


def test_predictions_come_back_as_they_were(predictions: Predictions, tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "preds.json"
    save_predictions(predictions, path)
    loaded = load_predictions(path)
    assert loaded.provenance == predictions.provenance
    assert loaded.vocabulary == predictions.vocabulary
    for image, saved in zip(loaded.images, predictions.images, strict=True):
        assert (image.image_id, image.image_wh, image.failure) == (saved.image_id, saved.image_wh, saved.failure)
        assert (image.defects, image.answer) == (saved.defects, saved.answer)
    first, saved_graph = loaded.images[0].prediction, predictions.images[0].prediction
    assert first is not None
    assert saved_graph is not None
    assert first.boxes_xyxy.tolist() == saved_graph.boxes_xyxy.tolist()  # to the last digit: the same numbers come out
    assert (first.ids, first.names, first.triplets) == (saved_graph.ids, saved_graph.names, saved_graph.triplets)
    assert first.space_wh == (200, 100)
    assert loaded.images[1].prediction is None


def test_scores_and_mapped_names_come_back(predictions: Predictions, tmp_path: Path) -> None:
    graph = replace(_graph(3), names=("person", "traffic light"))
    scored = replace(predictions.images[0], prediction=graph, object_scores=(0.25, 1.0), triplet_scores=(1.2345678e-9,))
    save_predictions(replace(predictions, images=(scored,)), tmp_path / "preds.json")
    image = load_predictions(tmp_path / "preds.json").images[0]
    assert image.prediction is not None
    assert image.prediction.ids == ("man.1", "traffic-light.2")
    assert image.prediction.names == ("person", "traffic light")
    assert (image.object_scores, image.triplet_scores) == ((0.25, 1.0), (1.23457e-9,))


def test_what_has_neither_is_written_as_before(predictions: Predictions, tmp_path: Path) -> None:
    save_predictions(predictions, tmp_path / "preds.json")
    image = json.loads((tmp_path / "preds.json").read_text())["images"][0]
    assert set(image["prediction"]["objects"][0]) == {"id", "bbox"}
    assert set(image["prediction"]["relationships"][0]) == {"subject", "predicate", "object"}
    assert load_predictions(tmp_path / "preds.json").images[0].object_scores is None


def test_what_training_showed_comes_back_and_is_left_out_where_nothing_is_known(
    predictions: Predictions, tmp_path: Path
) -> None:
    save_predictions(predictions, tmp_path / "preds.json")
    assert "training" not in json.loads((tmp_path / "preds.json").read_text())
    known = replace(predictions, training=TrainingNames({"near": 3}, frozenset({("man", "near", "traffic light")})))
    save_predictions(known, tmp_path / "preds.json")
    assert load_predictions(tmp_path / "preds.json").training == known.training


def test_a_broken_part_on_training_is_refused(predictions: Predictions, tmp_path: Path) -> None:
    save_predictions(predictions, tmp_path / "preds.json")
    content = json.loads((tmp_path / "preds.json").read_text()) | {"training": ["near"]}
    (tmp_path / "preds.json").write_text(json.dumps(content))
    with pytest.raises(AnswersError, match="lacks a part of a predictions file"):
        load_predictions(tmp_path / "preds.json")


def test_each_image_is_one_line_of_json(predictions: Predictions, tmp_path: Path) -> None:
    save_predictions(predictions, tmp_path / "preds.json")
    lines = (tmp_path / "preds.json").read_text().splitlines()
    images = [json.loads(line.rstrip(",")) for line in lines if line.startswith('{"image_id"')]
    assert [image["image_id"] for image in images] == ["a", "b"]


def test_images_are_in_order_of_id_whatever_the_file_says(predictions: Predictions, tmp_path: Path) -> None:
    turned = Predictions(predictions.provenance, predictions.vocabulary, predictions.images[::-1])
    save_predictions(turned, tmp_path / "preds.json")
    assert [image.image_id for image in load_predictions(tmp_path / "preds.json").images] == ["a", "b"]


def test_a_missing_file_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(AnswersError, match=r"cannot read .*preds\.json`: No such file.*`r1sgg gather OUT .*` makes it"):
        load_predictions(tmp_path / "preds.json")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        pytest.param(b"{", "cannot be read: it is not JSON ", id="no JSON"),
        pytest.param(b'{"\xff": 1}', "cannot be read: it is not text in UTF-8", id="no UTF-8"),
        pytest.param(b"[]", "is not a predictions file", id="a list"),
        pytest.param(b'{"format": "coco"}', "is not a predictions file", id="another format"),
        pytest.param(b'{"format": "r1sgg-predictions", "version": 9}', "version 9 .* reads 1", id="a later version"),
        pytest.param(b'{"format": "r1sgg-predictions", "version": 1}', "lacks a part", id="nothing in it"),
        pytest.param(b"[" * 50_000, "cannot be read: it holds lists in lists without an end", id="lists in lists"),
        pytest.param(HEAD % (b'"objects": [["man"]]', b""), "must be a list of texts", id="a vocabulary of lists"),
        pytest.param(HEAD % (b'"objects": "man"', b""), "must be a list of texts", id="a vocabulary of letters"),
        pytest.param(HEAD % (b'"objects": []', b'"gather": []'), "`gather` must be a mapping", id="odd provenance"),
    ],
)
def test_another_file_is_refused_with_the_reason(tmp_path: Path, content: bytes, match: str) -> None:
    path = tmp_path / "preds.json"
    path.write_bytes(content)
    with pytest.raises(AnswersError, match=match):
        load_predictions(path)


def _set(*keys: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(image: dict[str, Any]) -> None:
        part: Any = image
        for key in keys[:-1]:
            part = part[key]
        part[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_set("prediction", value=None), id="null without a failure"),
        pytest.param(_set("failure", value="no_json"), id="a failure with a graph"),
        pytest.param(_set("image_wh", value=[200]), id="one side"),
        pytest.param(_set("ground_truth", "objects", 0, "bbox", value=[1, 2, 3]), id="a box of three"),
        pytest.param(_set("prediction", "objects", 0, "bbox", 2, value=float("nan")), id="a box with NaN"),
        pytest.param(_set("prediction", "objects", 1, "id", value="man.1"), id="an id twice"),
        pytest.param(_set("prediction", "objects", 0, "id", value=7), id="an id that is a number"),
        pytest.param(_set("prediction", "objects", 0, "score", value=0.5), id="a score for one object alone"),
        pytest.param(_set("prediction", "relationships", 0, "score", value=1.5), id="a score above 1"),
        pytest.param(_set("prediction", "objects", 0, "name", value=7), id="a name that is a number"),
        pytest.param(_set("prediction", "relationships", 0, "subject", value="ghost.9"), id="an end without object"),
        pytest.param(_set("prediction", "relationships", value=[3]), id="a relationship that is none"),
        pytest.param(_set("defects", value=None), id="no defects"),
        pytest.param(_set("defects", value={"prose": None}), id="defects that are no counts"),
        pytest.param(_set("answer", value=["a man"]), id="an answer that is no text"),
        pytest.param(_set("failure", value=[]), id="a failure that is no text"),
        pytest.param(_set("image_wh", value=[0, 100]), id="an image without a pixel"),
        pytest.param(_set("image_wh", value=[float("inf"), 100]), id="an infinite image"),
        pytest.param(_set("ground_truth", "objects", 0, "bbox", 2, value=10**400), id="a number beyond any float"),
        pytest.param(_set("ground_truth", "objects", 0, "bbox", 2, value=1e308), id="a box with an infinite area"),
        pytest.param(_set("ground_truth", "objects", 0, "bbox", 2, value=-1), id="a box that ends before it begins"),
        pytest.param(_set("prediction", "objects", value=""), id="objects that are no list"),
    ],
)
def test_a_broken_image_is_named_by_its_number(
    predictions: Predictions, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    path = tmp_path / "preds.json"
    save_predictions(predictions, path)
    content = json.loads(path.read_text())
    change(content["images"][0])
    path.write_text(json.dumps(content))
    with pytest.raises(AnswersError, match=r"image 1 of .*preds\.json` cannot be read"):
        load_predictions(path)


def test_an_image_twice_is_refused(predictions: Predictions, tmp_path: Path) -> None:
    twice = Predictions({}, predictions.vocabulary, (predictions.images[0], predictions.images[0]))
    save_predictions(twice, tmp_path / "preds.json")
    with pytest.raises(AnswersError, match="image `a` twice"):
        load_predictions(tmp_path / "preds.json")


def test_an_unwritable_place_is_named_and_nothing_is_left(predictions: Predictions, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*preds\.json"):
        save_predictions(predictions, tmp_path / "file" / "preds.json")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
