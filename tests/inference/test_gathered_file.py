"""The file that the published gather writes."""

import json
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.data.predictions import ImagePrediction, Predictions, load_predictions, save_predictions
from r1sgg_cli.errors import AnswersError, ConfigError
from r1sgg_cli.inference.gathered_file import load_gathered
from r1sgg_cli.inference.published_layout import DatasetAsked
from r1sgg_cli.scene_graph.graph import Triplet
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

from .conftest import make_truth

VOCABULARY = Vocabulary(("man", "horse"), ("on", "near"))
ROW: dict[str, Any] = {
    "names": ["gentleman.1", "horse.2"],
    "names_target": ["man", "horse"],
    "boxes": [[0.0, 0.0, 20.5, 10.0], [180.0, 50.0, 100.0, 130.0]],
    "labels": [1, 2],
    "relation_tuples": [["man", [0.0, 0.0, 20.5, 10.0], "horse", [180.0, 50.0, 100.0, 130.0], "on"]],
    "graph": {"all_node_pairs": [[0, 1]], "all_relation": [[0, 1, 0]]},
}
UNUSABLE: dict[str, Any] = {
    "names": ["unknown"],
    "names_target": ["unknown"],
    "boxes": [[float("nan")] * 4],
    "labels": [0],
    "relation_tuples": [],
    "graph": {"all_node_pairs": [[0, 0]], "all_relation": [[0, 0, 0]]},
}


def _saved(folder: Path, content: Any) -> Path:
    path = folder / "gathered.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def _loaded(folder: Path, content: Any, *image_ids: str, **given: Any) -> Predictions:
    asked = DatasetAsked("golden", None, None, VOCABULARY, tuple(make_truth(image_id) for image_id in image_ids))
    return load_gathered(_saved(folder, content), asked, **given)


def _row(**changed: Any) -> dict[str, Any]:
    return {**ROW, **changed}


def test_a_row_is_a_graph_with_its_boxes_as_they_are(tmp_path: Path) -> None:
    """One box lies outside the image and its corners are swapped: the published numbers count it so."""
    (image,) = _loaded(tmp_path, {"a": ROW}, "a").images
    assert image.prediction is not None
    assert image.prediction.names == ("man", "horse")
    assert image.prediction.boxes_xyxy.tolist() == ROW["boxes"]
    assert image.prediction.triplets == (Triplet(0, "on", 1),)
    assert image.ground_truth.triplets == make_truth("a").graph.triplets


def test_an_image_of_which_nothing_could_be_used_failed(tmp_path: Path) -> None:
    (image,) = _loaded(tmp_path, {"a": UNUSABLE}, "a").images
    assert (image.prediction, image.failure) == (None, "unusable")


def test_images_that_are_not_in_the_file_are_missing(tmp_path: Path) -> None:
    with pytest.raises(AnswersError, match=r"1 of 2 images are not in `.*`: `b`; .* `--allow-missing`"):
        _loaded(tmp_path, {"a": ROW}, "b", "a")
    images = _loaded(tmp_path, {"a": ROW}, "b", "a", allow_missing=True).images
    assert [(image.image_id, image.failure) for image in images] == [("a", None), ("b", "missing")]


def test_what_was_mapped_and_left_out_is_on_record(tmp_path: Path) -> None:
    predictions = _loaded(tmp_path, {"a": ROW, "stranger": ROW}, "a")
    gathered = predictions.provenance["gather"]
    assert gathered["label_mapping"]["mapped"]["objects"] == {"gentleman → man": 1}
    assert gathered["answers_of_other_images"] == 1
    assert predictions.images[0].defects == {"object_mapped_by_published_gather": 1}


def test_the_first_image_of_the_data_set_is_on_record(tmp_path: Path) -> None:
    assert _loaded(tmp_path, {"a": ROW, "b": ROW}, "b", "a").provenance["gather"]["first_image"] == "b"


def test_objects_without_a_finite_box_are_left_out_with_their_relationships(tmp_path: Path) -> None:
    boxes = [[float("nan"), 0, 1, 1], ROW["boxes"][1]]
    (image,) = _loaded(tmp_path, {"a": _row(boxes=boxes)}, "a").images
    assert image.prediction is not None
    assert (image.prediction.names, image.prediction.triplets) == (("horse",), ())
    assert image.defects["bad_box"] == 1


def test_saved_and_read_again_it_is_the_same(tmp_path: Path) -> None:
    predictions = _loaded(tmp_path, {"a": ROW, "b": UNUSABLE}, "a", "b")
    save_predictions(predictions, tmp_path / "preds.json")
    again = load_predictions(tmp_path / "preds.json")
    assert [_comparable(image) for image in again.images] == [_comparable(image) for image in predictions.images]


def _comparable(image: ImagePrediction) -> tuple[Any, ...]:
    graph = image.prediction
    return image.image_id, image.failure, image.defects, graph and (graph.names, graph.boxes_xyxy.tolist())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("{", "is not JSON", id="no JSON"),
        pytest.param([], "is not what the published gather writes", id="no object"),
        pytest.param({}, "is not what the published gather writes", id="nothing in it"),
        pytest.param({"a": {"response": ""}}, "is not what the published gather writes", id="an answer"),
        pytest.param(
            {"a": {"graph": {}}}, "image `a` of .* cannot be read: `names_target` is missing", id="an older layout"
        ),
        pytest.param({"a": _row(boxes=[[0, 0, 1, 1]])}, "image `a` of .* cannot be read", id="a box too few"),
        pytest.param({"a": _row(boxes=[5, 6])}, "image `a` of .* cannot be read", id="boxes that are none"),
        pytest.param(
            {"a": _row(relation_tuples=[])}, "image `a` of .* cannot be read", id="a pair without a predicate"
        ),
        pytest.param(
            {"a": _row(relation_tuples=[["man", [], "horse", [], ["on"]]])},
            r'image `a` of .* cannot be read: `\["on"\]` is no predicate',
            id="a list of predicates",
        ),
        pytest.param(
            {"a": _row(names_target=["man", "cow"])}, "`cow` of image `a` .* not in the vocabulary", id="a cow"
        ),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(AnswersError, match=message):
        _loaded(tmp_path, content, "a")


def test_a_vocabulary_has_to_be_named(tmp_path: Path) -> None:
    asked = DatasetAsked("golden.jsonl", None, None, None, (make_truth("a"),))
    with pytest.raises(ConfigError, match="add `--vocabulary vg150`"):
        load_gathered(_saved(tmp_path, {"a": ROW}), asked)
