"""What an answer has too much of. Penalties are 0 at best and −1 at worst: a recipe's weights say how much that is.

Neither falls on an answer that lists what is annotated, with all the repetitions that annotations have themselves.
SceneGraphVLM (arXiv 2605.13667) and SGG-R3 (arXiv 2603.07961) punish superfluous and repeated items, each in its own
way; the definitions here are our own.
"""

from collections import Counter
from collections.abc import Hashable

from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.parse import ParsedAnswer
from r1sgg_cli.scene_graph.similarity import Similarity

FREE, FULL = 1.0, 4.0
"""An answer may list as many items as are annotated; from four times on the penalty is whole."""
DROPPED = (
    *("bad_object", "bad_box", "repeated_id"),
    *("bad_relationship", "empty_predicate", "dangling_relationship"),
)
"""Defects each of which is an item that was written and not kept."""


def repetition_penalty_reward(answer: ParsedAnswer | None, truth: SceneGraph, similarity: Similarity) -> float:
    """Minus the share of listed items that repeat an earlier one; at least −1.

    Repeated are an id that was used before, an object of equal name and box, and a relationship of equal predicate
    between ends of equal names and boxes. Of objects of one name, and of relationships of the same three labels, no
    more count as repeated than there are beyond the number that is annotated.
    """
    if answer is None:
        return 0.0
    graph = answer.graph
    num_again = answer.defects.get("repeated_id", 0)
    num_listed = num_again + len(graph.triplets)
    if not answer.given:
        num_listed += len(graph.names)
        num_again += _num_repeated(_objects(graph), _objects(truth))
    num_again += _num_repeated(_relationships(graph), _relationships(truth))
    return 0.0 - num_again / max(1, num_listed)


def length_penalty_reward(answer: ParsedAnswer | None, truth: SceneGraph, similarity: Similarity) -> float | None:
    """Minus how far the number of listed items exceeds that of the annotated, whole from four times on; at least −1.

    Items are objects and relationships, those that were written and could not be kept among them; relationships alone
    where the objects are given. An answer that should list objects alone may list as many as there are of both. It does
    not apply to an image without any.
    """
    is_given = answer is not None and answer.given
    num_true = len(truth.triplets) + (0 if is_given else len(truth.names))
    if not num_true:
        return None
    if answer is None:
        return 0.0
    num_kept = len(answer.graph.triplets) + (0 if is_given else len(answer.graph.names))
    num_listed = num_kept + sum(answer.defects.get(kind, 0) for kind in DROPPED)
    excess = (num_listed / num_true - FREE) / (FULL - FREE)
    return 0.0 - min(max(excess, 0.0), 1.0)


_Item = tuple[Hashable, Hashable]
"""What an item says, and where."""


def _num_repeated(items: list[_Item], annotated: list[_Item]) -> int:
    whole = Counter(items)
    if len(whole) == len(items):
        return 0
    said, different = Counter(label for label, _ in items), Counter(label for label, _ in whole)
    allowed = Counter(label for label, _ in annotated)
    return sum(min(number - different[label], max(0, number - allowed[label])) for label, number in said.items())


def _objects(graph: SceneGraph) -> list[_Item]:
    return [(name, tuple(box)) for name, box in zip(graph.names, graph.boxes_xyxy.tolist(), strict=True)]


def _relationships(graph: SceneGraph) -> list[_Item]:
    places = [tuple(box) for box in graph.boxes_xyxy.tolist()]
    return [((graph.names[s], predicate, graph.names[o]), (places[s], places[o])) for s, predicate, o in graph.triplets]
