"""Which predicted boxes hit an annotated one, as COCO matches them: by score, class by class, at ten thresholds."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from r1sgg_cli.metrics.flat import FlatGraphs, Integers
from r1sgg_cli.metrics.turns import MAX_DETECTIONS, places_by_score, take_turns
from r1sgg_cli.scene_graph.boxes import paired_box_iou


class BoxMatches(NamedTuple):
    """The predicted boxes of annotated classes, ordered by class, then score, the highest first."""

    image: Integers
    """Of each box; equal scores stand in the order of the images, then of the answer."""
    hits: NDArray[np.bool_]
    """Whether each box hits one at each threshold, shape (thresholds, boxes)."""
    edges: Integers
    """Where the boxes of each class begin, shape (classes + 1,)."""
    classes: Integers
    """Labels of the annotated classes, ascending."""


def match_boxes(annotated: FlatGraphs, predicted: FlatGraphs) -> BoxMatches:
    """Match the boxes of all images."""

    def iou_of(truths: Integers, answers: Integers) -> NDArray[np.float64]:
        return paired_box_iou(annotated.boxes_xyxy[truths], predicted.boxes_xyxy[answers])

    classes = np.unique(annotated.object_label)
    place = places_by_score(predicted)
    width, height = (predicted.boxes_xyxy[:, 2:] - predicted.boxes_xyxy[:, :2]).T
    counts = (place < MAX_DETECTIONS) & (width * height >= 0)  # COCO ignores what is outside its range of areas
    rows = np.flatnonzero(counts & np.isin(predicted.object_label, classes))
    is_last_resort = np.zeros((1, len(annotated.object_label)), dtype=bool)
    hits = take_turns(annotated, predicted, place, iou_of, is_last_resort)[0] >= 0
    rows = rows[np.lexsort((-predicted.object_score[rows], predicted.object_label[rows]))]
    edges = np.searchsorted(predicted.object_label[rows], classes)
    return BoxMatches(predicted.object_image[rows], hits[:, rows], np.append(edges, len(rows)), classes)
