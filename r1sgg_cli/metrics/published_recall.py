"""The recalls that the published evaluator prints, from its hits: means over images, over predicates, and pooled."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from r1sgg_cli.metrics.flat import FlatGraphs, Mask
from r1sgg_cli.metrics.metric import Averaging, Metric
from r1sgg_cli.metrics.published_hits import PublishedHits
from r1sgg_cli.metrics.recall import PredicateRecall, recall_per_image

CUTS = (20, 50, 100)
DIGITS = 4
"""To which the recall of a predicate is rounded before the mean is taken, in "ngR" and its kin."""

_ANY_PREDICATE = "written first, then every other predicate of the pairs written about, up to 100: guesses count"


class PublishedRecall(NamedTuple):
    """Values by their printed names, as fractions, and what they are the means of."""

    metrics: list[Metric]
    per_predicate: dict[str, NDArray[np.float64]]
    """NaN for a predicate that is not annotated."""
    per_image: dict[str, NDArray[np.float64]]
    """NaN for an image that does not count."""


def recall_at_cuts(
    annotated: FlatGraphs, hits: PublishedHits, is_counted: Mask, num_predicates: int, is_unseen: Mask | None
) -> PublishedRecall:
    """R, ng-R, zR, ng-zR, mR and ng-mR at every K; `is_counted` of images, `is_unseen` of annotated relationships.

    Without `is_unseen` there are no zR and ng-zR.
    """
    recall = PublishedRecall([], {}, {})
    counted = is_counted[annotated.triplet_image]
    num_shown, num_counted = (len(np.unique(annotated.triplet_image[rows])) for rows in (slice(None), counted))
    skipped = f"{num_shown - num_counted} with relationships skipped: no answer, or one that relates nothing"
    images = f"mean over {num_counted} images ({skipped}); 1-pixel IoU"
    kinds = {"": (hits.in_order, "first K as written"), "ng-": (hits.among_cells, f"first K: {_ANY_PREDICATE}")}
    for kind, (places, first) in kinds.items():
        _add_per_image(recall, f"{kind}R", places, annotated, counted, f"{first}; {images}")
    if is_unseen is not None:
        unseen = counted & is_unseen
        which = f"mean over {len(np.unique(annotated.triplet_image[unseen]))} images with an unseen triplet"
        for kind, (places, _) in kinds.items():
            _add_per_image(recall, f"{kind}zR", places, annotated, unseen, f"as {kind}R, of unseen triplets; {which}")
    for kind, (places, _) in kinds.items():
        how = f"as {kind}R per predicate, then over all {num_predicates} of the vocabulary, absent ones 0"
        _add_per_predicate(recall, f"{kind}mR", places, annotated, counted, num_predicates, how)
    return recall


def recall_without_cut(annotated: FlatGraphs, hits: PublishedHits, num_predicates: int) -> PublishedRecall:
    """The four lines below the table: whole ngR, whole mean of ngR, ngR per image, mean ngR per image."""
    rows = np.flatnonzero(hits.anywhere)
    counts, found = (
        np.bincount(predicates, minlength=num_predicates)
        for predicates in (annotated.predicate, annotated.predicate[rows])
    )
    pooled = np.divide(found, counts, out=np.full(num_predicates, np.nan), where=counts > 0).round(DIGITS)
    per_image = recall_per_image(annotated, rows)
    averaged = PredicateRecall(annotated).values(rows, num_predicates).round(DIGITS)
    num_present, num_images = int((counts > 0).sum()), int((~np.isnan(per_image)).sum())
    present = f"then over {num_present} annotated predicates, each rounded to {DIGITS} digits"
    images, each = (
        f"mean over all {num_images} images with a relationship",
        f"per predicate mean over images, {present}",
    )
    every = "every relationship written, no K; no extra pixel"
    num_all = len(hits.anywhere)
    metrics = [
        _metric("whole ngR", _mean(hits.anywhere), "pooled", num_all, f"hits / {num_all} annotated, pooled; {every}"),
        _metric("whole mean of ngR", _mean(pooled), "predicates", num_present, f"the same per predicate, {present}"),
        _metric("ngR per image", _mean(per_image), "images", num_images, f"{images}; {every}"),
        _metric("mean ngR per image", _mean(averaged), "images of predicates", num_present, f"{each}; {every}"),
    ]
    per_predicate = {"whole mean of ngR": pooled, "mean ngR per image": averaged}
    return PublishedRecall(metrics, per_predicate, {"ngR per image": per_image})


def _add_per_image(
    recall: PublishedRecall, name: str, places: NDArray[np.int64], annotated: FlatGraphs, rows: Mask, counted: str
) -> None:
    truth = annotated.with_triplets(rows)
    for cut in CUTS:
        values = recall_per_image(truth, np.flatnonzero(places[rows] < cut))
        recall.per_image[f"{name} @ {cut}"] = values
        size = int((~np.isnan(values)).sum())
        recall.metrics.append(_metric(name, _mean(values), "images", size, counted, cut))


def _add_per_predicate(
    recall: PublishedRecall,
    name: str,
    places: NDArray[np.int64],
    annotated: FlatGraphs,
    rows: Mask,
    num_predicates: int,
    counted: str,
) -> None:
    predicates = PredicateRecall(annotated.with_triplets(rows))
    for cut in CUTS:
        values = predicates.values(np.flatnonzero(places[rows] < cut), num_predicates)
        recall.per_predicate[f"{name} @ {cut}"] = values
        value = _mean(np.nan_to_num(values))
        recall.metrics.append(_metric(name, value, "images of predicates", num_predicates, counted, cut))


def _metric(name: str, value: float, averaging: Averaging, size: int, counted: str, k: int | None = None) -> Metric:
    """With a K, boxes are compared with the extra pixel."""
    iou = f"≥ 0.5, x2 − x1{'' if k is None else ' + 1'}"
    return Metric(name, value, counted, k, constraint="none", averaging=averaging, iou=iou, denominator=size)


def _mean(values: NDArray[np.float64] | Mask) -> float:
    """Over what is not NaN; NaN where nothing is left."""
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else math.nan
