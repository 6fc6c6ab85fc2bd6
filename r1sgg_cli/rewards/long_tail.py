"""Recall that does not leave rare predicates to chance: a third of VG150's relationships are `on`."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from r1sgg_cli.config.schema import Task
from r1sgg_cli.rewards.batch import Completion, reward_function
from r1sgg_cli.rewards.edges import EDGE_WEIGHT, soft_hits
from r1sgg_cli.rewards.first_guesses import first_guesses
from r1sgg_cli.rewards.hits import relationship_hits
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet
from r1sgg_cli.scene_graph.labels import normalise_label
from r1sgg_cli.scene_graph.parse import ParsedAnswer
from r1sgg_cli.scene_graph.similarity import Similarity

LEAST, MOST = 2.0, 10.0
"""Weights of the most frequent and of the rarest predicate, those of SGG-R3."""
RELATIONSHIPS: tuple[Task, ...] = ("sgg", "cls")
"""The tasks whose answers list relationships."""


def mean_recall_reward(answer: ParsedAnswer | None, truth: SceneGraph, similarity: Similarity) -> float | None:
    """Half hard recall, half the mean over the image's predicates of each one's own recall; at most 5.

    After Relation-R1 (arXiv 2504.14642): ten times `on` and once `riding` weigh alike in the second half. There, every
    predicate of a pair can find something; here, its first (`first_guesses`). Recall all the same: pair it with a
    reward or a penalty that counts what is superfluous.
    """
    if not truth.triplets:
        return None
    if answer is None:
        return 0.0
    guesses = first_guesses(answer.graph, truth)
    hit = {true for predicted, true in relationship_hits(answer.graph, truth) if predicted in guesses}
    of_predicate: defaultdict[str, list[bool]] = defaultdict(list)
    for number, triplet in enumerate(truth.triplets):
        of_predicate[triplet.predicate].append(number in hit)
    recall = len(hit) / len(truth.triplets)
    mean_recall = sum(sum(hits) / len(hits) for hits in of_predicate.values()) / len(of_predicate)
    return EDGE_WEIGHT * (recall + mean_recall) / 2


def weighted_recall_reward(
    completions: Sequence[Completion], *, predicate_weights: Mapping[str, float], **columns: Any
) -> list[float | None]:
    """`edge_reward` with each true relationship weighed by how rare its predicate is in training; at most 5.

    After SGG-R3 (arXiv 2603.07961, its fine-grained relation reward): weights of 2 to 10, see `weights_by_rarity`. A
    predicate without a weight was never seen in training and counts as the rarest; there it counts as the most
    frequent. There, every predicate of a pair can be the one that counts; here, its first (`first_guesses`). Recall all
    the same, as `mean_recall_reward`.
    """

    def weighted_recall(answer: ParsedAnswer | None, truth: SceneGraph, similarity: Similarity) -> float | None:
        weights = [predicate_weights.get(triplet.predicate, MOST) for triplet in truth.triplets]
        if not weights:
            return None
        values = soft_hits(answer, _first(answer, truth), truth, similarity)
        return EDGE_WEIGHT * sum(w * value for w, value in zip(weights, values, strict=True)) / sum(weights)

    return reward_function(weighted_recall, RELATIONSHIPS)(completions, **columns)


def _first(answer: ParsedAnswer | None, truth: SceneGraph) -> list[Triplet]:
    return [] if answer is None else [answer.graph.triplets[i] for i in first_guesses(answer.graph, truth)]


def weights_by_rarity(predicate_counts: Mapping[str, int]) -> dict[str, float]:
    """Predicate → weight, from 2 for the most frequent to 10 for the rarest, linear in the logarithm of its count."""
    counts: Counter[str] = Counter()
    for predicate, count in predicate_counts.items():
        if count > 0:
            counts[normalise_label(predicate)] += count
    if not counts:
        return {}
    high, low = math.log(max(counts.values())), math.log(min(counts.values()))
    span = high - low
    return {
        predicate: LEAST + (MOST - LEAST) * ((high - math.log(count)) / span if span else 0.0)
        for predicate, count in counts.items()
    }
