"""Whether an answer is written as the prompt asks."""

from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.parse import ParsedAnswer
from r1sgg_cli.scene_graph.similarity import Similarity

FORGIVEN = frozenset({"clipped_box", "empty_predicate", "repeated_object", "repeated_relationship"})
"""Defects of what is said rather than of how it is written; the published check, once it runs, accepts them too."""


def format_reward(answer: ParsedAnswer | None, truth: SceneGraph, similarity: Similarity) -> float:
    """1 for a graph without a defect, tagged `<think>…</think><answer>…</answer>`; at most 1.

    A tagged graph that is well written but empty gets 0.5: saying nothing is worth less than any graph and more than
    garbage. Everything else gets 0. What `FORGIVEN` lists costs nothing here. Given objects are no part of an answer:
    it then is empty without a relationship.
    """
    if answer is None or not answer.tagged or not FORGIVEN.issuperset(answer.defects):
        return 0.0
    listed = answer.graph.triplets if answer.given else answer.graph.names
    return 1.0 if listed else 0.5
