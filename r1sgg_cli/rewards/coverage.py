"""Whether an answer touches on all that an image's relationships are about, however roughly."""

from collections import Counter
from functools import lru_cache

from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.parse import ParsedAnswer
from r1sgg_cli.scene_graph.similarity import Similarity

COVERAGE_WEIGHT = 2.0
ALIKE = 0.7
"""From this similarity up two relationships are about the same."""

Labels = tuple[str, str, str]
"""Subject, predicate and object of a relationship by name."""


def cluster_coverage_reward(answer: ParsedAnswer | None, truth: SceneGraph, similarity: Similarity) -> float | None:
    """Share of the groups of like relationships that are touched on × how fully those are; at most 2.

    After the coarse-grained relation reward of SGG-R3 (arXiv 2603.07961). True relationships are grouped by what they
    say, boxes aside: two are alike where the product of their three label similarities is 0.7 or more, and groups are
    chains of such. A predicted relationship belongs to the group that has the one most like it, if that is alike. With
    `similarity: exact` a group is a triplet of names.

    Fully: of each touched group as many count as it has, over all that the touched groups have; one that is said five
    times counts once. There, triplets are compared by sentence embeddings, surplus in one group counts for another, and
    uneven coverage costs something more.
    """
    if not truth.triplets:
        return None
    if answer is None:
        return 0.0
    groups = _groups(truth, similarity)
    found: Counter[int] = Counter()
    for labels, number in _labels(answer.graph).items():
        group = _closest(labels, groups, similarity)
        if group is not None:
            found[group] += number
    if not found:
        return 0.0
    sizes = {group: sum(groups[group].values()) for group in found}
    fullness = sum(min(found[group], size) for group, size in sizes.items()) / sum(sizes.values())
    return COVERAGE_WEIGHT * len(found) / len(groups) * fullness


def _labels(graph: SceneGraph) -> Counter[Labels]:
    """How many different relationships of a graph have these labels."""
    return Counter((graph.names[s], predicate, graph.names[o]) for s, predicate, o in set(graph.triplets))


@lru_cache(maxsize=4096)
def _groups(truth: SceneGraph, similarity: Similarity) -> list[Counter[Labels]]:
    counts = _labels(truth)
    groups: list[Counter[Labels]] = []
    for labels in sorted(counts):
        joined = [group for group in groups if any(_is_alike(labels, other, similarity) for other in group)]
        whole = Counter({labels: counts[labels]})
        for group in joined:
            whole += group
        groups = [group for group in groups if group not in joined] + [whole]
    return groups


def _is_alike(labels: Labels, others: Labels, similarity: Similarity) -> bool:
    return _likeness(labels, others, similarity) >= ALIKE


def _likeness(labels: Labels, others: Labels, similarity: Similarity) -> float:
    """The product of the three similarities; 0 as soon as one of them rules out that they are alike."""
    product = 1.0
    for label, other in zip(labels, others, strict=True):
        product *= similarity(label, other)
        if product < ALIKE:
            return 0.0
    return product


def _closest(labels: Labels, groups: list[Counter[Labels]], similarity: Similarity) -> int | None:
    best, closest = 0.0, None
    for number, group in enumerate(groups):
        for others in group:
            likeness = _likeness(labels, others, similarity)
            if likeness > best:
                best, closest = likeness, number
    return closest
