"""Whether an answer touches on all that an image's relationships are about, however roughly."""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from itertools import chain

from r1sgg_cli.rewards.first_guesses import first_guesses
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet
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
    times counts once, and of the predicates of one pair the first alone (`first_guesses`). There, triplets are compared
    by sentence embeddings, every predicate of a pair counts, surplus in one group counts for another, and uneven
    coverage costs something more.
    """
    if not truth.triplets:
        return None
    if answer is None:
        return 0.0
    group_of, sizes = _groups(truth, similarity)
    found: Counter[int] = Counter()
    triplets = [answer.graph.triplets[i] for i in first_guesses(answer.graph, truth)]
    for labels, number in _labels(answer.graph, triplets).items():
        group = group_of[labels] if labels in group_of else _closest(labels, group_of, similarity)
        if group is not None:
            found[group] += number
    if not found:
        return 0.0
    fullness = sum(min(number, sizes[group]) for group, number in found.items()) / sum(sizes[group] for group in found)
    return COVERAGE_WEIGHT * len(found) / len(sizes) * fullness


def _labels(graph: SceneGraph, triplets: Iterable[Triplet]) -> Counter[Labels]:
    """How many different ones of these relationships of a graph have these labels."""
    return Counter((graph.names[s], predicate, graph.names[o]) for s, predicate, o in dict.fromkeys(triplets))


@lru_cache(maxsize=4096)
def _groups(truth: SceneGraph, similarity: Similarity) -> tuple[dict[Labels, int], dict[int, int]]:
    """Of each triplet of labels its group, and of each group how many relationships it has."""
    counts = _labels(truth, truth.triplets)
    groups: list[list[Labels]] = []
    for labels in counts:
        joined = [group for group in groups if any(_likeness(labels, other, similarity) for other in group)]
        groups = [group for group in groups if group not in joined] + [[labels, *chain(*joined)]]
    group_of = {labels: number for number, group in enumerate(groups) for labels in group}
    return group_of, {number: sum(counts[labels] for labels in group) for number, group in enumerate(groups)}


def _likeness(labels: Labels, others: Labels, similarity: Similarity) -> float:
    """The product of the three similarities; 0 where they are not alike."""
    product = similarity(labels[0], others[0])
    if product >= ALIKE:
        product *= similarity(labels[2], others[2])
    if product >= ALIKE:
        product *= similarity(labels[1], others[1])
    return product if product >= ALIKE else 0.0


def _closest(labels: Labels, group_of: dict[Labels, int], similarity: Similarity) -> int | None:
    best, closest = 0.0, None
    for others, group in group_of.items():
        likeness = _likeness(labels, others, similarity)
        if likeness > best:
            best, closest = likeness, group
    return closest
