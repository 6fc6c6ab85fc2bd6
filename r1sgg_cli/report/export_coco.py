"""Predicted boxes as COCO detection results, beside their ground truth, for pycocotools and whatever reads its files.

Images are numbered from 1 in the order in which `eval` takes them, because where boxes score the same, AP depends on
the order of the images: so every COCO evaluator finds the AP that `eval` prints. `source_id` is the image's own id.
Annotation ids start at 1, because COCO's evaluator takes an annotation with id 0 for unmatched.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from r1sgg_cli.data.predictions import Predictions
from r1sgg_cli.files import save_text
from r1sgg_cli.scene_graph.graph import SceneGraph

GROUND_TRUTH_FILE = "ground_truth.json"
DETECTIONS_FILE = "detections.json"
MARK = "r1sgg ground truth"
"""How the folder says whose it is."""


def save_coco(predictions: Predictions, folder: Path) -> None:
    """Write `ground_truth.json` and `detections.json` into `folder`. Raises `OutputError`."""
    category_ids = _category_ids(predictions)
    save_text(json.dumps(_ground_truth(predictions, category_ids)) + "\n", folder / GROUND_TRUTH_FILE)
    save_text(json.dumps(_detections(predictions, category_ids)) + "\n", folder / DETECTIONS_FILE)


def _ground_truth(predictions: Predictions, category_ids: dict[str, int]) -> dict[str, Any]:
    """What COCO calls an annotation file: images, annotated boxes and categories."""
    images = [
        {"id": number, "width": image.image_wh[0], "height": image.image_wh[1], "source_id": image.image_id}
        for number, image in enumerate(predictions.images, start=1)
    ]
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(predictions.images, start=1):
        for name, box_xywh in _named_boxes_xywh(image.ground_truth):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": category_ids[name],
                    "bbox": box_xywh,
                    "area": box_xywh[2] * box_xywh[3],
                    "iscrowd": 0,
                }
            )
    return {
        "info": {"description": f"{MARK} of {predictions.provenance.get('dataset', 'an unknown data set')}"},
        "images": images,
        "categories": [{"id": number, "name": name} for name, number in category_ids.items()],
        "annotations": annotations,
    }


def _detections(predictions: Predictions, category_ids: dict[str, int]) -> list[dict[str, Any]]:
    """What COCO calls a results file; a box without a score scores 1.0, and a failed image has no boxes."""
    detections: list[dict[str, Any]] = []
    for number, image in enumerate(predictions.images, start=1):
        if image.prediction is None:
            continue
        scores: Iterable[float] = image.object_scores or [1.0] * len(image.prediction.names)
        for (name, box_xywh), score in zip(_named_boxes_xywh(image.prediction), scores, strict=True):
            detections.append(
                {"image_id": number, "category_id": category_ids[name], "bbox": box_xywh, "score": float(score)}
            )
    return detections


def _category_ids(predictions: Predictions) -> dict[str, int]:
    """Numbers from 1: the vocabulary's objects in its order, then whatever else is annotated or predicted."""
    graphs = [graph for image in predictions.images for graph in (image.ground_truth, image.prediction) if graph]
    others = sorted({name for graph in graphs for name in graph.names})
    return {name: i for i, name in enumerate(dict.fromkeys([*predictions.vocabulary.objects, *others]), start=1)}


def _named_boxes_xywh(graph: SceneGraph) -> list[tuple[str, list[float]]]:
    corners = graph.boxes_xyxy
    boxes_xywh = [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in corners.tolist()]
    return list(zip(graph.names, boxes_xywh, strict=True))
