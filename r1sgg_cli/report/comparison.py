"""Runs on the same images, each compared with the first: numbers, predicates, images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from r1sgg_cli.metrics.comparison import ImageCounts, NumberDifference, compare_metrics, count_images
from r1sgg_cli.metrics.flat import LabelTable, flatten
from r1sgg_cli.metrics.predicate_comparison import PredicateDifference, compare_predicates
from r1sgg_cli.metrics.triplets import triplet_candidates
from r1sgg_cli.report.stages import Stage

OF_TRAINING = ("zero-shot", "groups", "open vocabulary")
"""Sections of numbers that depend on what training showed."""
OTHER_TRAINING = (
    "numbers of what training showed: the two runs do not name the same training split; `--training DATASET` names one "
    "for both"
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One run against the first."""

    first: str
    other: str
    """The runs' names."""
    num_images: int
    numbers: tuple[NumberDifference, ...]
    headline: tuple[NumberDifference, ...]
    """Those by which models are compared."""
    predicates: tuple[PredicateDifference, ...]
    """All predicted relationships counted, what differs most surely first."""
    images: ImageCounts
    """By recall of relationships, all predicted ones counted."""
    left_out: tuple[str, ...] = ()
    """What could not be compared, and why."""

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; what is NaN here is null there."""
        return {
            "first": self.first,
            "other": self.other,
            "num_images": self.num_images,
            "numbers": [number.to_json() for number in self.numbers],
            "predicates": [predicate.to_json() for predicate in self.predicates],
            "images": self.images._asdict(),
            "left_out": list(self.left_out),
        }


def compare_stages(stages: Sequence[Stage]) -> tuple[Comparison, ...]:
    """Every run but the first against the first; they are of the same images, as `insist_on_same_images` has it."""
    first = stages[0]
    names, predicates = LabelTable(), LabelTable()
    annotated = flatten([image.ground_truth for image in first.predictions.images], names, predicates)
    graphs = [[image.prediction for image in stage.predictions.images] for stage in stages]
    hits = [triplet_candidates(annotated, flatten(each, names, predicates)).hits()[0] for each in graphs]
    return tuple(
        _comparison(first, stage, compare_predicates(annotated, (hits[0], hit_rows), predicates))
        for stage, hit_rows in zip(stages[1:], hits[1:], strict=True)
    )


def _comparison(first: Stage, other: Stage, predicates: tuple[PredicateDifference, ...]) -> Comparison:
    numbers = compare_metrics(first.evaluation.metrics, other.evaluation.metrics)
    has_same_training = first.predictions.training == other.predictions.training
    if not has_same_training:
        numbers = tuple(number for number in numbers if number.metric.section not in OF_TRAINING)
    leading = {(metric.name, metric.k) for metric in first.evaluation.headline}
    return Comparison(
        first.name,
        other.name,
        first.evaluation.num_images,
        numbers,
        tuple(number for number in numbers if (number.metric.name, number.metric.k) in leading),
        predicates,
        count_images(first.evaluation.triplet_recall_per_image, other.evaluation.triplet_recall_per_image),
        first.evaluation.left_out if has_same_training else (OTHER_TRAINING,),
    )
