"""Which predicted objects hit which annotated ones: equal names, IoU of at least 0.5, one-to-one."""

import numpy as np

from r1sgg_cli.metrics.flat import FlatGraphs, flatten_pair
from r1sgg_cli.metrics.one_to_one import Pairs, equal_pairs, most_pairs
from r1sgg_cli.scene_graph.boxes import IOU_THRESHOLD, paired_box_iou
from r1sgg_cli.scene_graph.graph import SceneGraph


def object_hits(annotated: FlatGraphs, predicted: FlatGraphs) -> Pairs:
    """As many hits as one-to-one allows, rows of the two sides' object arrays."""
    keys = (np.stack([side.object_image, side.object_label], axis=1) for side in (annotated, predicted))
    annotated_rows, predicted_rows = equal_pairs(*keys)
    iou = paired_box_iou(annotated.boxes_xyxy[annotated_rows], predicted.boxes_xyxy[predicted_rows])
    overlaps = iou >= IOU_THRESHOLD
    pairs = annotated_rows[overlaps], predicted_rows[overlaps]
    return most_pairs(pairs, len(annotated.object_image), len(predicted.object_image))


def match_objects(ground_truth: SceneGraph, prediction: SceneGraph) -> list[tuple[int, int]]:
    """(annotated object, predicted object) of each hit, indices into the two graphs' objects."""
    hits = object_hits(*flatten_pair([ground_truth], [prediction]))
    return list(zip(*(rows.tolist() for rows in hits), strict=True))
