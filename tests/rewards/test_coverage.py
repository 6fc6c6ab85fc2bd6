"""Whether an answer touches on all that an image's relationships are about."""

from typing import Any

import pytest

from .conftest import Rate

Truth = dict[str, list[dict[str, Any]]]


@pytest.fixture
def crowd() -> Truth:
    """Two men ride a horse each, and one horse stands on the field."""
    objects = [
        {"id": name, "bbox": [10 * i, 0, 10 * i + 9, 50]}
        for i, name in enumerate(("man.1", "man.2", "horse.3", "horse.4", "field.5"))
    ]
    links = [("man.1", "riding", "horse.3"), ("man.2", "riding", "horse.4"), ("horse.3", "standing on", "field.5")]
    return {
        "objects": objects,
        "relationships": [dict(zip(("subject", "predicate", "object"), t, strict=True)) for t in links],
    }


def part(truth: Truth, *numbers: int) -> Truth:
    return {**truth, "relationships": [truth["relationships"][number] for number in numbers]}


@pytest.mark.parametrize(
    ("numbers", "value"),
    [
        pytest.param((0, 1, 2), 2 * 1 * 1, id="all"),
        pytest.param((0, 2), 2 * 1 * 2 / 3, id="both groups, one in part"),
        pytest.param((2,), 2 * (1 / 2) * 1, id="one group of two"),
        pytest.param((0,), 2 * (1 / 2) * (1 / 2), id="half of one group of two"),
        pytest.param((), 0, id="nothing"),
    ],
)
def test_coverage_times_fullness(rate: Rate, crowd: Truth, numbers: tuple[int, ...], value: float) -> None:
    assert rate("cluster_coverage_reward", part(crowd, *numbers), crowd) == pytest.approx(value)


def test_what_is_said_five_times_counts_once(rate: Rate, crowd: Truth) -> None:
    assert rate("cluster_coverage_reward", part(crowd, 0, 0, 0, 0, 0), crowd) == pytest.approx(0.5)


def test_boxes_do_not_matter(rate: Rate, crowd: Truth) -> None:
    """It is the coarse half of a pair: where things are is another reward's."""
    moved = {**crowd, "objects": [{**item, "bbox": [60, 60, 90, 90]} for item in crowd["objects"]]}
    assert rate("cluster_coverage_reward", moved, crowd) == 2


def test_like_relationships_are_one_group(rate: Rate, truth: Truth) -> None:
    values = {("person", "man"): 0.8, ("sitting on", "riding"): 0.9}

    def similarity(one: str, other: str) -> float:
        return values.get((one, other), values.get((other, one), 0.0))

    person = {"id": "person.4", "bbox": [0, 0, 9, 9]}
    alike = {"subject": "person.4", "predicate": "sitting on", "object": "horse.2"}  # 0.8 · 0.9 = 0.72
    grouped = {"objects": [*truth["objects"], person], "relationships": [truth["relationships"][0], alike]}
    first = {**grouped, "relationships": grouped["relationships"][:1]}
    assert rate("cluster_coverage_reward", first, grouped, similarity=similarity) == pytest.approx(2 * 1 * 1 / 2)
    assert rate("cluster_coverage_reward", first, grouped) == pytest.approx(2 * (1 / 2) * 1)


def test_an_image_without_relationships_is_not_rated(rate: Rate, truth: Truth) -> None:
    assert rate("cluster_coverage_reward", truth, {**truth, "relationships": []}) is None
    assert rate("cluster_coverage_reward", "no graph", truth) == 0
