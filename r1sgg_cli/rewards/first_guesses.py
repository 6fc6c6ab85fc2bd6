"""The graph constraint of rewards: of what an answer says of one pair of objects, the first predicate can be right.

A policy that is not sure could name four predicates and be right once. Where each counts, that is worth more than the
one that it believes in most, and training teaches it to list. Where the first counts, it is not: what comes after it
finds nothing, and whatever counts what is superfluous counts it. It is the constraint of "graph-constrained recall"
(as Neural Motifs, arXiv 1711.06640, calls it), with a model's own order in place of its scores.
"""

from collections import Counter, defaultdict
from collections.abc import Collection
from functools import lru_cache

from r1sgg_cli.scene_graph.boxes import IOU_THRESHOLD, iou_of_two
from r1sgg_cli.scene_graph.graph import SceneGraph

_Names = tuple[str, str]


@lru_cache(maxsize=4096)
def first_guesses(prediction: SceneGraph, truth: SceneGraph) -> Collection[int]:
    """Positions of the predicted relationships that can be right, ascending.

    Those are the first predicate of each pair of objects; the first two where the annotations say two of some pair of
    these names, and so on. Saying one of them again is not another guess. Objects of one name whose boxes share an IoU
    of 0.5 are one object: a copy is no room for further guesses.
    """
    said: defaultdict[_Names, set[str]] = defaultdict(set)
    for subject, predicate, target in prediction.triplets:
        said[prediction.names[subject], prediction.names[target]].add(predicate)
    room = _room(truth)
    if all(len(predicates) <= room.get(names, 1) for names, predicates in said.items()):
        return range(len(prediction.triplets))  # nearly always, and then boxes need not be looked at
    of_pair: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
    kept: dict[int, None] = {}
    one = _one_for_each_object(prediction)
    for position, (subject, predicate, target) in enumerate(prediction.triplets):
        before = of_pair[one[subject], one[target]]
        if predicate in before or len(before) < room.get((prediction.names[subject], prediction.names[target]), 1):
            before.add(predicate)
            kept[position] = None
    return kept


@lru_cache(maxsize=4096)
def _room(truth: SceneGraph) -> Counter[_Names]:
    """By the names of its ends, how many predicates an annotated pair has at most."""
    of_pair: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
    one = _one_for_each_object(truth)
    for subject, predicate, target in truth.triplets:
        of_pair[one[subject], one[target]].add(predicate)
    room: Counter[_Names] = Counter()
    for (subject, target), predicates in of_pair.items():
        names = truth.names[subject], truth.names[target]
        room[names] = max(room[names], len(predicates))
    return room


def _one_for_each_object(graph: SceneGraph) -> list[int]:
    """Of each object, one number for all of its name that share an IoU of 0.5, directly or through others of them."""
    boxes = graph.boxes_xyxy.tolist()
    of_name: defaultdict[str, list[int]] = defaultdict(list)
    one = list(range(len(graph.names)))
    for number, name in enumerate(graph.names):
        for earlier in of_name[name]:
            if one[earlier] != one[number] and iou_of_two(boxes[number], boxes[earlier]) >= IOU_THRESHOLD:
                merged = one[earlier]
                one = [one[number] if other == merged else other for other in one]
        of_name[name].append(number)
    return one
