"""All numbers of one model on one split, each with how it is counted.

Decisions. Every image of the split counts, and one without a readable graph predicts nothing. Predicted relationships
rank by their scores, and without scores in the order of the answer. There is no graph constraint: a pair of objects may
carry several predicates. "Mean recall" exists twice because the field does both: over the predicates that
are annotated in this split, and over the whole vocabulary with absent ones as 0.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r1sgg_cli.metrics.detection import box_ap
from r1sgg_cli.metrics.flat import FlatGraphs, LabelTable, flatten
from r1sgg_cli.metrics.objects import object_hits
from r1sgg_cli.metrics.one_to_one import Pairs
from r1sgg_cli.metrics.ranking import UNSCORED, GraphScores, Ranking, ranking_of
from r1sgg_cli.metrics.recall import recall_per_image, recall_per_predicate
from r1sgg_cli.metrics.significance import bootstrap_mean
from r1sgg_cli.metrics.triplets import triplet_candidates
from r1sgg_cli.scene_graph.graph import SceneGraph

CUTS: tuple[int | None, ...] = (None, 20, 50, 100)
"""The K of R@K; None keeps every predicted relationship."""

_PROTOCOL = (
    "A hit: equal names and predicate, IoU ≥ 0.5 on both boxes (x2 − x1, no extra pixel), one-to-one. "
    "@ K: the first K relationships of an answer, {ranking}; without K, all of them. No graph constraint. "
    "Exact repeats are left out on both sides."
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One number; NaN where there is nothing to average."""

    name: str
    value: float
    counted: str
    """Averaging and denominator in a phrase."""
    k: int | None = None
    """How many relationships of each answer count, None for all."""
    interval: tuple[float, float] | None = None
    """95 % bootstrap interval over images."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The numbers of one model on one split."""

    num_images: int
    metrics: tuple[Metric, ...]
    triplet_recall_per_image: NDArray[np.float64]
    """All predicted relationships, in the order of the images; NaN for an image without annotated ones."""
    recall_per_predicate: Mapping[str, float]
    """All predicted relationships; NaN for a predicate that is not annotated here."""
    ranking: Ranking

    @property
    def protocol(self) -> str:
        """What counts as a hit, and which relationships are the first K."""
        return _PROTOCOL.format(ranking=self.ranking.of_triplets)

    def value(self, name: str, k: int | None = None) -> float:
        """The value of a metric; NaN where there was nothing to average. Raises `KeyError`."""
        return {(metric.name, metric.k): metric.value for metric in self.metrics}[name, k]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; what is NaN here is null there."""
        return {
            "num_images": self.num_images,
            "protocol": self.protocol,
            "ranking": self.ranking._asdict(),
            "metrics": [
                {
                    "name": metric.name,
                    "k": metric.k,
                    "value": _finite(metric.value),
                    "interval": metric.interval,
                    "counted": metric.counted,
                }
                for metric in self.metrics
            ],
            "recall_per_predicate": {name: _finite(value) for name, value in self.recall_per_predicate.items()},
            "triplet_recall_per_image": [_finite(value) for value in self.triplet_recall_per_image.tolist()],
        }


def evaluate(
    ground_truths: Sequence[SceneGraph],
    predictions: Sequence[SceneGraph | None],
    predicates: Sequence[str],
    scores: Sequence[GraphScores] | None = None,
) -> Evaluation:
    """Score the images of a split; graph i of both is the same image, None where no graph could be read.

    `predicates` are those of the vocabulary, empty for an open one; `scores` are those of the predictions. AP depends
    on the order of the images where boxes score the same.
    """
    if len(ground_truths) != len(predictions):
        raise ValueError(f"{len(ground_truths)} ground truths, but {len(predictions)} predictions")
    names, table = LabelTable(), LabelTable((name, number) for number, name in enumerate(dict.fromkeys(predicates)))
    num_vocabulary = len(table)
    scores = [UNSCORED] * len(predictions) if scores is None else scores
    ranking = ranking_of(predictions, scores)
    annotated, predicted = flatten(ground_truths, names, table), flatten(predictions, names, table, scores)
    candidates = triplet_candidates(annotated, predicted)
    hits = {cut: candidates.hits(cut) for cut in CUTS}
    per_image = recall_per_image(annotated, hits[None][0])
    per_predicate = recall_per_predicate(annotated, hits[None][0], len(table))
    num_failures = sum(graph is None for graph in predictions)
    metrics = (
        Metric("failure_rate", _ratio(num_failures, len(predictions)), "images without a readable graph / all images"),
        *_box_metrics(annotated, predicted, ranking),
        *_recall_metrics(annotated, hits, len(table), num_vocabulary),
        *_precision_metrics(annotated, predicted, hits[None]),
        *_count_metrics(annotated, predicted),
    )
    shown = {
        name: float(per_predicate[number])
        for name, number in table.items()
        if number < num_vocabulary or not np.isnan(per_predicate[number])
    }
    return Evaluation(len(predictions), metrics, per_image, shown, ranking)


def _box_metrics(annotated: FlatGraphs, predicted: FlatGraphs, ranking: Ranking) -> list[Metric]:
    ap, ap50 = box_ap(annotated, predicted)
    num_hits = len(object_hits(annotated, predicted)[0])
    coco = f"mean over annotated classes; {ranking.of_boxes}, 100 boxes per class and image"
    return [
        Metric("box_ap", ap, f"COCO, IoU 0.50:0.95; {coco}"),
        Metric("box_ap50", ap50, f"COCO, IoU 0.50; {coco}"),
        Metric("object_recall", _ratio(num_hits, len(annotated.object_image)), "object hits / annotated, pooled"),
        Metric("object_precision", _ratio(num_hits, len(predicted.object_image)), "object hits / predicted, pooled"),
    ]


def _recall_metrics(
    annotated: FlatGraphs, hits: Mapping[int | None, Pairs], num_predicates: int, num_vocabulary: int
) -> list[Metric]:
    metrics: list[Metric] = []
    num_images = len(np.unique(annotated.triplet_image))
    for cut, (rows, _) in hits.items():
        recall = recall_per_image(annotated, rows)
        counted = f"hits / annotated, mean over {num_images} images with a relationship"
        interval = bootstrap_mean(recall)[1:] if cut is None and num_images else None
        metrics.append(Metric("triplet_recall", _ratio(np.nansum(recall), num_images), counted, cut, interval))
    for cut, (rows, _) in hits.items():
        recall = recall_per_predicate(annotated, rows, num_predicates)
        present = recall[~np.isnan(recall)]
        counted = f"per predicate mean over its images, then over {len(present)} annotated predicates"
        metrics.append(Metric("mean_recall", _ratio(present.sum(), len(present)), counted, cut))
    if not num_vocabulary:
        return metrics
    for cut, (rows, _) in hits.items():
        recall = np.nan_to_num(recall_per_predicate(annotated, rows, num_predicates)[:num_vocabulary])
        counted = f"the same over all {num_vocabulary} predicates of the vocabulary, absent ones 0"
        metrics.append(Metric("mean_recall_vocabulary", float(recall.mean()), counted, cut))
    return metrics


def _precision_metrics(annotated: FlatGraphs, predicted: FlatGraphs, hits: Pairs) -> list[Metric]:
    num_hits, num_annotated, num_predicted = len(hits[0]), len(annotated.predicate), len(predicted.predicate)
    hits_of, annotated_of, predicted_of = (
        np.bincount(rows, minlength=annotated.num_images)
        for rows in (annotated.triplet_image[hits[0]], annotated.triplet_image, predicted.triplet_image)
    )
    says, shows = predicted_of > 0, annotated_of > 0
    precision = hits_of[says] / predicted_of[says]
    f1 = 2 * hits_of[shows] / (predicted_of + annotated_of)[shows]
    return [
        Metric("triplet_recall_pooled", _ratio(num_hits, num_annotated), "hits / annotated of all images"),
        Metric("triplet_precision", _ratio(num_hits, num_predicted), "hits / predicted of all images"),
        Metric("triplet_f1", _ratio(2 * num_hits, num_predicted + num_annotated), "of the two pooled numbers above"),
        Metric(
            "triplet_precision_per_image",
            _ratio(precision.sum(), len(precision)),
            f"hits / predicted, mean over {len(precision)} images that predict a relationship",
        ),
        Metric(
            "triplet_f1_per_image",
            _ratio(f1.sum(), len(f1)),
            f"2 · hits / (predicted + annotated), mean over {len(f1)} images with a relationship",
        ),
    ]


def _count_metrics(annotated: FlatGraphs, predicted: FlatGraphs) -> list[Metric]:
    num_images = annotated.num_images
    return [
        Metric("objects_per_image", _ratio(len(predicted.object_image), num_images), "predicted / all images"),
        Metric("relationships_per_image", _ratio(len(predicted.predicate), num_images), "predicted / all images"),
        Metric(
            "annotated_objects_per_image", _ratio(len(annotated.object_image), num_images), "annotated / all images"
        ),
        Metric(
            "annotated_relationships_per_image", _ratio(len(annotated.predicate), num_images), "annotated / all images"
        ),
    ]


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator else math.nan


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else value
