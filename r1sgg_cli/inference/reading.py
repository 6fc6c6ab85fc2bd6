"""One text of a model → its graph: parsed, in pixels of the original image, its labels mapped, with scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from r1sgg_cli.inference.answers import Answer, Sample
from r1sgg_cli.inference.ground_truth import ImageTruth
from r1sgg_cli.inference.label_mapping import LabelMapping
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.parse import ParseError, parse_answer
from r1sgg_cli.scene_graph.scores import Scores, scores_from_logprobs
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

if TYPE_CHECKING:  # it imports pydantic, which takes longer than anything else here
    from r1sgg_cli.config.schema import Task


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What one text says about its image."""

    graph: SceneGraph | None
    """In pixels of the original image; None exactly where `failure` says why."""
    failure: str | None = None
    defects: Mapping[str, int] | None = None
    object_scores: Scores | None = None
    """One per object of the graph; None where the engine gave no probabilities."""
    triplet_scores: Scores | None = None


class Reader:
    """How the answers of a run are read."""

    def __init__(self, vocabulary: Vocabulary, mapping: LabelMapping, task: Task = "sgg") -> None:
        self.names, self.predicates = frozenset(vocabulary.objects), frozenset(vocabulary.predicates)
        self.mapping = mapping
        self.task = task

    def read(self, sample: Sample, answer: Answer, truth: ImageTruth) -> Reading:
        """The text as a graph; objects that were given (`cls`) are those of the ground truth."""
        given = truth.graph if self.task == "cls" else None
        try:
            parsed = parse_answer(sample.text, answer.box_space_wh, answer.box_origin, given)
        except ParseError as error:
            return Reading(None, error.kind)
        defects = Counter(parsed.defects)
        if self.task == "det":
            del defects["missing_relationships"]  # none were asked for
        are_given = given is not None
        object_scores, triplet_scores = _scores(parsed.graph, sample, defects, objects_are_given=are_given)
        graph, mapped = self.mapping.apply(parsed.graph.rescaled(truth.image_wh), objects_are_given=are_given)
        defects += mapped
        defects += self.strangers(graph)
        return Reading(graph, None, dict(defects), object_scores, triplet_scores)

    def strangers(self, graph: SceneGraph) -> Counter[str]:
        """How many names of the graph are not in the vocabulary; given objects (`cls`) are not the model's."""
        found: Counter[str] = Counter()
        if self.names and self.task != "cls" and not self.names.issuperset(graph.names):
            found["out_of_vocabulary_object"] = sum(name not in self.names for name in graph.names)
        if self.predicates and (num := sum(t.predicate not in self.predicates for t in graph.triplets)):
            found["out_of_vocabulary_predicate"] = num
        return found


def _scores(
    graph: SceneGraph, sample: Sample, defects: Counter[str], *, objects_are_given: bool
) -> tuple[Scores | None, Scores | None]:
    """Probabilities of each object's name, and of each triplet with its two names, as detectors rank.

    None without log-probabilities, and, counted, where they are not one for each: an image is ranked by all or by none.
    """
    objects = [0.0] * len(graph.names) if objects_are_given else sample.object_logprobs
    triplets = sample.triplet_logprobs
    if objects is None or triplets is None:
        return None, None
    if len(objects) != len(graph.names) or len(triplets) != len(graph.triplets):
        defects["scores_do_not_fit"] += 1
        return None, None
    scores = scores_from_logprobs(graph, objects, triplets)
    if scores is None:
        defects["scores_incomplete"] += 1
        return None, None
    return scores
