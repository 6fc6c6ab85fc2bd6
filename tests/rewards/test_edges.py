"""Rewards of relationships, on values that can be checked by hand."""

from typing import Any

import pytest

from .conftest import Rate

Truth = dict[str, list[dict[str, Any]]]
EDGES = ["edge_reward", "edge_hard_reward", "edge_hard_relax_reward"]


@pytest.mark.parametrize("name", EDGES)
def test_missing_relationship_costs_its_share(rate: Rate, truth: Truth, name: str) -> None:
    assert rate(name, {**truth, "relationships": truth["relationships"][:1]}, truth) == pytest.approx(2.5)


@pytest.mark.parametrize("name", EDGES)
def test_direction_matters(rate: Rate, truth: Truth, name: str) -> None:
    turned = [{**link, "subject": link["object"], "object": link["subject"]} for link in truth["relationships"]]
    assert rate(name, {**truth, "relationships": turned}, truth) == 0


@pytest.mark.parametrize("name", EDGES)
def test_image_without_relationships_is_not_rated(rate: Rate, truth: Truth, name: str) -> None:
    assert rate(name, truth, {**truth, "relationships": []}) is None


@pytest.mark.parametrize("name", EDGES)
def test_answer_without_relationships_earns_nothing(rate: Rate, truth: Truth, name: str) -> None:
    assert rate(name, "I see a man.", truth) == 0
    assert rate(name, {**truth, "relationships": []}, truth) == 0


@pytest.mark.parametrize(
    ("width", "hits"),
    [
        pytest.param(20, True, id="equal"),
        pytest.param(40, True, id="IoU of one half"),
        pytest.param(41, False, id="IoU below one half"),
    ],
)
@pytest.mark.parametrize("name", ["edge_hard_reward", "edge_hard_relax_reward"])
def test_hard_rewards_ask_for_half_an_overlap_at_both_ends(rate: Rate, name: str, width: int, hits: bool) -> None:
    man, dog = {"id": "man.1", "bbox": [0, 0, 20, 64]}, {"id": "dog.2", "bbox": [50, 50, 90, 90]}
    link = {"subject": "man.1", "predicate": "near", "object": "dog.2"}
    truth = {"objects": [man, dog], "relationships": [link, {**link, "subject": "dog.2", "object": "man.1"}]}
    answer = {**truth, "objects": [{**man, "bbox": [0, 0, width, 64]}, dog]}
    assert rate(name, answer, truth) == (5 if hits else 0)


def test_soft_reward_multiplies_three_similarities(rate: Rate, truth: Truth) -> None:
    values = {("person", "man"): 0.5, ("on", "riding"): 0.4}
    answer = {
        "objects": [{**truth["objects"][0], "id": "person.1"}, *truth["objects"][1:]],
        "relationships": [{"subject": "person.1", "predicate": "on", "object": "horse.2"}],
    }

    def similarity(predicted: str, true: str) -> float:
        return values.get((predicted, true), 0.0)

    for name in ("edge_reward", "edge_hard_relax_reward"):
        assert rate(name, answer, truth, similarity=similarity) == pytest.approx(5 * 0.5 * 0.4 / 2)


def test_one_prediction_may_hit_two_true_relationships_of_equal_boxes(rate: Rate, truth: Truth) -> None:
    twin = {**truth["objects"][0], "id": "man.4"}
    links = [*truth["relationships"][:1], {**truth["relationships"][0], "subject": "man.4"}]
    doubled = {"objects": [*truth["objects"], twin], "relationships": links}
    assert rate("edge_hard_reward", truth, doubled) == pytest.approx(5)
