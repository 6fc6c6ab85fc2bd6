"""Box AP as COCO defines it, through faster-coco-eval.

A box without a score scores 1.0; where boxes score the same, the order of the images decides: it is the order given.
Annotation ids start at 1, because COCO's evaluator takes an annotation with id 0 for unmatched.
"""

from typing import Any, NamedTuple

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from r1sgg_cli.metrics.flat import FlatGraphs, Integers

MAX_DETECTIONS = 100
"""Boxes of one class in one image that count, those that score highest, as in COCO."""


class BoxAP(NamedTuple):
    """Mean over the classes that are annotated; NaN where nothing is."""

    ap: float
    """Mean over IoU 0.50, 0.55, … 0.95."""
    ap50: float


def box_ap(annotated: FlatGraphs, predicted: FlatGraphs) -> BoxAP:
    """COCO's AP and AP@50 over all images; classes that are predicted but never annotated do not count, as in COCO."""
    if not len(annotated.object_image):
        return BoxAP(np.nan, np.nan)
    classes = sorted(set(annotated.object_label.tolist()))
    annotated_slots, predicted_slots = _image_slots(annotated, predicted)
    evaluator = COCOeval_faster(
        _coco(annotated, annotated_slots, classes), _coco(predicted, predicted_slots, classes), iouType="bbox"
    )
    evaluator.params.imgIds = list(range(1, int(max(annotated_slots.max(), predicted_slots.max(initial=0))) + 1))
    evaluator.params.areaRng, evaluator.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluator.params.maxDets = [MAX_DETECTIONS]
    evaluator.evaluate()
    evaluator.accumulate()
    precision = np.asarray(evaluator.eval["precision"])  # IoU, recall level, class, area, limit; -1 is "no such class"
    return BoxAP(float(precision[precision > -1].mean()), float(precision[0][precision[0] > -1].mean()))


def _image_slots(annotated: FlatGraphs, predicted: FlatGraphs) -> tuple[Integers, Integers]:
    """For each object, the place of its image, from 1, among the images that hold its class on either side.

    The evaluator visits every (class, image), most of them empty. It never compares boxes of two classes, and the
    images of a class stay in order, so counting images per class gives the same AP in a fraction of the time.
    """
    labels = np.concatenate([annotated.object_label, predicted.object_label])
    images = np.concatenate([annotated.object_image, predicted.object_image])
    cells, cell_of_object = np.unique(labels * annotated.num_images + images, return_inverse=True)
    cell_labels = cells // annotated.num_images
    places = np.arange(len(cells)) - np.searchsorted(cell_labels, cell_labels) + 1
    slots = places[cell_of_object]
    return slots[: len(annotated.object_label)], slots[len(annotated.object_label) :]


def _coco(graphs: FlatGraphs, slots: Integers, classes: list[int]) -> COCO:
    corners = graphs.boxes_xyxy
    boxes_xywh = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    columns = zip(
        slots.tolist(), graphs.object_label.tolist(), boxes_xywh.tolist(), graphs.object_score.tolist(), strict=True
    )
    annotations: list[dict[str, Any]] = [
        {
            "id": number,
            "image_id": slot,
            "category_id": label,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": 0,
            "score": score,
        }
        for number, (slot, label, box, score) in enumerate(columns, start=1)
    ]
    images = [{"id": slot} for slot in sorted(set(slots.tolist()))]
    return COCO({"images": images, "categories": [{"id": label} for label in classes], "annotations": annotations})
