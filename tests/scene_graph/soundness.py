"""What holds of every graph that comes out of a text, whatever the text."""

from itertools import pairwise

import numpy as np

from r1sgg_cli.scene_graph.consensus import Consensus
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.parse import DEFECTS, ParsedAnswer

SLACK = 1e-12
"""Of the image's side: what a change of a box's unit may round a box beyond its edge."""


def insist_on_sound_graph(graph: SceneGraph, slack: float = 0.0) -> None:
    """Boxes are finite, ordered and in the image, ids unique, labels nameable, ends objects; all can be written."""
    boxes = graph.boxes_xyxy
    width, height = graph.space_wh
    assert boxes.shape == (len(graph.ids), 4)
    assert boxes.dtype == np.float64
    assert np.isfinite(boxes).all()
    assert (boxes >= 0).all(), boxes
    assert (boxes <= np.array([width, height] * 2) * (1 + slack)).all(), (boxes, graph.space_wh)
    assert (boxes[:, :2] <= boxes[:, 2:]).all(), boxes
    assert len(set(graph.ids)) == len(graph.ids) == len(graph.names)
    assert all(graph.names)
    for triplet in graph.triplets:
        assert 0 <= triplet.subject < len(graph.ids)
        assert 0 <= triplet.object < len(graph.ids)
        assert triplet.predicate
    "".join((*graph.names, *(triplet.predicate for triplet in graph.triplets))).encode()


def insist_on_sound_answer(answer: ParsedAnswer) -> None:
    """The graph is sound, and every defect is a known one that was met."""
    insist_on_sound_graph(answer.graph)
    assert set(answer.defects) <= set(DEFECTS)
    assert all(count > 0 for count in answer.defects.values())


def insist_on_sound_consensus(agreed: Consensus) -> None:
    """The graph is sound, and what more texts show comes first."""
    insist_on_sound_graph(agreed.graph, SLACK)
    for scores, items in ((agreed.object_scores, agreed.graph.ids), (agreed.triplet_scores, agreed.graph.triplets)):
        assert len(scores) == len(items)
        assert all(0.5 <= score <= 1 for score in scores)
        assert all(first >= second for first, second in pairwise(scores))
