"""By what the objects and relationships of a predicted graph rank."""

import math
from collections.abc import Sequence

from r1sgg_cli.scene_graph.graph import SceneGraph

Scores = tuple[float, ...]


def scores_from_logprobs(
    graph: SceneGraph, objects: Sequence[float | None], triplets: Sequence[float | None]
) -> tuple[Scores, Scores] | None:
    """Probabilities of the objects' names, and of the triplets times those of their two names, as detectors rank.

    Both arguments are natural logarithms, parallel to the graph's. None where one is missing: an image is ranked by
    all of them or by none.
    """
    names = [value for value in objects if value is not None]
    written = [value for value in triplets if value is not None]
    if len(names) != len(objects) or len(written) != len(triplets):
        return None
    ranked = (
        value + names[triplet.subject] + names[triplet.object]
        for value, triplet in zip(written, graph.triplets, strict=True)
    )
    return tuple(map(_probability, names)), tuple(map(_probability, ranked))


def _probability(logprob: float) -> float:
    return math.exp(min(logprob, 0.0))  # rounding may leave it a little above 0
