"""What is right in an answer: matched, wrong and missed objects and relationships, by the metrics' own rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from r1sgg_cli.data.predictions import ImagePrediction
from r1sgg_cli.metrics.objects import match_objects
from r1sgg_cli.metrics.triplets import match_triplets
from r1sgg_cli.scene_graph.graph import SceneGraph

Verdict = Literal["truth", "matched", "wrong", "missed"]
"""`"truth"`: annotated, and compared with no answer."""
SIGNS: dict[Verdict, str] = {"truth": "•", "matched": "✓", "wrong": "✗", "missed": "○"}


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Of each object and each different relationship of both graphs, by its index in its graph."""

    annotated_objects: Mapping[int, Verdict]
    """`"matched"` or `"missed"`, as those of `annotated_triplets`."""
    annotated_triplets: Mapping[int, Verdict]
    predicted_objects: Mapping[int, Verdict]
    """`"matched"` or `"wrong"`, as those of `predicted_triplets`; empty where no graph could be read."""
    predicted_triplets: Mapping[int, Verdict]
    partner: Mapping[int, int]
    """Predicted object → the annotated one that it matches."""

    @property
    def num_matched(self) -> int:
        """Relationships that are matched."""
        return sum(verdict == "matched" for verdict in self.annotated_triplets.values())


def judge(image: ImagePrediction) -> Verdicts:
    """The verdicts on an image's answer; what has no graph misses everything."""
    truth, graph = image.ground_truth, image.prediction
    hits = dict(match_triplets(truth, graph)) if graph else {}
    found = dict(match_objects(truth, graph)) if graph else {}
    partner = {predicted: annotated for annotated, predicted in found.items()}
    used = set(hits.values())
    return Verdicts(
        {i: "matched" if i in found else "missed" for i in range(len(truth.ids))},
        {i: "matched" if i in hits else "missed" for i in distinct_triplets(truth)},
        {i: "matched" if i in partner else "wrong" for i in range(len(graph.ids))} if graph else {},
        {i: "matched" if i in used else "wrong" for i in distinct_triplets(graph)} if graph else {},
        partner,
    )


def distinct_triplets(graph: SceneGraph) -> list[int]:
    """Indices of a graph's triplets without exact repeats, which are scored once and so listed once."""
    return sorted({triplet: i for i, triplet in reversed(list(enumerate(graph.triplets)))}.values())
