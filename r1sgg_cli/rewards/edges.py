"""How many of the true relationships are found.

All three rewards are recall only, as published: naming every predicate for every pair costs nothing. They do not apply
to an image without relationships. Labels that mean the same (`wears`, `wearing`) differ for `edge_hard_reward`.
"""

from collections import defaultdict
from collections.abc import Sequence

from r1sgg_cli.rewards.batch import read_matching
from r1sgg_cli.rewards.hits import relationship_hits
from r1sgg_cli.scene_graph.boxes import IOU_THRESHOLD, box_iou
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet
from r1sgg_cli.scene_graph.parse import ParsedAnswer
from r1sgg_cli.scene_graph.similarity import Similarity

EDGE_WEIGHT = 5.0


def edge_reward(answer: ParsedAnswer | None, truth: SceneGraph, similarity: Similarity) -> float | None:
    """Mean over the true relationships of subject · object · predicate similarity; at most 5.

    The matching of objects says which predicted pair stands for a true pair; of the predicates predicted for that pair
    the most similar one counts.
    """
    if not truth.triplets:
        return None
    triplets = () if answer is None else answer.graph.triplets
    return EDGE_WEIGHT * sum(soft_hits(answer, triplets, truth, similarity)) / len(truth.triplets)


def soft_hits(
    answer: ParsedAnswer | None, triplets: Sequence[Triplet], truth: SceneGraph, similarity: Similarity
) -> list[float]:
    """What `edge_reward` counts of each true relationship, 0 to 1, where `triplets` of the answer can be right."""
    if answer is None or not triplets:
        return [0.0] * len(truth.triplets)
    matching = read_matching(answer.graph, truth, similarity)
    partner = dict(zip(matching.true.tolist(), matching.predicted.tolist(), strict=True))
    alike = dict(zip(matching.true.tolist(), matching.similarity.tolist(), strict=True))
    predicted: defaultdict[tuple[int | None, int | None], list[str]] = defaultdict(list)
    for subject, predicate, target in triplets:
        predicted[subject, target].append(predicate)
    values = []
    for subject, predicate, target in truth.triplets:
        rivals = predicted.get((partner.get(subject), partner.get(target)))
        if rivals is None:
            values.append(0.0)
        else:
            best = max([similarity(rival, predicate) for rival in rivals])
            values.append(alike[subject] * alike[target] * best)
    return values


def edge_hard_reward(answer: ParsedAnswer | None, truth: SceneGraph, similarity: Similarity) -> float | None:
    """Share of the true relationships predicted with equal labels and IoU ≥ 0.5 at both ends; at most 5."""
    if not truth.triplets:
        return None
    if answer is None or not answer.graph.triplets:
        return 0.0
    hit = {true for _, true in relationship_hits(answer.graph, truth)}
    return EDGE_WEIGHT * len(hit) / len(truth.triplets)


def edge_hard_relax_reward(answer: ParsedAnswer | None, truth: SceneGraph, similarity: Similarity) -> float | None:
    """Like `edge_hard_reward`, but each relationship counts its best label similarity instead of 0 or 1; at most 5."""
    if not truth.triplets:
        return None
    if answer is None or not answer.graph.triplets:
        return 0.0
    graph = answer.graph
    overlaps = _overlaps(graph, truth)
    total = 0.0
    for subject, predicate, target in truth.triplets:
        total += max(
            (
                similarity(graph.names[s], truth.names[subject])
                * similarity(graph.names[o], truth.names[target])
                * similarity(rival, predicate)
                for s, rival, o in graph.triplets
                if overlaps[s][subject] and overlaps[o][target]
            ),
            default=0.0,
        )
    return EDGE_WEIGHT * total / len(truth.triplets)


def _overlaps(prediction: SceneGraph, truth: SceneGraph) -> list[list[bool]]:
    """For every predicted and true object, whether their boxes share an IoU of 0.5; a NaN never does."""
    overlaps: list[list[bool]] = (box_iou(prediction.boxes_xyxy, truth.boxes_xyxy) >= IOU_THRESHOLD).tolist()
    return overlaps
