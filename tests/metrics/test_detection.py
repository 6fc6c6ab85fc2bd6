"""Box AP and AR, and their values in resamples of the images."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from faster_coco_eval import COCO, COCOeval_faster
from hypothesis import given, settings
from hypothesis import strategies as st

from r1sgg_cli.metrics.detection import BoxDetection
from r1sgg_cli.metrics.flat import FlatGraphs, LabelTable, flatten, flatten_pair
from r1sgg_cli.metrics.ranking import UNSCORED, GraphScores
from r1sgg_cli.scene_graph.graph import SceneGraph, graph_from_rows

from .conftest import GraphMaker
from .golden_split import GoldenSplit


class BoxAP(NamedTuple):
    ap: float
    ap50: float
    ar: float


def box_ap(annotated: FlatGraphs, predicted: FlatGraphs) -> BoxAP:
    """Of the split itself: every image once."""
    once = np.ones((annotated.num_images, 1), dtype=np.uint8)
    return BoxAP(*(float(values[0]) for values in BoxDetection(annotated, predicted).under(once)))


def _box_ap(truths: Sequence[SceneGraph], predictions: Sequence[SceneGraph | None]) -> BoxAP:
    return box_ap(*flatten_pair(truths, predictions))


def _coco(graphs: FlatGraphs, classes: list[int]) -> COCO:
    columns = zip(graphs.object_image, graphs.object_label, graphs.boxes_xyxy, graphs.object_score, strict=True)
    annotations: list[dict[str, Any]] = [
        {
            "id": number,
            "image_id": int(image) + 1,
            "category_id": int(label),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": 0,
            "score": float(score),
        }
        for number, (image, label, (x1, y1, x2, y2), score) in enumerate(columns, start=1)
    ]
    images = [{"id": number + 1} for number in range(graphs.num_images)]
    return COCO({"images": images, "categories": [{"id": label} for label in classes], "annotations": annotations})


def _by_faster_coco_eval(annotated: FlatGraphs, predicted: FlatGraphs) -> BoxAP:
    """The same numbers by the library."""
    classes = sorted(set(annotated.object_label.tolist()))
    evaluator = COCOeval_faster(_coco(annotated, classes), _coco(predicted, classes), iouType="bbox")
    evaluator.params.imgIds = list(range(1, annotated.num_images + 1))
    evaluator.params.areaRng, evaluator.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluator.params.maxDets = [100]
    evaluator.evaluate()
    evaluator.accumulate()
    precision, recall = (np.asarray(evaluator.eval[key]) for key in ("precision", "recall"))
    return BoxAP(precision.mean(), precision[0].mean(), recall.mean())


def test_perfect_boxes_score_one_on_two_images_already(make_graph: GraphMaker) -> None:
    # in COCO's evaluator annotation id 0 would count as unmatched
    graphs = [make_graph([("man", 0), ("horse", 50)]), make_graph([("man", 20)])]
    assert _box_ap(graphs, graphs) == pytest.approx((1.0, 1.0, 1.0))


@pytest.mark.parametrize("prediction", [pytest.param(None, id="failed"), pytest.param([], id="no objects")])
def test_no_boxes_score_zero(make_graph: GraphMaker, prediction: list[tuple[str, float]] | None) -> None:
    graph = None if prediction is None else make_graph(prediction)
    assert _box_ap([make_graph([("man", 0)])], [graph]) == BoxAP(0.0, 0.0, 0.0)


def test_nothing_annotated_is_nan(make_graph: GraphMaker) -> None:
    assert all(math.isnan(value) for value in _box_ap([make_graph([])], [make_graph([("man", 0)])]))


def test_ap_is_a_mean_over_ten_iou_thresholds(make_graph: GraphMaker) -> None:
    truth, prediction = make_graph([("man", 0)]), make_graph([("man", 1.2)])  # IoU .786, above six of them
    assert _box_ap([truth], [prediction]) == pytest.approx((0.6, 1.0, 0.6))


def test_ap_is_a_mean_over_annotated_classes_only(make_graph: GraphMaker) -> None:
    truth = make_graph([("man", 0), ("horse", 50)])
    prediction = make_graph([("man", 0), ("ghost", 300), ("spook", 400)])
    assert _box_ap([truth], [prediction]).ap50 == pytest.approx(0.5)


def test_a_failed_image_lowers_ap(make_graph: GraphMaker) -> None:
    graph = make_graph([("man", 0)])
    assert _box_ap([graph, graph], [graph, None]).ap50 == pytest.approx(0.5, abs=0.01)


def test_only_a_hundred_boxes_of_a_class_count(make_graph: GraphMaker) -> None:
    prediction = make_graph([("man", 500.0)] * 100 + [("man", 0)])
    assert _box_ap([make_graph([("man", 0)])], [prediction]).ap50 == 0


def test_a_box_that_ends_before_it_begins_is_left_out_as_in_coco(make_graph: GraphMaker) -> None:
    truth = make_graph([("man", 0)])
    rows = [{"id": "man.1", "bbox": [50, 0, 40, 10]}, {"id": "man.2", "bbox": [0, 0, 10, 10]}]
    assert _box_ap([truth], [graph_from_rows(rows, [], (1000, 1000))]).ap == pytest.approx(1)


def test_empty_images_in_between_change_nothing(make_graph: GraphMaker) -> None:
    generator = np.random.default_rng(0)
    truths = [make_graph([("man", float(x)), ("horse", 300.0)]) for x in generator.uniform(0, 200, 12)]
    predictions = [
        make_graph([("man", float(graph.boxes_xyxy[0, 0]) + shift), ("man", 250.0)])
        for graph, shift in zip(truths, generator.uniform(-6, 6, 12), strict=True)
    ]
    empty = make_graph([])
    padded = ([g for t in truths for g in (empty, t)], [g for p in predictions for g in (None, p)])
    assert _box_ap(*padded) == pytest.approx(_box_ap(truths, predictions))


BOX = st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(1, 5), st.integers(1, 3))
OBJECT = st.tuples(st.sampled_from("abc"), BOX, st.sampled_from([0.1, 0.5, 0.5, 0.9]))
IMAGE = st.tuples(st.lists(OBJECT, max_size=5), st.one_of(st.none(), st.lists(OBJECT, max_size=6)))


def _graph(objects: Sequence[tuple[str, tuple[int, int, int, int], float]]) -> SceneGraph:
    rows = [
        {"id": f"{name}.{number}", "bbox": [x, y, x + w, y + h]}
        for number, (name, (x, y, w, h), _) in enumerate(objects, start=1)
    ]
    return graph_from_rows(rows, [], (20, 20))


def _sides(images: Sequence[Any]) -> tuple[FlatGraphs, FlatGraphs]:
    names, predicates = LabelTable(), LabelTable()
    graphs = [None if answer is None else _graph(answer) for _, answer in images]
    scores = [UNSCORED if answer is None else GraphScores([score for *_, score in answer]) for _, answer in images]
    truths = flatten([_graph(truth) for truth, _ in images], names, predicates)
    return truths, flatten(graphs, names, predicates, scores)


@settings(max_examples=150, deadline=None)
@given(st.lists(IMAGE, min_size=1, max_size=6).filter(lambda images: any(truth for truth, _ in images)))
def test_the_numbers_are_those_of_faster_coco_eval(images: list[Any]) -> None:
    """Boxes on a small grid: equal IoUs, equal scores, many boxes of a class in an image."""
    annotated, predicted = _sides(images)
    if len(predicted.object_image):  # the library knows no empty list of detections
        expected = _by_faster_coco_eval(annotated, predicted)
        assert box_ap(annotated, predicted) == pytest.approx(expected, abs=1e-12)


def test_the_numbers_of_the_golden_split_are_those_of_pycocotools(golden: GoldenSplit) -> None:
    found = _box_ap(golden.truths, golden.predictions)
    assert (found.ap, found.ap50) == pytest.approx((golden.boxes["AP"], golden.boxes["AP50"]), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(IMAGE, min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_a_resample_scores_as_the_images_that_it_drew(images: list[Any], seed: int) -> None:
    """With no two scores alike the order of the copies cannot matter, and the values are exactly those."""
    generator = np.random.default_rng(seed)
    scored = [
        (truth, answer and [(name, box, float(generator.random())) for name, box, _ in answer])
        for truth, answer in images
    ]
    weights = generator.integers(0, 3, (len(images), 4)).astype(np.uint8)
    boxes = BoxDetection(*_sides(scored))
    resampled = np.stack(boxes.under(weights))
    among_many = np.stack(boxes.under(np.repeat(weights, 30, axis=1)))[:, ::30]  # which are added up another way
    assert np.array_equal(resampled, among_many, equal_nan=True)
    for column, counts in enumerate(weights.T):
        drawn = [image for image, count in zip(scored, counts, strict=True) for _ in range(count)]
        expected = box_ap(*_sides(drawn)) if drawn else BoxAP(math.nan, math.nan, math.nan)
        assert resampled[:, column] == pytest.approx(expected, abs=1e-12, nan_ok=True)
