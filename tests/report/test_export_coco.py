"""COCO files that a COCO evaluator reads, with the AP that `eval` prints."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from faster_coco_eval import COCO, COCOeval_faster

from r1sgg_cli.data.predictions import Predictions
from r1sgg_cli.report.export_coco import DETECTIONS_FILE, GROUND_TRUTH_FILE, save_coco
from r1sgg_cli.report.stages import evaluate_predictions

from .evaluated import make_predictions


def coco_ap(folder: Path) -> tuple[float, float]:
    truth = COCO(str(folder / GROUND_TRUTH_FILE))
    evaluator = COCOeval_faster(truth, truth.loadRes(str(folder / DETECTIONS_FILE)), iouType="bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    return evaluator.stats[0], evaluator.stats[1]


def scored(predictions: Predictions) -> Predictions:
    images = (
        image
        if image.prediction is None
        else replace(image, object_scores=(0.1, 0.7, 0.4, 0.9, 0.2)[: len(image.prediction.names)])
        for image in predictions.images
    )
    return replace(predictions, images=tuple(images))


@pytest.mark.parametrize("has_scores", [False, True], ids=["unscored", "scored"])
def test_a_coco_evaluator_finds_the_same_ap(has_scores: bool, tmp_path: Path) -> None:
    predictions = scored(make_predictions()) if has_scores else make_predictions()
    save_coco(predictions, tmp_path)
    evaluation = evaluate_predictions(predictions)
    expected = evaluation.value("box_ap"), evaluation.value("box_ap50")
    assert 0 < expected[0] < 1
    assert coco_ap(tmp_path) == pytest.approx(expected, abs=1e-12)


def test_every_image_is_there_and_says_its_own_id(tmp_path: Path) -> None:
    save_coco(make_predictions(12), tmp_path)
    images = json.loads((tmp_path / GROUND_TRUTH_FILE).read_text())["images"]
    assert [(image["id"], image["source_id"]) for image in images] == [(n + 1, f"{n:03}") for n in range(12)]
    assert (images[0]["width"], images[0]["height"]) == (200, 100)


def test_categories_are_the_vocabularys_and_what_else_was_predicted(tmp_path: Path) -> None:
    predictions = make_predictions(3)
    graph = predictions.images[0].prediction
    assert graph is not None
    odd = replace(predictions.images[0], prediction=replace(graph, names=("unicorn",) * len(graph.names)))
    save_coco(replace(predictions, images=(odd, *predictions.images[1:])), tmp_path)
    categories = json.loads((tmp_path / GROUND_TRUTH_FILE).read_text())["categories"]
    assert [category["name"] for category in categories] == ["dog", "hat", "man", "traffic light", "unicorn"]


def test_boxes_are_corner_and_size(tmp_path: Path) -> None:
    predictions = make_predictions(1, skill=1.0)
    save_coco(predictions, tmp_path)
    x1, y1, x2, y2 = predictions.images[0].ground_truth.boxes_xyxy[0].tolist()
    for name, rows in ((GROUND_TRUTH_FILE, "annotations"), (DETECTIONS_FILE, None)):
        content = json.loads((tmp_path / name).read_text())
        assert (content[rows] if rows else content)[0]["bbox"] == [x1, y1, x2 - x1, y2 - y1]
