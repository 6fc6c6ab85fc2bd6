"""Box AP of the published evaluator, beside COCO's own evaluator fed in the same way."""

import warnings
from typing import Any

import numpy as np
import pytest
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

from r1sgg_cli.metrics.flat import FlatGraphs, flatten_pair
from r1sgg_cli.metrics.published_ap import published_ap
from r1sgg_cli.scene_graph.graph import SceneGraph

NAMES = ("man", "horse", "hat")
LINES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def _random_graph(generator: np.random.Generator, num_objects: int, side: int) -> SceneGraph:
    """Boxes with few different corners, so that IoUs and areas tie; some have no area or negative sides."""
    boxes = generator.integers(0, 8, (num_objects, 4)) * side
    boxes[:, 2:] += np.where(generator.random((num_objects, 1)) < 0.9, boxes[:, :2], 0)
    ids = tuple(f"{name}.{n}" for n, name in enumerate(generator.choice(NAMES, num_objects), start=1))
    names = tuple(object_id.split(".")[0] for object_id in ids)
    return SceneGraph(ids, names, boxes.astype(np.float64), (), (1000, 1000))


def _coco(graphs: FlatGraphs, boxes_xyxy: NDArray[Any], first_id: int) -> COCO:
    boxes = np.concatenate([boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]], axis=1).tolist()
    columns = zip(graphs.object_image.tolist(), graphs.object_label.tolist(), boxes, strict=True)
    rows = [
        {"id": n, "image_id": i, "category_id": c, "bbox": b, "area": b[2] * b[3], "iscrowd": 0, "score": 1.0}
        for n, (i, c, b) in enumerate(columns, start=first_id)
    ]
    images, categories = ([{"id": n} for n in range(count)] for count in (graphs.num_images, len(NAMES)))
    return COCO({"images": images, "categories": categories, "annotations": rows})


def _coco_lines(annotated: FlatGraphs, predicted: FlatGraphs, first_id: int) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found annotation id 0", UserWarning)
        truth = _coco(annotated, annotated.boxes_xyxy, first_id)
    evaluator = COCOeval_faster(truth, _coco(predicted, predicted.boxes_xyxy.astype(np.float32), 1), iouType="bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    values = [float(value) for value in evaluator.stats[: len(LINES)]]
    return {name: np.nan if value == -1 else value for name, value in zip(LINES, values, strict=True)}


@pytest.mark.parametrize("first_id", [0, 1])
@pytest.mark.parametrize("side", [3, 5, 20], ids=lambda side: f"boxes in steps of {side}")
@pytest.mark.parametrize("most_objects", [4, 12, 150], ids=lambda most: f"up to {most} objects")
def test_every_line_is_that_of_coco(first_id: int, side: int, most_objects: int) -> None:
    generator = np.random.default_rng([first_id, side, most_objects])
    for num_images in (1, 3, 6):
        truths, answers = (
            [_random_graph(generator, int(generator.integers(0, most)), side) for _ in range(num_images)]
            for most in (most_objects, 3 * most_objects)
        )
        annotated, predicted = flatten_pair(truths, answers)
        if not len(annotated.object_image):
            continue
        ours = published_ap(annotated, predicted, None if first_id else 0).summary
        theirs = _coco_lines(annotated, predicted, first_id)
        assert {name: ours[name][0] for name in LINES} == pytest.approx(theirs, abs=1e-12, nan_ok=True)


def test_answers_rounded_to_float32_lose_a_threshold_that_they_met() -> None:
    """The published gather's boxes pass through float32: 0.1 becomes more than 0.1."""
    truth = SceneGraph(("man.1",), ("man",), np.array([[0.0, 0.0, 1.0, 1.0]]), (), (10, 10))
    answer = SceneGraph(("man.1",), ("man",), np.array([[0.1, 0.0, 1.0, 1.0]]), (), (10, 10))
    summary = published_ap(*flatten_pair([truth], [answer]), None).summary
    assert summary["AP"][0] == pytest.approx(0.8)  # 0.90 is not reached
