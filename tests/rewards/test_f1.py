"""F1 rewards, on values that can be checked by hand."""

from typing import Any

import pytest

from .conftest import Rate

Truth = dict[str, list[dict[str, Any]]]


def test_exact_answer_earns_everything(rate: Rate, truth: Truth) -> None:
    assert rate("edge_f1_reward", truth, truth) == 5
    assert rate("object_f1_reward", truth, truth) == 2


def test_what_is_missing_and_what_is_superfluous_cost_alike(rate: Rate, truth: Truth) -> None:
    half = {**truth, "relationships": truth["relationships"][:1]}
    assert rate("edge_f1_reward", half, truth) == pytest.approx(5 * 2 * 1 / (1 + 2))
    assert rate("edge_f1_reward", truth, half) == pytest.approx(5 * 2 * 1 / (2 + 1))
    two = {"objects": truth["objects"][:2], "relationships": []}
    assert rate("object_f1_reward", two, truth) == pytest.approx(2 * 2 * 2 / (2 + 3))
    assert rate("object_f1_reward", truth, two) == pytest.approx(2 * 2 * 2 / (3 + 2))


def test_every_predicate_on_a_pair_costs_precision(rate: Rate, truth: Truth) -> None:
    spam = [{**truth["relationships"][0], "predicate": word} for word in ("on", "near", "has", "with")]
    assert rate("edge_f1_reward", {**truth, "relationships": truth["relationships"] + spam}, truth) == pytest.approx(
        5 * 2 * 2 / (6 + 2)
    )


def test_of_the_predicates_of_a_pair_the_first_is_right(rate: Rate, truth: Truth) -> None:
    first, second = truth["relationships"]
    late = [{**first, "predicate": "near"}, first, second]
    assert rate("edge_f1_reward", {**truth, "relationships": late}, truth) == pytest.approx(5 * 2 * 1 / (3 + 2))


def test_a_relationship_said_twice_is_right_once(rate: Rate, truth: Truth) -> None:
    twice = {**truth, "relationships": truth["relationships"][:1] * 2}
    assert rate("edge_f1_reward", twice, truth) == pytest.approx(5 * 2 * 1 / (2 + 2))


def test_each_stands_for_one_other_and_as_many_hold_as_can(rate: Rate, truth: Truth) -> None:
    """The first predicted man could stand for either annotated one, the second for the left one only."""
    men = [{"id": "man.1", "bbox": [0, 0, 20, 20]}, {"id": "man.2", "bbox": [6, 0, 26, 20]}]
    found = [{"id": "man.1", "bbox": [3, 0, 23, 20]}, {"id": "man.2", "bbox": [-4, 0, 14, 20]}]
    assert rate("object_f1_reward", {"objects": found, "relationships": []}, {"objects": men, "relationships": []}) == 2
    assert rate(
        "object_f1_reward", {"objects": found[::-1], "relationships": []}, {"objects": men, "relationships": []}
    ) == pytest.approx(2)


def test_an_object_listed_twice_is_vetoed(rate: Rate, truth: Truth) -> None:
    again = {"id": "man.9", "bbox": [40, 10, 60, 51]}
    assert rate("object_f1_reward", {**truth, "objects": [*truth["objects"], again]}, truth) == 0
    elsewhere = {"id": "man.9", "bbox": [0, 10, 20, 50]}
    assert rate("object_f1_reward", {**truth, "objects": [*truth["objects"], elsewhere]}, truth) == pytest.approx(
        2 * 2 * 3 / (4 + 3)
    )


def test_what_is_annotated_twice_may_be_listed_twice(rate: Rate, truth: Truth) -> None:
    doubled = {**truth, "objects": [*truth["objects"], {"id": "man.9", "bbox": [40, 10, 60, 51]}]}
    assert rate("object_f1_reward", doubled, doubled) == 2


@pytest.mark.parametrize("name", ["edge_f1_reward", "object_f1_reward"])
def test_nothing_earns_nothing_and_an_image_without_any_is_not_rated(rate: Rate, truth: Truth, name: str) -> None:
    empty: Truth = {"objects": [], "relationships": []}
    assert rate(name, empty, truth) == 0
    assert rate(name, "no graph", truth) == 0
    assert rate(name, truth, empty) is None
