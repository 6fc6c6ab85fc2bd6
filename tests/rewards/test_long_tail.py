"""Rewards that do not leave rare predicates to chance."""

from typing import Any

import pytest

from r1sgg_cli.rewards.long_tail import weights_by_rarity

from .conftest import Rate

Truth = dict[str, list[dict[str, Any]]]


def test_half_is_recall_and_half_the_mean_over_predicates(rate: Rate, truth: Truth) -> None:
    links = truth["relationships"] + [{"subject": "field.3", "predicate": "riding", "object": "man.1"}]
    three = {**truth, "relationships": links}
    only_standing = {**truth, "relationships": links[1:2]}
    assert rate("mean_recall_reward", only_standing, three) == pytest.approx(5 * (1 / 3 + (0 + 1) / 2) / 2)
    one_riding = {**truth, "relationships": links[:1]}
    assert rate("mean_recall_reward", one_riding, three) == pytest.approx(5 * (1 / 3 + (1 / 2 + 0) / 2) / 2)
    assert rate("mean_recall_reward", three, three) == 5


def test_a_rare_predicate_weighs_more(rate: Rate, truth: Truth) -> None:
    """`riding` weighs 6 in these tests, `standing on` 2."""
    riding, standing = ({**truth, "relationships": [link]} for link in truth["relationships"])
    assert rate("weighted_recall_reward", riding, truth) == pytest.approx(5 * 6 / 8)
    assert rate("weighted_recall_reward", standing, truth) == pytest.approx(5 * 2 / 8)
    assert rate("weighted_recall_reward", truth, truth) == 5


@pytest.mark.parametrize("name", ["mean_recall_reward", "weighted_recall_reward"])
def test_a_second_guess_on_a_pair_finds_nothing(rate: Rate, truth: Truth, name: str) -> None:
    rival = {**truth["relationships"][0], "predicate": "near"}
    first, second = truth["relationships"]
    wrong = rate(name, {**truth, "relationships": [rival, second]}, truth)
    assert rate(name, {**truth, "relationships": [rival, first, second]}, truth) == wrong
    assert rate(name, {**truth, "relationships": [first, rival, second]}, truth) == 5


def test_a_predicate_that_training_never_showed_counts_as_the_rarest(rate: Rate, truth: Truth) -> None:
    truth["relationships"][0]["predicate"] = "juggling"
    found = {**truth, "relationships": truth["relationships"][:1]}
    assert rate("weighted_recall_reward", found, truth) == pytest.approx(5 * 10 / 12)


@pytest.mark.parametrize("name", ["mean_recall_reward", "weighted_recall_reward"])
def test_an_image_without_relationships_is_not_rated(rate: Rate, truth: Truth, name: str) -> None:
    assert rate(name, truth, {**truth, "relationships": []}) is None
    assert rate(name, "no graph", truth) == 0
    assert rate(name, {**truth, "relationships": []}, truth) == 0


def test_weights_run_from_two_to_ten_in_the_logarithm_of_the_count() -> None:
    weights = weights_by_rarity({"on": 10_000, "riding": 100, "juggling": 1})
    assert weights == pytest.approx({"on": 2, "riding": 6, "juggling": 10})


def test_spellings_of_one_predicate_are_counted_together() -> None:
    assert weights_by_rarity({"Standing-on": 1, "standing on": 3, "near": 400, "at": 0}) == pytest.approx(
        {"standing on": 10, "near": 2}
    )


def test_equal_counts_weigh_alike() -> None:
    assert weights_by_rarity({"on": 7, "near": 7}) == {"on": 2, "near": 2}
    assert weights_by_rarity({}) == {}
