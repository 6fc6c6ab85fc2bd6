"""Box AP as the published evaluator prints it: COCO's over the images that were answered, every score 1.

Annotation ids start at 0 there, and COCO's evaluator takes 0 for "unmatched": the first object of the data set can
never be found, and the box that finds it counts as wrong. faster-coco-eval does the same (and warns of it).
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

from r1sgg_cli.metrics.detection import image_slots
from r1sgg_cli.metrics.flat import FlatGraphs, Integers

MAX_DETECTIONS = (1, 10, 100)
AREAS = {"all": (0, 1e10), "s": (0, 32**2), "m": (32**2, 96**2), "l": (96**2, 1e10)}
"""Ranges of an object's area in square pixels, by the letter in the metric's name."""


class PublishedAP(NamedTuple):
    """Fractions; NaN where the evaluator prints −1, because nothing of the kind is annotated."""

    summary: dict[str, float]
    """The 13 lines of COCO's summary by the names of the field: "AP", "AP50", …, "AR100", …, "AR50"."""
    per_class: dict[int, float]
    """AP of each class that is annotated, by its number."""


def published_ap(annotated: FlatGraphs, predicted: FlatGraphs, first_object: int | None) -> PublishedAP:
    """AP and AR of graphs that hold the answered images only, in ascending order of the image's id as text.

    `first_object` is the row of the annotated object that has id 0; None where its image was not answered.
    """
    classes = sorted(set(annotated.object_label.tolist()))
    if not classes:
        empty = np.zeros(0)
        return PublishedAP(_summary(empty.reshape(10, 101, 0, 4, 3), empty.reshape(10, 0, 4, 3)), {})
    annotated_slots, predicted_slots = image_slots(annotated, predicted)
    ids = np.arange(1, len(annotated_slots) + 1)
    if first_object is not None:
        ids[first_object] = 0
    truth_xywh = _xywh(annotated.boxes_xyxy)
    answer_xywh = _xywh(predicted.boxes_xyxy.astype(np.float32)).astype(np.float64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found annotation id 0", UserWarning)
        truth = _coco(annotated_slots, annotated.object_label, truth_xywh, ids, classes)
    answer_ids = np.arange(1, len(predicted_slots) + 1)
    answers = _coco(predicted_slots, predicted.object_label, answer_xywh, answer_ids, classes)
    evaluator = COCOeval_faster(truth, answers, iouType="bbox")
    num_slots = int(max(annotated_slots.max(), predicted_slots.max(initial=0)))
    evaluator.params.imgIds = list(range(1, num_slots + 1))
    evaluator.params.maxDets = list(MAX_DETECTIONS)
    evaluator.params.areaRng, evaluator.params.areaRngLbl = [list(AREAS[name]) for name in AREAS], list(AREAS)
    evaluator.evaluate()
    evaluator.accumulate()
    precision, recall = (np.asarray(evaluator.eval[name]) for name in ("precision", "recall"))
    per_class = {label: _mean(precision[:, :, place, 0, -1]) for place, label in enumerate(classes)}
    return PublishedAP(_summary(precision, recall), per_class)


def _summary(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> dict[str, float]:
    """`precision`: IoU 0.50, 0.55, …, recall level, class, area, limit; `recall`: the same without the level."""
    half, three_quarters = 0, 5
    by_area = {name: place for place, name in enumerate(AREAS) if name != "all"}
    return {
        "AP": _mean(precision[:, :, :, 0, -1]),
        "AP50": _mean(precision[half, :, :, 0, -1]),
        "AP75": _mean(precision[three_quarters, :, :, 0, -1]),
        **{f"AP{name}": _mean(precision[:, :, :, place, -1]) for name, place in by_area.items()},
        **{f"AR{limit}": _mean(recall[:, :, 0, place]) for place, limit in enumerate(MAX_DETECTIONS)},
        **{f"AR{name}": _mean(recall[:, :, place, -1]) for name, place in by_area.items()},
        "AR50": _mean(recall[half, :, 0, -1]),
    }


def _mean(values: NDArray[np.float64]) -> float:
    """Over what is not −1, "no such class"."""
    present = values[values > -1]
    return float(present.mean()) if present.size else np.nan


def _xywh(boxes_xyxy: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]], axis=1)


def _coco(
    slots: Integers, labels: Integers, boxes_xywh: NDArray[np.float64], ids: Integers, classes: list[int]
) -> COCO:
    columns = zip(slots.tolist(), labels.tolist(), boxes_xywh.tolist(), ids.tolist(), strict=True)
    annotations: list[dict[str, Any]] = [
        {"id": i, "image_id": s, "category_id": c, "bbox": b, "area": b[2] * b[3], "iscrowd": 0, "score": 1.0}
        for s, c, b, i in columns
    ]
    images = [{"id": slot} for slot in sorted(set(slots.tolist()))]
    return COCO({"images": images, "categories": [{"id": label} for label in classes], "annotations": annotations})
