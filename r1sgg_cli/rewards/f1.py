"""Found and right at once: harmonic means of precision and recall, so that what is superfluous costs as much as what is
missing. Each item may stand for one other at most.

Annotations leave out much that is in a picture, so precision also punishes what is right and not annotated.
"""

from collections import Counter

import numpy as np

from r1sgg_cli.rewards.edges import EDGE_WEIGHT
from r1sgg_cli.rewards.first_guesses import first_guesses
from r1sgg_cli.rewards.hits import num_one_to_one, object_hits, relationship_hits
from r1sgg_cli.rewards.nodes import NODE_WEIGHT
from r1sgg_cli.scene_graph.boxes import box_iou
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.parse import ParsedAnswer
from r1sgg_cli.scene_graph.similarity import Similarity

DUPLICATE_IOU = 0.9
"""Two boxes of one name that share this much show the same object twice."""


def edge_f1_reward(answer: ParsedAnswer | None, truth: SceneGraph, similarity: Similarity) -> float | None:
    """F1 of the relationships, matched one-to-one by equal labels and IoU ≥ 0.5 at both ends; at most 5.

    After SceneGraphVLM (arXiv 2605.13667), which matches edges one-to-one and rewards their F1. A relationship that is
    written twice counts twice as predicted and once as right. F1 alone pays for a second guess that is more than half
    as likely as the first: here, all predicates of a pair count as predicted, and its first alone can be right
    (`first_guesses`).
    """
    if not truth.triplets:
        return None
    if answer is None:
        return 0.0
    guesses = first_guesses(answer.graph, truth)
    num_hits = num_one_to_one(pair for pair in relationship_hits(answer.graph, truth) if pair[0] in guesses)
    return EDGE_WEIGHT * 2 * num_hits / (len(answer.graph.triplets) + len(truth.triplets))


def object_f1_reward(answer: ParsedAnswer | None, truth: SceneGraph, similarity: Similarity) -> float | None:
    """F1 of the objects, matched one-to-one by equal names and IoU ≥ 0.5; 0 where one is listed twice; at most 2.

    After the category F1 of SGG-R3 (arXiv 2603.07961), which is that of the set of names and 0 where a name is listed
    twice. Here an answer lists objects, several of a name among them: it is vetoed where a name has more of them than
    are annotated and two of its boxes share an IoU of 0.9.
    """
    if not truth.names:
        return None
    if answer is None or _lists_an_object_twice(answer.graph, truth):
        return 0.0
    num_hits = num_one_to_one(object_hits(answer.graph, truth))
    return NODE_WEIGHT * 2 * num_hits / (len(answer.graph.names) + len(truth.names))


def _lists_an_object_twice(prediction: SceneGraph, truth: SceneGraph) -> bool:
    """Not so where the annotations hold as many of the name: they list some objects twice themselves."""
    superfluous = Counter(prediction.names) - Counter(truth.names)
    suspects = [number for number, name in enumerate(prediction.names) if name in superfluous]
    if not suspects:
        return False
    boxes = prediction.boxes_xyxy[suspects]
    pairs = np.argwhere(np.triu(box_iou(boxes, boxes) >= DUPLICATE_IOU, k=1)).tolist()
    return any(prediction.names[suspects[one]] == prediction.names[suspects[other]] for one, other in pairs)
