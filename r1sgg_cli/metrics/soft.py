"""Triplet recall when labels count by how alike they mean, for answers in words that the data set does not use.

An annotated and a predicted triplet that overlap with IoU of at least 0.5 at both ends are worth the product of the
similarities of their subjects, predicates and objects. Within an image they are paired off one-to-one so that the
sum is largest. With the similarity `exact` that is the triplet recall.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from r1sgg_cli.metrics.flat import FlatGraphs, Integers
from r1sgg_cli.metrics.pairs import JoinedPairs, end_overlaps, object_overlaps
from r1sgg_cli.metrics.statistic import shares
from r1sgg_cli.scene_graph.similarity import Similarity


def soft_recall_per_image(
    annotated: FlatGraphs,
    predicted: FlatGraphs,
    labels: tuple[Sequence[str], Sequence[str]],
    similarity: Similarity,
) -> NDArray[np.float64]:
    """Worth of the annotated triplets found / annotated, shape (images,); NaN for an image without any.

    `labels` are the names and the predicates by the numbers that the graphs have for them.
    """
    ours, theirs = (JoinedPairs(side.triplet_image, side.subject, side.object) for side in (annotated, predicted))
    rows, columns = end_overlaps(ours, theirs, object_overlaps(annotated, predicted))
    names, predicates = labels
    worth = np.ones(len(rows))
    for table, truths, answers in (
        (names, annotated.object_label[annotated.subject], predicted.object_label[predicted.subject]),
        (predicates, annotated.predicate, predicted.predicate),
        (names, annotated.object_label[annotated.object], predicted.object_label[predicted.object]),
    ):
        worth *= _similarities(truths[rows], answers[columns], table, similarity)
    counts = np.bincount(annotated.triplet_image, minlength=annotated.num_images)
    sums = _best_sums(annotated.triplet_image[rows], rows, columns, worth, annotated.num_images)
    return shares(sums, counts)


def _similarities(
    truths: Integers, answers: Integers, labels: Sequence[str], similarity: Similarity
) -> NDArray[np.float64]:
    """Similarity of each two labels; each different two are asked about once."""
    pairs, places = np.unique(np.stack([truths, answers], axis=1), axis=0, return_inverse=True)
    asked = np.array([similarity(labels[a], labels[b]) for a, b in pairs.tolist()], dtype=np.float64)
    return asked[places.reshape(-1)] if len(asked) else np.empty(0)


def _best_sums(
    images: Integers, rows: Integers, columns: Integers, worth: NDArray[np.float64], num_images: int
) -> NDArray[np.float64]:
    """The largest sum of each image when no row and no column is used twice."""
    sums = np.zeros(num_images)
    order = np.argsort(images, kind="stable")
    edges = np.searchsorted(images[order], np.arange(num_images + 1))
    for image in np.unique(images).tolist():
        part = order[edges[image] : edges[image + 1]]
        (_, row), (_, column) = (np.unique(side[part], return_inverse=True) for side in (rows, columns))
        table = np.zeros((row.max() + 1, column.max() + 1))
        table[row, column] = worth[part]
        sums[image] = table[linear_sum_assignment(table, maximize=True)].sum()
    return sums
