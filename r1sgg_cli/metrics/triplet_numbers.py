"""Numbers of relationships: recall and mean recall at every K with and without a graph constraint, and their kin."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from r1sgg_cli.metrics.answer_numbers import per_image
from r1sgg_cli.metrics.cuts import CUTS, first_of_pair, ranks_among, within
from r1sgg_cli.metrics.flat import FlatGraphs, Mask
from r1sgg_cli.metrics.metric import Constraint, Cut
from r1sgg_cli.metrics.number import Number
from r1sgg_cli.metrics.one_to_one import Pairs
from r1sgg_cli.metrics.recall import PredicateRecall, recall_per_image
from r1sgg_cli.metrics.statistic import Statistic, Values, harmonic_mean, mean_over_images, ratio, shares
from r1sgg_cli.metrics.triplets import TripletCandidates


class RankedHits(NamedTuple):
    """The hits among the first K of each answer, for every K."""

    constraint: Constraint
    at: dict[Cut, Pairs]


class RankedRecall(NamedTuple):
    """Recall of each predicate in each image by those hits, as `PredicateRecall.per_image` has it."""

    constraint: Constraint
    at: dict[Cut, csr_array]


def ranked_recall(predicates: PredicateRecall, hits: RankedHits) -> RankedRecall:
    """The table of every K; where the hits are the same, so is the table."""
    tables = {id(pairs): predicates.per_image(pairs[0]) for pairs in hits.at.values()}
    return RankedRecall(hits.constraint, {cut: tables[id(pairs)] for cut, pairs in hits.at.items()})


def ranked_hits(
    candidates: TripletCandidates, constraint: Constraint = "none", among: Mask | None = None
) -> RankedHits:
    """The hits at every K; `among` are the predicted triplets that count at all, None for all."""
    predicted = candidates.predicted
    ranks = predicted.rank
    if constraint == "graph" or among is not None:
        counts = np.ones(len(ranks), dtype=bool) if among is None else among
        ranks = ranks_among(predicted, counts & first_of_pair(predicted) if constraint == "graph" else counts)
    at: dict[Cut, Pairs] = {}
    known: dict[bytes, Pairs] = {}
    for cut in CUTS:
        mask = within(cut, ranks, candidates.annotated, predicted)
        key = mask.tobytes()
        if key not in known:  # few answers have more than 20 relationships: a larger K then changes nothing
            known[key] = candidates.hits(mask)
        at[cut] = known[key]
    return RankedHits(constraint, at)


def recall_numbers(
    annotated: FlatGraphs,
    hits: RankedHits,
    *,
    name: str = "triplet_recall",
    symbol: str = "R",
    section: str = "recall",
    asked: tuple[str, Mask] | None = None,
) -> list[Number]:
    """Recall at every K, mean over images; `asked` are the annotated triplets that count, and what they are."""
    what, mask = ("a relationship", None) if asked is None else asked
    numbers = []
    full, short = named_under(name, symbol, hits.constraint)
    recalls = {id(pairs): recall_per_image(annotated, pairs[0], mask) for pairs in hits.at.values()}
    for cut, pairs in hits.at.items():
        recall = recalls[id(pairs)]
        num_images = int(np.count_nonzero(~np.isnan(recall)))
        number = Number(
            name=full,
            statistic=mean_over_images(recall),
            counted=f"hits / annotated, mean over {num_images} images with {what}",
            averaging="images",
            denominator=num_images,
            section=section,
            symbol=short,
            k=cut,
            constraint=hits.constraint,
        )
        numbers.append(number)
    return numbers


def accuracy_numbers(annotated: FlatGraphs, hits: RankedHits) -> list[Number]:
    """A@K: hits among the annotated pairs alone, of all images together, as the scene-graph benchmark pools them."""
    name, symbol = named_under("pair_accuracy", "A", hits.constraint)
    truths = per_image(annotated.triplet_image, annotated)
    size = int(truths.sum())
    found = {id(p): per_image(annotated.triplet_image[p[0]], annotated) for p in hits.at.values()}
    return [
        Number(
            name=name,
            statistic=ratio(found[id(pairs)], truths),
            counted=f"hits in annotated pairs / {size} annotated of all images",
            averaging="pooled",
            denominator=size,
            section="pairs",
            symbol=symbol,
            k=cut,
            constraint=hits.constraint,
        )
        for cut, pairs in hits.at.items()
    ]


def mean_recall_numbers(
    predicates: PredicateRecall,
    recall: RankedRecall,
    num_vocabulary: int,
    *,
    prefix: str = "",
    section: str = "mean recall",
) -> list[Number]:
    """Mean recall at every K: over the predicates that are annotated, then over the vocabulary, absent ones 0."""
    name, symbol = named_under(f"{prefix}mean_recall", "mR", recall.constraint)
    in_vocabulary = predicates.predicates < num_vocabulary

    def at_every_k(name: str, of: Callable[[csr_array], Statistic], size: int, over: str) -> list[Number]:
        return [
            Number(
                name=name,
                statistic=of(table),
                counted=f"per predicate mean over its images, then over {over}",
                averaging="images of predicates",
                denominator=size,
                section=section,
                symbol=symbol,
                k=cut,
                constraint=recall.constraint,
            )
            for cut, table in recall.at.items()
        ]

    num_present = len(predicates.predicates)
    present = at_every_k(name, predicates.mean, num_present, f"{num_present} annotated predicates")
    if not num_vocabulary:
        return present
    over_vocabulary = partial(predicates.mean, rows=in_vocabulary, num_rows=num_vocabulary)
    whole = f"all {num_vocabulary} of the vocabulary, absent ones 0"
    return present + at_every_k(f"{name}_vocabulary", over_vocabulary, num_vocabulary, whole)


def f_numbers(recalls: Sequence[Number], mean_recalls: Sequence[Number]) -> list[Number]:
    """F@K of a recall and the mean recall over annotated predicates at the same K: their harmonic mean."""
    return [
        Number(
            name=recall.name.replace("triplet_recall", "recall").replace("recall", "recall_f1"),
            statistic=harmonic_mean(_statistic(recall), _statistic(mean)),
            counted="2 · R · mR / (R + mR) at the same K and constraint: R the mean over "
            f"{recall.denominator} images with a relationship, mR over {mean.denominator} annotated predicates",
            averaging="images of predicates",
            denominator=mean.denominator,
            section="mean recall",
            symbol=recall.symbol.replace("R", "F"),
            k=recall.k,
            constraint=recall.constraint,
        )
        for recall, mean in zip(recalls, mean_recalls, strict=False)
    ]


def precision_numbers(annotated: FlatGraphs, predicted: FlatGraphs, hits: Pairs) -> list[Number]:
    """Precision and F1 of all predicted relationships, pooled and per image."""
    hit, truths, answers = (
        per_image(images, annotated)
        for images in (annotated.triplet_image[hits[0]], annotated.triplet_image, predicted.triplet_image)
    )
    return _pooled_precision(hit, truths, answers) + _precision_per_image(hit, truths, answers)


def _pooled_precision(hit: Values, truths: Values, answers: Values) -> list[Number]:
    num_truths, num_answers = int(truths.sum()), int(answers.sum())
    both = f"({num_answers} predicted + {num_truths} annotated)"
    return [
        Number(
            name=name,
            statistic=ratio(top, bottom),
            counted=f"{counted} of all images",
            averaging="pooled",
            denominator=int(bottom.sum()),
            section="precision",
            symbol=symbol,
            constraint="none",
        )
        for name, symbol, top, bottom, counted in (
            ("triplet_recall_pooled", "ng-R", hit, truths, f"hits / {num_truths} annotated"),
            ("triplet_precision", "P", hit, answers, f"hits / {num_answers} predicted"),
            ("triplet_f1", "F1", 2 * hit, truths + answers, f"2 · hits / {both}"),
        )
    ]


def _precision_per_image(hit: Values, truths: Values, answers: Values) -> list[Number]:
    f1 = np.where(truths > 0, shares(2 * hit, truths + answers), np.nan)
    numbers = []
    for name, values, counted, images in (
        ("triplet_precision_per_image", shares(hit, answers), "hits / predicted", "that predict a relationship"),
        ("triplet_f1_per_image", f1, "2 · hits / (predicted + annotated)", "with a relationship"),
    ):
        num_images = int(np.count_nonzero(~np.isnan(values)))
        number = Number(
            name=name,
            statistic=mean_over_images(values),
            counted=f"{counted}, mean over {num_images} images {images}",
            averaging="images",
            denominator=num_images,
            section="precision",
            constraint="none",
        )
        numbers.append(number)
    return numbers


def named_under(name: str, symbol: str, constraint: Constraint) -> tuple[str, str]:
    """Name and symbol under a constraint: without one they are the plain name and the field's `ng-`."""
    if constraint == "graph":
        return f"graph_constrained_{name.removeprefix('triplet_')}", f"{symbol}@K"
    return name, f"ng-{symbol}@K"


def _statistic(number: Number) -> Statistic:
    assert isinstance(number.statistic, Statistic)
    return number.statistic
