"""`preds.json`."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
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


_box = partial(_set, "ground_truth", "objects", 0, "bbox")
_end = partial(_set, "prediction", "relationships", 0)


def _object(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return _set("prediction", "objects", 1, key, value=value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(_set("prediction", value=None), "`prediction` must be null exactly", id="null without a failure"),
        pytest.param(_set("failure", value="no_json"), "must be null exactly where", id="a failure with a graph"),
        pytest.param(_set("prediction", value=[]), "`prediction` must be a mapping", id="a prediction that is a list"),
        pytest.param(_set("ground_truth", value=[]), "`ground_truth` must be a mapping", id="a truth that is a list"),
        pytest.param(_set("ground_truth", value={}), "`objects` is missing", id="a truth without objects"),
        pytest.param(_set("image_wh", value=[200]), "width and height of an image are not two", id="one side"),
        pytest.param(_set("image_wh", value=None), "width and height of an image are not two", id="no sides"),
        pytest.param(_set("image_wh", value=[float("inf"), 100]), "are not two numbers", id="an infinite image"),
        pytest.param(_set("image_wh", value=[0, 100]), "has at least one pixel", id="an image without a pixel"),
        pytest.param(_box(value=[1, 2, 3]), "the box of `man.1` is not four numbers", id="a box of three"),
        pytest.param(_box(value=None), "the box of `man.1` is not four numbers", id="no box"),
        pytest.param(_box(2, value="x"), "the box of `man.1` is not four numbers", id="a box with a text"),
        pytest.param(_box(2, value=[1]), "the box of `man.1` is not four numbers", id="a box with a list"),
        pytest.param(_box(2, value=float("nan")), "a box is not finite", id="a box with NaN"),
        pytest.param(_box(2, value=10**400), "a number is too large", id="a number beyond any float"),
        pytest.param(_box(2, value=1e308), "a box lies beyond any image", id="a box with an infinite area"),
        pytest.param(_box(2, value=-1), "a box ends before it begins", id="a box that ends before it begins"),
        pytest.param(_object("id", value="man.1"), "two objects have the same id", id="an id twice"),
        pytest.param(_object("id", value=7), "an object has no `id` that is a text", id="an id that is a number"),
        pytest.param(_object("score", value=0.5), "numbers from 0 to 1, for all", id="a score for one object alone"),
        pytest.param(_end("score", value=1.5), "scores must be numbers from 0 to 1", id="a score above 1"),
        pytest.param(_end("score", value="x"), "scores must be numbers from 0 to 1", id="a score that is a text"),
        pytest.param(_object("name", value=7), "of another type than it should be", id="a name that is a number"),
        pytest.param(_end("subject", value="ghost.9"), "names `ghost.9`, which is no object", id="a loose end"),
        pytest.param(_end("predicate", value=None), "a relationship is not a `subject`, a", id="no predicate"),
        pytest.param(_set("prediction", "relationships", value=[3]), "a relationship is not a", id="no relationship"),
        pytest.param(_set("prediction", "objects", value=""), "`objects` must be a list", id="objects in no list"),
        pytest.param(_set("defects", value=None), "`defects` must be counts", id="no defects"),
        pytest.param(_set("defects", value={"prose": None}), "`defects` must be counts", id="defects without counts"),
        pytest.param(_set("answer", value=["a man"]), "`answer` must be a text", id="an answer that is no text"),
        pytest.param(_set("failure", value=[]), "and `failure` one or null", id="a failure that is no text"),
        pytest.param(_set("ground_truth", value=None), "has no ground truth: images that are not annotated", id="null"),
    ],
)
def test_what_is_broken_of_an_image_is_said_in_words_with_its_id(
    predictions: Predictions, tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    with pytest.raises(AnswersError) as refused:
        _load_changed(predictions, tmp_path / "preds.json", change)
    assert str(refused.value).startswith(f"image `a` of `{tmp_path}/preds.json` ")
    assert said in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("image_id", [None, 7.5, "a\nb"])
def test_a_broken_image_whose_id_cannot_be_printed_is_named_by_its_number(
    predictions: Predictions, tmp_path: Path, image_id: object
) -> None:
    def change(image: dict[str, Any]) -> None:
        image |= {"image_id": image_id, "image_wh": None}

    with pytest.raises(AnswersError, match=r"^image 1 of .*preds\.json` cannot be read: the width"):
        _load_changed(predictions, tmp_path / "preds.json", change)


def _load_changed(predictions: Predictions, path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    save_predictions(predictions, path)
    content = json.loads(path.read_text())
    change(content["images"][0])
    path.write_text(json.dumps(content))
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
