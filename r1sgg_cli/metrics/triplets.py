"""Which predicted triplets hit which annotated ones.

A hit needs equal subject name, predicate and object name, and IoU of at least 0.5 on both boxes. Hits are one-to-one:
of all ways to pair them off within an image, one with the most hits is taken. (In the published evaluator one predicted
triplet may hit several annotated ones.) Triplets that repeat another of their graph exactly are left out on both sides.
In phrase detection the two boxes are one, the smallest that holds both.
"""

from dataclasses import dataclass

import numpy as np

from r1sgg_cli.metrics.flat import FlatGraphs, Integers, Mask, flatten_pair
from r1sgg_cli.metrics.one_to_one import Pairs, equal_pairs, most_pairs
from r1sgg_cli.scene_graph.boxes import IOU_THRESHOLD, Boxes, paired_box_iou
from r1sgg_cli.scene_graph.graph import SceneGraph


@dataclass(frozen=True, slots=True)
class TripletCandidates:
    """Every pair of triplets that could hit each other, rows of the two `FlatGraphs`."""

    pairs: Pairs
    annotated: FlatGraphs
    predicted: FlatGraphs

    def hits(self, counts: Mask | None = None) -> Pairs:
        """One-to-one hits among the predicted triplets that count, a mask over them; None for all of them."""
        annotated_rows, predicted_rows = self.pairs
        if counts is not None:
            kept = counts[predicted_rows]
            annotated_rows, predicted_rows = annotated_rows[kept], predicted_rows[kept]
        return most_pairs(
            (annotated_rows, predicted_rows), len(self.annotated.predicate), len(self.predicted.predicate)
        )


def triplet_candidates(annotated: FlatGraphs, predicted: FlatGraphs) -> TripletCandidates:
    """Pairs of triplets of the same image with equal names and predicate and enough overlap at both ends."""
    annotated_rows, predicted_rows = equal_pairs(_keys(annotated), _keys(predicted))
    overlaps = np.ones(len(annotated_rows), dtype=bool)
    for annotated_end, predicted_end in (
        (annotated.subject, predicted.subject),
        (annotated.object, predicted.object),
    ):
        boxes = annotated.boxes_xyxy[annotated_end[annotated_rows]]
        overlaps &= paired_box_iou(boxes, predicted.boxes_xyxy[predicted_end[predicted_rows]]) >= IOU_THRESHOLD
    return TripletCandidates((annotated_rows[overlaps], predicted_rows[overlaps]), annotated, predicted)


def phrase_candidates(annotated: FlatGraphs, predicted: FlatGraphs) -> TripletCandidates:
    """The same for phrase detection: one box, around subject and object, with enough overlap."""
    annotated_rows, predicted_rows = equal_pairs(_keys(annotated), _keys(predicted))
    boxes = (_boxes_around(side)[rows] for side, rows in ((annotated, annotated_rows), (predicted, predicted_rows)))
    overlaps = paired_box_iou(*boxes) >= IOU_THRESHOLD
    return TripletCandidates((annotated_rows[overlaps], predicted_rows[overlaps]), annotated, predicted)


def match_triplets(ground_truth: SceneGraph, prediction: SceneGraph) -> list[tuple[int, int]]:
    """(annotated triplet, predicted triplet) of each hit, indices into the two graphs' `triplets`."""
    annotated, predicted = flatten_pair([ground_truth], [prediction])
    annotated_rows, predicted_rows = triplet_candidates(annotated, predicted).hits()
    sources = annotated.source[annotated_rows], predicted.source[predicted_rows]
    return list(zip(*(rows.tolist() for rows in sources), strict=True))


def _keys(graphs: FlatGraphs) -> Integers:
    names = graphs.object_label
    return np.stack([graphs.triplet_image, names[graphs.subject], graphs.predicate, names[graphs.object]], axis=1)


def _boxes_around(graphs: FlatGraphs) -> Boxes:
    """The smallest box that holds subject and object, of each triplet."""
    subjects, objects = graphs.boxes_xyxy[graphs.subject], graphs.boxes_xyxy[graphs.object]
    return np.concatenate(
        [np.minimum(subjects[:, :2], objects[:, :2]), np.maximum(subjects[:, 2:], objects[:, 2:])], axis=1
    )
