"""How well the objects are found and named.

Both rewards are recall only, as published: a superfluous object costs nothing, and more boxes can find more. Pair them
with a reward or a metric that counts precision where that matters. They do not apply to an image without objects.
"""

import numpy as np

from r1sgg_cli.rewards.batch import read_matching
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.parse import ParsedAnswer
from r1sgg_cli.scene_graph.similarity import Similarity

NODE_WEIGHT = 2.0
IOU_SHARE, L1_SHARE = 2 / 7, 5 / 7


def node_acc_reward(answer: ParsedAnswer | None, truth: SceneGraph, similarity: Similarity) -> float | None:
    """Mean name similarity over the true objects, those without a partner counting 0; at most 2."""
    if not truth.names:
        return None
    if answer is None:
        return 0.0
    matching = read_matching(answer.graph, truth, similarity)
    return NODE_WEIGHT * float(matching.similarity.sum()) / len(truth.names)


def node_box_reward(answer: ParsedAnswer | None, truth: SceneGraph, similarity: Similarity) -> float | None:
    """Mean box agreement, (2·IoU + 5·exp(−L1)) / 7, over the true objects; at most 2."""
    if not truth.names:
        return None
    if answer is None:
        return 0.0
    matching = read_matching(answer.graph, truth, similarity)
    agreement = IOU_SHARE * matching.iou + L1_SHARE * np.exp(-matching.l1)
    return NODE_WEIGHT * float(agreement.sum()) / len(truth.names)
