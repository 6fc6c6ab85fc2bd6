"""Hits of the published evaluator, beside its matrix of scores written out."""

import numpy as np
import pytest

from r1sgg_cli.metrics.flat import FlatGraphs, LabelTable, flatten
from r1sgg_cli.metrics.published_hits import NEVER, paired_pixel_iou, published_hits
from r1sgg_cli.scene_graph.boxes import box_iou
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet

PREDICATES = ("on", "near", "wears", "under")
MOST_CELLS = 100


def _random_graph(generator: np.random.Generator, num_triplets: int) -> SceneGraph:
    """Four objects of two names in few places, whose relationships repeat and relate objects to themselves."""
    boxes = (2 * generator.integers(0, 3, (4, 4))).astype(np.float64)
    boxes[:, 2:] += boxes[:, :2] + 3
    names = tuple(generator.choice(["man", "horse"], 4).tolist())
    triplets = tuple(
        Triplet(int(subject), PREDICATES[predicate], int(target))
        for subject, predicate, target in generator.integers(0, 4, (num_triplets, 3))
    )
    return SceneGraph(tuple(f"{name}.{n}" for n, name in enumerate(names)), names, boxes, triplets, (100, 100))


def _flat(graphs: list[SceneGraph]) -> FlatGraphs:
    predicates = LabelTable({label: number for number, label in enumerate(PREDICATES)})
    return flatten(graphs, LabelTable(man=0, horse=1), predicates, keep_repeats=True)


def _cells(answer: SceneGraph) -> list[Triplet]:
    """Every (relationship, predicate) by score, 1 where it was written, else 0, ties in the order of the matrix."""
    scores = np.array([[float(t.predicate == p) for p in PREDICATES] for t in answer.triplets]).reshape(-1, 4)
    order = np.argsort(-scores.ravel(), kind="stable")[:MOST_CELLS]
    rows, columns = np.unravel_index(order, scores.shape)
    return [
        Triplet(answer.triplets[row].subject, PREDICATES[column], answer.triplets[row].object)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
    ]


def _first(truth: SceneGraph, wanted: Triplet, answer: SceneGraph, listed: list[Triplet], pixel: float) -> int:
    """Place of the first of the listed relationships that hits the wanted one; boxes grow by `pixel`."""
    grown = np.array([0.0, 0.0, pixel, pixel])
    iou = box_iou(truth.boxes_xyxy + grown, answer.boxes_xyxy + grown)
    for place, triplet in enumerate(listed):
        ends = (wanted.subject, triplet.subject), (wanted.object, triplet.object)
        if triplet.predicate == wanted.predicate and all(
            truth.names[a] == answer.names[b] and iou[a, b] >= 0.5 for a, b in ends
        ):
            return place
    return NEVER


@pytest.mark.parametrize("most_triplets", [6, 30, 150], ids=lambda most: f"up to {most} relationships")
def test_places_are_those_in_the_matrix_written_out(most_triplets: int) -> None:
    generator = np.random.default_rng(most_triplets)
    truths, answers = (
        [_random_graph(generator, int(generator.integers(0, most))) for _ in range(20)] for most in (6, most_triplets)
    )
    hits = published_hits(_flat(truths), _flat(answers), len(PREDICATES))
    pairs = [
        (truth, wanted, answer) for truth, answer in zip(truths, answers, strict=True) for wanted in truth.triplets
    ]
    assert len(pairs) > 20
    written = [_first(*pair, list(pair[2].triplets), pixel=1.0) for pair in pairs]
    cells = [_first(*pair, _cells(pair[2]), pixel=1.0) for pair in pairs]
    plain = [_first(*pair, list(pair[2].triplets), pixel=0.0) != NEVER for pair in pairs]
    assert hits.in_order.tolist() == written
    assert np.where(hits.among_cells < MOST_CELLS, hits.among_cells, NEVER).tolist() == cells
    assert hits.anywhere.tolist() == plain


@pytest.mark.parametrize(
    ("box_a", "box_b", "iou"),
    [
        pytest.param([0, 0, 9, 9], [0, 0, 9, 9], 1.0, id="the same"),
        pytest.param([0, 0, 9, 9], [10, 0, 19, 9], 0.0, id="next to each other"),
        pytest.param([0, 0, 9, 9], [9, 0, 19, 9], 10 / 200, id="one column in common"),
        pytest.param([4, 4, 4, 4], [4, 4, 4, 4], 1.0, id="a point is a pixel"),
        pytest.param([9, 0, 0, 9], [0, 0, 9, 9], 0.0, id="swapped corners"),
        pytest.param([1, 0, 0, 9], [1, 0, 0, 9], np.nan, id="no area at all"),
    ],
)
def test_sides_have_an_extra_pixel(box_a: list[float], box_b: list[float], iou: float) -> None:
    value = paired_pixel_iou(np.array([box_a], dtype=np.float64), np.array([box_b], dtype=np.float64))
    assert value.dtype == np.float32
    assert value[0] == pytest.approx(iou, nan_ok=True, rel=1e-6)
