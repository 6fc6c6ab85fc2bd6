"""One-to-one matching of predicted and true objects, by name and box (Hungarian algorithm, as published)."""

from array import array
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from r1sgg_cli.scene_graph.boxes import box_pairs
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.similarity import Similarity

NAME_COST, GIOU_COST, L1_COST = 1.0, 2.0, 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """Matched pairs of objects, one entry of each array per pair; as many pairs as the smaller graph has objects."""

    predicted: NDArray[np.intp]
    """Indices into the prediction's objects."""
    true: NDArray[np.intp]
    """Indices into the ground truth's objects, each at most once."""
    similarity: NDArray[np.float64]
    """Of the two names, in [0, 1]."""
    iou: NDArray[np.float64]
    l1: NDArray[np.float64]
    """Sum of the four absolute differences of the boxes, as fractions of the image."""


def assign_objects(truth: SceneGraph, prediction: SceneGraph, similarity: Similarity) -> Matching:
    """The cheapest assignment of predicted to true objects; the two graphs may have their boxes in different spaces.

    A pair costs `1·(1 − similarity) + 2·(1 − GIoU) + 5·L1` on boxes as fractions of the image. Graphs that share their
    objects (`parse_answer` with `given`) are matched as they stand: between equal ones the costs cannot tell.
    """
    pairs = box_pairs(prediction.rescaled((1, 1)).boxes_xyxy, truth.rescaled((1, 1)).boxes_xyxy)
    alike = name_similarities(prediction.names, truth.names, similarity)
    cost = NAME_COST * (1.0 - alike) + GIOU_COST * (1.0 - pairs.giou) + L1_COST * pairs.l1
    shared = prediction.boxes_xyxy is truth.boxes_xyxy
    predicted, true = (np.arange(len(truth.ids)),) * 2 if shared else linear_sum_assignment(cost)
    chosen = predicted, true
    return Matching(predicted, true, alike[chosen], pairs.iou[chosen], pairs.l1[chosen])


def name_similarities(
    names: tuple[str, ...], true_names: tuple[str, ...], similarity: Similarity
) -> NDArray[np.float64]:
    """The similarity of every name with every true name, shape (N, M)."""
    rows = b"".join([_similarity_row(name, true_names, similarity) for name in names])
    return np.frombuffer(rows, dtype=np.float64).reshape(len(names), len(true_names))


@lru_cache(maxsize=65_536)
def _similarity_row(name: str, true_names: tuple[str, ...], similarity: Similarity) -> bytes:
    """One row of `name_similarities`, as bytes, which join faster than arrays.

    The answers of a group repeat the names of their image, so rows are kept.
    """
    return array("d", [similarity(name, other) for other in true_names]).tobytes()
