"""All numbers of one model on one split, each with how it is counted: the protocol `standard`.

Decisions. Every image of the split counts, and one without a readable graph predicts nothing. Predicted relationships
rank by their scores, and without scores in the order of the answer. Recall exists twice: without a graph constraint (a
pair of objects may carry several predicates; the field's ng-R), and with one (the first predicate of a pair alone
counts; the field's R). "Mean recall" exists twice because the field does both: over the predicates that are annotated
in this split, and over the whole vocabulary with absent ones as 0. Every number can have a bootstrap interval over
images, and all are resampled alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from r1sgg_cli.metrics.answer_numbers import defect_numbers, failure_numbers
from r1sgg_cli.metrics.background import NOTHING_KNOWN, Background
from r1sgg_cli.metrics.cuts import CUTS
from r1sgg_cli.metrics.metric import Cut, Metric, finite
from r1sgg_cli.metrics.number import measured
from r1sgg_cli.metrics.predicates import PredicateCount
from r1sgg_cli.metrics.ranking import UNSCORED, GraphScores, Ranking, ranking_of
from r1sgg_cli.metrics.recall import recall_per_image
from r1sgg_cli.metrics.resampling import NUM_RESAMPLES, SEED, few_images
from r1sgg_cli.metrics.scored_split import ScoredSplit
from r1sgg_cli.metrics.setting import GIVEN, GraphSetting, setting_of
from r1sgg_cli.scene_graph.graph import SceneGraph

__all__ = ["CUTS", "HEADLINE", "NUM_RESAMPLES", "Background", "Evaluation", "Metric", "PredicateCount", "evaluate"]

HEADLINE: tuple[tuple[str, Cut], ...] = (
    ("failure_rate", None),
    ("box_ap50", None),
    ("box_ap", None),
    ("object_f1", None),
    ("triplet_recall", None),
    ("graph_constrained_recall", 50),
    ("graph_constrained_recall", 100),
    ("mean_recall", None),
    ("graph_constrained_mean_recall", 50),
    ("graph_constrained_mean_recall", 100),
    ("zero_shot_recall", None),
    ("recall_f1", None),
    ("triplet_precision", None),
    ("triplet_f1", None),
    ("pair_recall", None),
)
"""Name and K of the numbers by which models are compared; those that are not known are left out."""

INTERVALS = (
    "95 %: resamples of the images (numpy's default generator, seed {}), moved to the number; of AP and AP50 mirrored "
    "at it; of rates of images Wilson's"
)
"""What holds for the intervals of a file of numbers."""

_PROTOCOL = (
    "A hit: equal names and predicate, IoU ≥ 0.5 on both boxes (x2 − x1, no extra pixel), one-to-one. "
    "@ K: the first K relationships of an answer, {ranking}; without K, all of them. No graph constraint, but where a "
    "number is called so: there the first predicate of each pair of objects alone counts. "
    "Exact repeats are left out on both sides. {setting}: {given}."
)

_OF_OBJECTS = (
    "A hit: equal names and IoU ≥ 0.5 (x2 − x1, no extra pixel), one-to-one. Every predicted object counts. "
    "Detection: {given}."
)


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The numbers of one model on one split."""

    num_images: int
    metrics: tuple[Metric, ...]
    triplet_recall_per_image: NDArray[np.float64]
    """All predicted relationships, in the order of the images; NaN for an image without annotated ones, and where
    none were asked for."""
    recall_per_predicate: Mapping[str, float]
    """All predicted relationships; NaN for a predicate that is not annotated here."""
    ranking: Ranking
    predicates: tuple[PredicateCount, ...] = ()
    """Those of `recall_per_predicate`, with counts."""
    setting: GraphSetting = "SGDet"
    num_resamples: int = 0
    left_out: tuple[str, ...] = ()
    """What could not be computed, and why."""
    recall_per_image: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """By which images are told apart: `triplet_recall_per_image`, or where objects alone were asked for, theirs."""
    _by_name: dict[tuple[str, Cut], Metric] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._by_name.update({(metric.name, metric.k): metric for metric in self.metrics})

    @property
    def protocol(self) -> str:
        """What counts as a hit, and which relationships are the first K."""
        if self.setting == "Detection":
            return _OF_OBJECTS.format(given=GIVEN[self.setting])
        return _PROTOCOL.format(ranking=self.ranking.of_triplets, setting=self.setting, given=GIVEN[self.setting])

    @property
    def caution(self) -> str | None:
        """What is to be said of the intervals of few images; None where there are none or enough images."""
        return few_images(self.num_images) if self.num_resamples else None

    @property
    def found(self) -> Literal["relationships", "objects"]:
        """What `recall_per_image` is the recall of."""
        return "objects" if self.setting == "Detection" else "relationships"

    @property
    def headline(self) -> tuple[Metric, ...]:
        """The numbers of `HEADLINE` that are known."""
        return tuple(self._by_name[key] for key in HEADLINE if key in self._by_name)

    def metric(self, name: str, k: Cut = None) -> Metric:
        """The metric itself. Raises `KeyError`."""
        return self._by_name[name, k]

    def value(self, name: str, k: Cut = None) -> float:
        """The value of a metric; NaN where there was nothing to average. Raises `KeyError`."""
        return self._by_name[name, k].value

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; what is NaN here is null there."""
        return {
            "num_images": self.num_images,
            "protocol": self.protocol,
            "setting": self.setting,
            "ranking": self.ranking._asdict(),
            "num_resamples": self.num_resamples,
            "intervals": INTERVALS.format(SEED) if self.num_resamples else None,
            "k": "the first k relationships of an answer count; annotated: as many as its image has; null: all",
            "caution": self.caution,
            "left_out": list(self.left_out),
            "metrics": [metric.to_json() for metric in self.metrics],
            "recall_per_predicate": {name: finite(value) for name, value in self.recall_per_predicate.items()},
            "predicates": [each.to_json() for each in self.predicates],
            "triplet_recall_per_image": [finite(value) for value in self.triplet_recall_per_image.tolist()],
        }


def evaluate(
    ground_truths: Sequence[SceneGraph],
    predictions: Sequence[SceneGraph | None],
    predicates: Sequence[str],
    scores: Sequence[GraphScores] | None = None,
    background: Background = NOTHING_KNOWN,
    num_resamples: int = 0,
) -> Evaluation:
    """Score the images of a split; graph i of both is the same image, None where no graph could be read.

    `predicates` are those of the vocabulary, empty for an open one; `scores` are those of the predictions. AP depends
    on the order of the images where boxes score the same. Intervals are computed where `num_resamples` is not 0.
    """
    if len(ground_truths) != len(predictions):
        raise ValueError(f"{len(ground_truths)} ground truths, but {len(predictions)} predictions")
    scores = [UNSCORED] * len(predictions) if scores is None else scores
    ranking = ranking_of(predictions, scores)
    setting = setting_of(background.task)
    split = ScoredSplit(ground_truths, predictions, predicates, scores)
    numbers = [
        *failure_numbers([graph is None for graph in predictions], background.failures),
        *(defect_numbers(background.defects, setting) if background.defects is not None else ()),
        *split.numbers(ranking, setting, background),
    ]
    metrics = measured(numbers, split.boxes, len(predictions), num_resamples)
    are_asked = setting != "Detection"
    counts = split.counts(background.training) if are_asked else ()
    recall = recall_per_image(split.annotated, split.hits.at[None][0])
    return Evaluation(
        len(predictions),
        metrics,
        recall if are_asked else np.full(len(predictions), np.nan),
        {each.name: each.recall for each in counts},
        ranking,
        counts,
        setting,
        num_resamples,
        split.left_out(background.training) if are_asked else (),
        recall if are_asked else split.object_recall_per_image(),
    )
