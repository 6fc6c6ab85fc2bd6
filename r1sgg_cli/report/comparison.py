"""Runs on the same images, each compared with the first: numbers, predicates, images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from r1sgg_cli.metrics.comparison import ImageCounts, NumberDifference, compare_metrics, count_images
from r1sgg_cli.metrics.flat import LabelTable, flatten
from r1sgg_cli.metrics.metric import Metric
from r1sgg_cli.metrics.predicate_comparison import PredicateDifference, compare_predicates
from r1sgg_cli.metrics.triplets import triplet_candidates
from r1sgg_cli.report.stages import Stage

OF_TRAINING = ("zero-shot", "groups", "open vocabulary")
"""Sections of numbers that depend on what training showed."""
OTHER_TRAINING = (
    "numbers of what training showed: the two runs do not name the same training split; `--training DATASET` names one "
    "for both"
)


@dataclass(frozen=True, slots=True, kw_only=True)
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
    """By recall of what was asked for, all predicted ones counted."""
    protocols: tuple[str, ...]
    """What counts as a hit and what ranks: one line where both runs are counted alike, else one for each by name."""
    found: Literal["relationships", "objects"] = "relationships"
    """What `images` goes by the recall of."""
    left_out: tuple[str, ...] = ()
    """What could not be compared, and why."""

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; what is NaN here is null there."""
        return {
            "first": self.first,
            "other": self.other,
            "num_images": self.num_images,
            "protocols": list(self.protocols),
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
    ours, theirs = first.evaluation, other.evaluation
    numbers = compare_metrics(ours.metrics, theirs.metrics, ours.num_images)
    unlike = {
        reason: is_ranked
        for reason, is_ranked in _ranked_unlike(first, other).items()
        if any(is_ranked(number.metric) for number in numbers)
    }
    numbers = tuple(number for number in numbers if not any(is_ranked(number.metric) for is_ranked in unlike.values()))
    has_same_training = first.predictions.training == other.predictions.training
    if not has_same_training:
        numbers = tuple(number for number in numbers if number.metric.section not in OF_TRAINING)
    leading = {(metric.name, metric.k) for metric in ours.headline}
    return Comparison(
        first=first.name,
        other=other.name,
        num_images=ours.num_images,
        numbers=numbers,
        headline=tuple(number for number in numbers if (number.metric.name, number.metric.k) in leading),
        predicates=predicates if ours.found == "relationships" else (),
        images=count_images(ours.recall_per_image, theirs.recall_per_image),
        protocols=(ours.protocol,)
        if ours.protocol == theirs.protocol
        else tuple(f"{stage.name}: {stage.evaluation.protocol}" for stage in (first, other)),
        found=ours.found,
        left_out=(*unlike, *(ours.left_out if has_same_training else (OTHER_TRAINING,))),
    )


def _ranked_unlike(first: Stage, other: Stage) -> dict[str, Callable[[Metric], bool]]:
    """What cannot be compared because the runs are ranked by different things: the reason, and whether a number is it.

    Were it compared, one run could be called better of which nothing but the ranking differs.
    """
    here, there = first.evaluation.ranking, other.evaluation.ranking
    unlike: dict[str, Callable[[Metric], bool]] = {}
    for what, are_alike, phrases, is_ranked in (
        (
            "AP and AR: boxes",
            here.ranks_boxes_like(there),
            (here.of_boxes, there.of_boxes),
            _ranks_boxes,
        ),
        (
            "numbers at K and under the graph constraint: relationships",
            here.ranks_triplets_like(there),
            tuple(r.of_triplets if r.num_triplet_scored else "in the order of the answer" for r in (here, there)),
            _ranks_triplets,
        ),
    ):
        if not are_alike:
            ranked = "; ".join(f"{s.name}: {phrase}" for s, phrase in zip((first, other), phrases, strict=True))
            unlike[f"{what} are ranked by different things ({ranked}); compare runs that both have scores, or none"] = (
                is_ranked
            )
    return unlike


def _ranks_boxes(metric: Metric) -> bool:
    return metric.averaging == "classes"


def _ranks_triplets(metric: Metric) -> bool:
    return metric.k is not None or metric.constraint == "graph"
