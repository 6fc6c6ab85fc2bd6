"""What a run page compares: one model at several stages of its training, on the same held-out images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from r1sgg_cli.data.predictions import Predictions
from r1sgg_cli.metrics.background import Background, NamedSimilarity
from r1sgg_cli.metrics.comparison import compare_means
from r1sgg_cli.metrics.evaluation import Evaluation, evaluate
from r1sgg_cli.metrics.ranking import GraphScores
from r1sgg_cli.metrics.resampling import CONFIDENCE, FEW_IMAGES


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """The model at one point of its training: its answers on the held-out images and their numbers."""

    name: str
    """Such as `"after SFT"`."""
    predictions: Predictions
    evaluation: Evaluation


def evaluate_predictions(
    predictions: Predictions, num_resamples: int = 0, similarity: NamedSimilarity | None = None
) -> Evaluation:
    """The numbers of a predictions file, with intervals where resamples are asked for."""
    images = predictions.images
    background = Background(
        failures=[image.failure for image in images],
        defects=[image.defects for image in images],
        training=predictions.training,
        task=predictions.provenance.get("task"),
        similarity=similarity,
    )
    return evaluate(
        [image.ground_truth for image in images],
        [image.prediction for image in images],
        predictions.vocabulary.predicates,
        [GraphScores(image.object_scores, image.triplet_scores) for image in images],
        background,
        num_resamples,
    )


def evaluated_stage(name: str, predictions: Predictions) -> Stage:
    """A stage from its predictions, with their numbers computed."""
    return Stage(name, predictions, evaluate_predictions(predictions))


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of the headline table."""

    name: str
    metric: str
    """Name of the `Evaluation`'s metric; where it has a K, all relationships count."""
    symbol: str = ""
    unit: Literal["%", ""] = "%"
    """`"%"`: the value is a fraction and is shown as per cent."""
    better: Literal["higher", "lower", ""] = "higher"


RECALL = Measure("triplet recall", "triplet_recall", "R@all")
HEADLINE = (
    Measure("failure rate", "failure_rate", better="lower"),
    Measure("box precision", "box_ap50", "AP@50"),
    RECALL,
    Measure("mean recall", "mean_recall", "mR@all"),
    Measure("triplet precision", "triplet_precision", "P@all"),
    Measure("relationships per image", "relationships_per_image", unit="", better=""),
)
"""What a run is judged by, in the order of the table."""


@dataclass(frozen=True, slots=True)
class Gain:
    """The change of triplet recall between two stages, with its paired-bootstrap interval."""

    before: str
    after: str
    """Names of the two stages."""
    difference: float
    low: float
    high: float
    num_images: int
    """Images that count, those with an annotated relationship."""
    confidence: float = CONFIDENCE

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out zero, and images are enough to rely on it."""
        return self.num_images >= FEW_IMAGES and (self.low > 0 or self.high < 0)


def recall_gain(stages: Sequence[Stage], before: str, after: str) -> Gain:
    """The gain in triplet recall (all relationships of an answer) from stage `before` to stage `after`."""
    recalls = {stage.name: stage.evaluation.triplet_recall_per_image for stage in stages}
    interval = compare_means(recalls[before], recalls[after])
    return Gain(before, after, *interval, num_images=int((recalls[before] >= 0).sum()))
