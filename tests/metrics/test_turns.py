"""Boxes that choose in turns, held against the same rule followed one box after the other."""

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from r1sgg_cli.metrics.flat import FlatGraphs, Integers, LabelTable, Mask, flatten
from r1sgg_cli.metrics.turns import IOU_THRESHOLDS, MAX_DETECTIONS, Values, places_by_score, take_turns
from r1sgg_cli.scene_graph.graph import SceneGraph, graph_from_rows

LEVELS = (0.3, 0.5, 0.62, 0.95, 1.0)
"""Few, so that ties are frequent."""


def _of_labels(labels: list[str]) -> SceneGraph:
    return graph_from_rows(
        [{"id": f"{name}.{i}", "bbox": [0, 0, 1, 1]} for i, name in enumerate(labels, 1)], [], (1, 1)
    )


def _sides(*labels: list[list[str]]) -> tuple[FlatGraphs, FlatGraphs]:
    names, predicates = LabelTable(), LabelTable()
    annotated, predicted = (flatten([_of_labels(image) for image in side], names, predicates) for side in labels)
    return annotated, predicted


def _places_in_order(predicted: FlatGraphs) -> Integers:
    met: dict[tuple[int, int], int] = {}
    places = []
    for key in zip(predicted.object_image.tolist(), predicted.object_label.tolist(), strict=True):
        places.append(met.get(key, 0))
        met[key] = places[-1] + 1
    return np.array(places, dtype=np.int64)


def _one_after_the_other(
    annotated: FlatGraphs, predicted: FlatGraphs, iou: Values, is_last_resort: Mask, threshold: float
) -> list[int]:
    taken: set[int] = set()
    partners = []
    for row in range(len(predicted.object_label)):
        free = [
            other
            for other in range(len(annotated.object_label))
            if other not in taken
            and annotated.object_image[other] == predicted.object_image[row]
            and annotated.object_label[other] == predicted.object_label[row]
            and iou[other, row] >= threshold
        ]
        chosen = max(free, key=lambda other: (not is_last_resort[other], iou[other, row], other), default=-1)
        taken.add(chosen)
        partners.append(chosen)
    return partners


_images = st.lists(st.lists(st.sampled_from(["man", "horse"]), max_size=5), min_size=2, max_size=2)


@given(_images, _images, st.randoms(use_true_random=False))
def test_each_box_takes_the_best_that_is_free_of_equals_the_last(
    truths: list[list[str]], answers: list[list[str]], random: Random
) -> None:
    annotated, predicted = _sides(truths, answers)
    size = len(annotated.object_label), len(predicted.object_label)
    iou = np.array([random.choice(LEVELS) for _ in range(size[0] * size[1])]).reshape(size)
    is_last_resort = np.array([[random.choice([0, 1]) for _ in range(size[0])] for _ in range(2)], dtype=bool)
    place = places_by_score(predicted)
    assert place.tolist() == _places_in_order(predicted).tolist()
    partner = take_turns(annotated, predicted, place, lambda a, b: iou[a, b], is_last_resort)
    assert partner.shape == (2, len(IOU_THRESHOLDS), size[1])
    for lanes, outside in zip(partner, is_last_resort, strict=True):
        for lane, threshold in zip(lanes, IOU_THRESHOLDS, strict=True):
            assert lane.tolist() == _one_after_the_other(annotated, predicted, iou, outside, threshold)


def test_boxes_beyond_the_limit_take_nothing() -> None:
    annotated, predicted = _sides([["man"] * (MAX_DETECTIONS + 1)], [["man"] * (MAX_DETECTIONS + 1)])
    none = np.zeros((1, len(annotated.object_label)), dtype=bool)
    partner = take_turns(annotated, predicted, places_by_score(predicted), lambda a, b: np.ones(len(a)), none)
    assert (partner >= 0).sum(axis=2).tolist() == [[MAX_DETECTIONS] * len(IOU_THRESHOLDS)]
