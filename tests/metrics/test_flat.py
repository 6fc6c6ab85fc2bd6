"""Graphs as flat arrays."""

import numpy as np

from r1sgg_cli.metrics.flat import LabelTable, flatten, flatten_pair

from .conftest import GraphMaker


def test_rows_point_into_the_arrays_of_all_images(make_graph: GraphMaker) -> None:
    graph = make_graph([("a", 0), ("b", 50)], [(1, "on", 0)])
    flat, _ = flatten_pair([graph, make_graph([]), graph], [None] * 3)
    assert flat.num_images == 3
    assert flat.object_image.tolist() == [0, 0, 2, 2]
    assert (flat.triplet_image.tolist(), flat.subject.tolist(), flat.object.tolist()) == ([0, 2], [1, 3], [0, 2])


def test_both_sides_share_their_label_numbers(make_graph: GraphMaker) -> None:
    annotated, predicted = flatten_pair(
        [make_graph([("a", 0), ("b", 0)])], [make_graph([("b", 0), ("c", 0), ("a", 0)])]
    )
    assert annotated.object_label.tolist() == [0, 1]
    assert predicted.object_label.tolist() == [1, 2, 0]


def test_exact_repeats_are_left_out_and_take_no_rank(make_graph: GraphMaker) -> None:
    graph = make_graph([("a", 0), ("b", 50)], [(0, "on", 1), (0, "on", 1), (0, "by", 1), (0, "on", 1), (1, "on", 0)])
    flat, _ = flatten_pair([graph], [None])
    assert flat.rank.tolist() == [0, 1, 2]
    assert flat.source.tolist() == [0, 2, 4]


def test_no_images_make_empty_arrays(make_graph: GraphMaker) -> None:
    flat, _ = flatten_pair([], [])
    assert flat.boxes_xyxy.shape == (0, 4)
    assert len(flat.predicate) == 0


def test_repeats_are_kept_on_request_in_the_order_of_the_answer(make_graph: GraphMaker) -> None:
    graph = make_graph([("man", 0), ("horse", 100)], [(0, "on", 1), (0, "on", 1), (1, "near", 0)])
    left_out, kept = (flatten([graph], LabelTable(), LabelTable(), keep_repeats=keep) for keep in (False, True))
    assert (left_out.rank.tolist(), left_out.source.tolist()) == ([0, 1], [0, 2])
    assert (kept.rank.tolist(), kept.source.tolist()) == ([0, 1, 2], [0, 1, 2])


def test_some_triplets_keep_all_objects(make_graph: GraphMaker) -> None:
    graph = make_graph([("man", 0), ("horse", 100)], [(0, "on", 1), (1, "near", 0)])
    some = flatten([graph], LabelTable(), LabelTable()).with_triplets(np.array([False, True]))
    assert (some.subject.tolist(), some.object.tolist(), some.source.tolist()) == ([1], [0], [1])
    assert len(some.object_image) == 2
