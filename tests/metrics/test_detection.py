"""Box AP."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from r1sgg_cli.metrics.detection import BoxAP, box_ap
from r1sgg_cli.metrics.flat import flatten_pair
from r1sgg_cli.scene_graph.graph import SceneGraph

from .conftest import GraphMaker


def _box_ap(truths: Sequence[SceneGraph], predictions: Sequence[SceneGraph | None]) -> BoxAP:
    return box_ap(*flatten_pair(truths, predictions))


def test_perfect_boxes_score_one_on_two_images_already(make_graph: GraphMaker) -> None:
    # annotation id 0 would count as unmatched
    graphs = [make_graph([("man", 0), ("horse", 50)]), make_graph([("man", 20)])]
    assert _box_ap(graphs, graphs) == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize("prediction", [pytest.param(None, id="failed"), pytest.param([], id="no objects")])
def test_no_boxes_score_zero(make_graph: GraphMaker, prediction: list[tuple[str, float]] | None) -> None:
    graph = None if prediction is None else make_graph(prediction)
    assert _box_ap([make_graph([("man", 0)])], [graph]) == (0.0, 0.0)


def test_nothing_annotated_is_nan(make_graph: GraphMaker) -> None:
    assert all(math.isnan(value) for value in _box_ap([make_graph([])], [make_graph([("man", 0)])]))


def test_ap_is_a_mean_over_ten_iou_thresholds(make_graph: GraphMaker) -> None:
    truth, prediction = make_graph([("man", 0)]), make_graph([("man", 1.2)])  # IoU .786, above six of them
    assert _box_ap([truth], [prediction]) == pytest.approx((0.6, 1.0))


def test_ap_is_a_mean_over_annotated_classes_only(make_graph: GraphMaker) -> None:
    truth = make_graph([("man", 0), ("horse", 50)])
    prediction = make_graph([("man", 0), ("ghost", 300), ("spook", 400)])
    assert _box_ap([truth], [prediction]).ap50 == pytest.approx(0.5)


def test_a_failed_image_lowers_ap(make_graph: GraphMaker) -> None:
    graph = make_graph([("man", 0)])
    assert _box_ap([graph, graph], [graph, None]).ap50 == pytest.approx(0.5, abs=0.01)


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
