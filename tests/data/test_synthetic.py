"""Synthetic scenes: exact, reproducible, sparse when asked, train and test apart."""

import json
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1sgg_cli.data.rows import parse_ground_truth
from r1sgg_cli.data.synthetic import (
    CATEGORIES,
    COLOURS,
    MAX_DEPTH,
    PREDICATES,
    Box,
    SyntheticOptions,
    generate_rows,
    predicate_of,
    render,
    sample_scene,
    scene_graph_of,
)
from r1sgg_cli.errors import DataError

seeds = st.integers(min_value=0, max_value=2**32)


def test_equal_options_give_equal_bytes() -> None:
    options = SyntheticOptions(num_images=5, seed=3, drop_relationships=0.6)
    assert list(generate_rows(options, "train")) == list(generate_rows(options, "train"))


def test_a_longer_split_begins_like_a_shorter_one() -> None:
    long, short = (list(generate_rows(SyntheticOptions(n, seed=3), "test")) for n in (6, 3))
    assert long[:3] == short


def test_another_seed_gives_other_images() -> None:
    first, second = (next(generate_rows(SyntheticOptions(1, seed), "train")) for seed in (0, 1))
    assert first["image"] != second["image"]


def test_train_and_test_share_no_image_whatever_their_seeds() -> None:
    train = {row["image"]["bytes"] for row in generate_rows(SyntheticOptions(300, seed=0), "train")}
    test = {row["image"]["bytes"] for row in generate_rows(SyntheticOptions(300, seed=1), "test")}
    assert not train & test


@given(seed=seeds)
def test_scenes_lie_on_the_grid_from_left_to_right(seed: int) -> None:
    scene = sample_scene(np.random.default_rng(seed), 3)
    graph = scene_graph_of(scene, 100)
    assert (graph.rescaled((1000, 1000)).boxes_xyxy % 50 == 0).all()
    assert ((graph.boxes_xyxy >= 0) & (graph.boxes_xyxy <= 100)).all()
    assert graph.boxes_xyxy[:, 0].tolist() == sorted(graph.boxes_xyxy[:, 0])
    assert len(set(graph.names)) == 3
    assert set(graph.names) <= set(CATEGORIES)
    assert [(t.subject, t.object) for t in graph.triplets] == [(0, 1), (0, 2), (1, 2)]
    for a, b in combinations(scene.boxes, 2):
        assert min(min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])) <= MAX_DEPTH


@pytest.mark.parametrize(
    ("subject", "object_", "expected"),
    [
        pytest.param((0, 0, 6, 6), (8, 1, 14, 7), "left of", id="beside"),
        pytest.param((0, 0, 6, 6), (1, 8, 7, 14), "above", id="the subject is higher"),
        pytest.param((0, 8, 6, 14), (1, 0, 7, 6), "below", id="the subject is lower"),
        pytest.param((0, 0, 6, 6), (5, 5, 11, 11), "overlapping", id="one cell in common"),
        pytest.param((0, 0, 6, 6), (6, 2, 12, 8), "touching", id="a common vertical edge"),
        pytest.param((0, 0, 6, 6), (6, 6, 12, 12), "left of", id="a common corner is no touch"),
        pytest.param((0, 0, 6, 6), (14, 14, 20, 20), "far from", id="opposite corners"),
    ],
)
def test_geometry_decides_the_predicate(subject: Box, object_: Box, expected: str) -> None:
    assert predicate_of(subject, object_) == expected


def test_predicates_are_long_tailed_and_all_occur() -> None:
    scenes = [sample_scene(np.random.default_rng(seed), 3) for seed in range(400)]
    counts = Counter(t.predicate for scene in scenes for t in scene_graph_of(scene, 100).triplets)
    assert set(counts) == set(PREDICATES)
    assert counts["left of"] > 4 * counts["far from"]


@pytest.mark.parametrize(("drop", "least", "most"), [(0.0, 3.0, 3.0), (0.6, 1.1, 1.5), (1.0, 1.0, 1.0)])
def test_relationships_are_dropped_at_random_and_one_is_kept(drop: float, least: float, most: float) -> None:
    rows = list(generate_rows(SyntheticOptions(300, drop_relationships=drop), "train"))
    numbers = [len(json.loads(row["relationships"])) for row in rows]
    assert min(numbers) >= 1
    assert least <= np.mean(numbers) <= most


def test_dropping_relationships_changes_neither_images_nor_objects() -> None:
    full, bare = (next(generate_rows(SyntheticOptions(1, drop_relationships=p), "train")) for p in (0.0, 1.0))
    assert (full["image"], full["objects"]) == (bare["image"], bare["objects"])


def test_rows_pass_the_checks_of_any_data_set() -> None:
    for row in generate_rows(SyntheticOptions(20), "test"):
        graph = parse_ground_truth(row["image_id"], row["objects"], row["relationships"], (100, 100))
        assert len(graph.ids) == 3
        assert all(name in row["prompt_close"] for name in graph.names)


@given(seed=seeds)
def test_every_shape_is_drawn_where_its_box_says(seed: int) -> None:
    scene = sample_scene(np.random.default_rng(seed), 1)
    pixels = np.asarray(render(scene, 100))
    rows, columns = np.nonzero((pixels == COLOURS[scene.names[0].split()[0]]).all(axis=2))
    x1, y1, x2, y2 = scene_graph_of(scene, 100).boxes_xyxy[0]
    drawn = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert np.abs(np.subtract(drawn, (x1, y1, x2, y2))).max() <= 1


def test_other_sizes_and_numbers_of_objects_work() -> None:
    row = next(generate_rows(SyntheticOptions(1, image_side=200, num_objects=4), "train"))
    graph = parse_ground_truth("0", row["objects"], row["relationships"], (200, 200))
    assert len(graph.ids) == 4
    assert (graph.boxes_xyxy % 10 == 0).all()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({"num_images": 0}, "num_images is 0; give 1 or more", id="no image"),
        pytest.param({"num_images": 1, "drop_relationships": 1.5}, "from 0 to 1", id="no probability"),
        pytest.param({"num_images": 1, "num_objects": 9}, "num_objects is 9; give from 1 to 4", id="too crowded"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, int], expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        SyntheticOptions(**options)
