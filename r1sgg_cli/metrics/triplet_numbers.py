"""Numbers of relationships: recall and mean recall at every K with and without a graph constraint, and their kin."""

from collections.abc import Sequence
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
from r1sgg_cli.metrics.statistic import Statistic, harmonic_mean, mean_over_images, ratio, shares
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
        counted = f"hits / annotated, mean over {num_images} images with {what}"
        numbers.append(
            Number(full, mean_over_images(recall), counted, "images", num_images, section, short, cut, hits.constraint)
        )
    return numbers


def accuracy_numbers(annotated: FlatGraphs, hits: RankedHits) -> list[Number]:
    """A@K: hits among the annotated pairs alone, of all images together, as the scene-graph benchmark pools them."""
    name, symbol = named_under("pair_accuracy", "A", hits.constraint)
    truths = per_image(annotated.triplet_image, annotated)
    size = int(truths.sum())
    found = {id(p): per_image(annotated.triplet_image[p[0]], annotated) for p in hits.at.values()}
    return [
        Number(
            name,
            ratio(found[id(pairs)], truths),
            f"hits in annotated pairs / {size} annotated of all images",
            *("pooled", size, "pairs", symbol, cut, hits.constraint),
        )
        for cut, pairs in hits.at.items()
    ]


def mean_recall_numbers(
    predicates: PredicateRecall,
    recall: RankedRecall,
    num_vocabulary: int,
    prefix: str = "",
    section: str = "mean recall",
) -> list[Number]:
    """Mean recall at every K: over the predicates that are annotated, then over the vocabulary, absent ones 0."""
    name, symbol = named_under(f"{prefix}mean_recall", "mR", recall.constraint)
    in_vocabulary = predicates.predicates < num_vocabulary
    num_present = len(predicates.predicates)
    present: list[Number] = []
    whole: list[Number] = []
    for cut, table in recall.at.items():
        each = "per predicate mean over its images, then over"
        for numbers, full, statistic, size, counted in (
            (present, name, predicates.mean(table), num_present, f"{num_present} annotated predicates"),
            (
                whole,
                f"{name}_vocabulary",
                predicates.mean(table, in_vocabulary, num_vocabulary),
                num_vocabulary,
                f"all {num_vocabulary} of the vocabulary, absent ones 0",
            ),
        ):
            numbers.append(
                Number(
                    *(full, statistic, f"{each} {counted}", "images of predicates", size),
                    *(section, symbol, cut, recall.constraint),
                )
            )
    return present + whole if num_vocabulary else present


def f_numbers(recalls: Sequence[Number], mean_recalls: Sequence[Number]) -> list[Number]:
    """F@K of a recall and the mean recall over annotated predicates at the same K: their harmonic mean."""
    return [
        Number(
            recall.name.replace("triplet_recall", "recall").replace("recall", "recall_f1"),
            harmonic_mean(_statistic(recall), _statistic(mean)),
            f"2 · R · mR / (R + mR) at the same K and constraint: R the mean over {recall.denominator} images with a "
            f"relationship, mR over {mean.denominator} annotated predicates",
            "images of predicates",
            mean.denominator,
            "mean recall",
            recall.symbol.replace("R", "F"),
            recall.k,
            recall.constraint,
        )
        for recall, mean in zip(recalls, mean_recalls, strict=False)
    ]


def precision_numbers(annotated: FlatGraphs, predicted: FlatGraphs, hits: Pairs) -> list[Number]:
    """Precision and F1 of all predicted relationships, pooled and per image."""
    hit, truths, answers = (
        per_image(images, annotated)
        for images in (annotated.triplet_image[hits[0]], annotated.triplet_image, predicted.triplet_image)
    )
    precision = shares(hit, answers)
    f1 = np.where(truths > 0, shares(2 * hit, truths + answers), np.nan)
    num_say, num_show = int((answers > 0).sum()), int((truths > 0).sum())
    num_truths, num_answers = int(truths.sum()), int(answers.sum())
    both = f"({num_answers} predicted + {num_truths} annotated)"
    pooled = [
        Number(name, ratio(top, bottom), counted, "pooled", int(bottom.sum()), "precision", symbol, None, "none")
        for name, symbol, top, bottom, counted in (
            ("triplet_recall_pooled", "ng-R", hit, truths, f"hits / {num_truths} annotated of all images"),
            ("triplet_precision", "P", hit, answers, f"hits / {num_answers} predicted of all images"),
            ("triplet_f1", "F1", 2 * hit, truths + answers, f"2 · hits / {both} of all images"),
        )
    ]
    says, shows = f"{num_say} images that predict a relationship", f"{num_show} images with a relationship"
    return pooled + [
        Number(name, mean_over_images(values), counted, "images", size, "precision", "", None, "none")
        for name, values, size, counted in (
            ("triplet_precision_per_image", precision, num_say, f"hits / predicted, mean over {says}"),
            ("triplet_f1_per_image", f1, num_show, f"2 · hits / (predicted + annotated), mean over {shows}"),
        )
    ]


def named_under(name: str, symbol: str, constraint: Constraint) -> tuple[str, str]:
    """Name and symbol under a constraint: without one they are the plain name and the field's `ng-`."""
    if constraint == "graph":
        return f"graph_constrained_{name.removeprefix('triplet_')}", f"{symbol}@K"
    return name, f"ng-{symbol}@K"


def _statistic(number: Number) -> Statistic:
    assert isinstance(number.statistic, Statistic)
    return number.statistic
