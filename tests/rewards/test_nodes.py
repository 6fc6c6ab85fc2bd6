"""Rewards of objects, on values that can be checked by hand."""

from math import exp
from typing import Any

import pytest

from .conftest import Rate

Truth = dict[str, list[dict[str, Any]]]


def test_missing_object_costs_its_share(rate: Rate, truth: Truth) -> None:
    answer = {"objects": truth["objects"][:2], "relationships": []}
    assert rate("node_acc_reward", answer, truth) == pytest.approx(2 * 2 / 3)
    assert rate("node_box_reward", answer, truth) == pytest.approx(2 * 2 / 3)


def test_wrong_name_counts_by_its_similarity(rate: Rate, truth: Truth) -> None:
    answer = {**truth, "objects": [{**truth["objects"][0], "id": "person.1"}, *truth["objects"][1:]]}
    assert rate("node_acc_reward", answer, truth) == pytest.approx(2 * 2 / 3)
    assert rate("node_acc_reward", answer, truth, similarity=lambda a, b: 0.4) == pytest.approx(2 * 2.4 / 3)


def test_box_counts_by_overlap_and_distance(rate: Rate) -> None:
    truth: Truth = {"objects": [{"id": "man.1", "bbox": [0, 0, 50, 50]}], "relationships": []}
    answer = {"objects": [{"id": "man.1", "bbox": [0, 0, 50, 100]}], "relationships": []}
    assert rate("node_box_reward", answer, truth) == pytest.approx(2 * (2 * 0.5 + 5 * exp(-0.5)) / 7)


def test_answer_and_truth_meet_whatever_their_spaces(rate: Rate) -> None:
    answer = {"objects": [{"id": "man.1", "bbox": [400, 100, 600, 500]}], "relationships": []}
    truth: Truth = {"objects": [{"id": "man.1", "bbox": [256, 48, 384, 240]}], "relationships": []}
    assert rate("node_box_reward", answer, truth, space_wh=(1000, 1000), image_wh=(640, 480)) == pytest.approx(2)


@pytest.mark.parametrize("name", ["node_acc_reward", "node_box_reward"])
def test_image_without_objects_is_not_rated(rate: Rate, truth: Truth, name: str) -> None:
    assert rate(name, truth, {"objects": [], "relationships": []}) is None


@pytest.mark.parametrize("name", ["node_acc_reward", "node_box_reward"])
def test_answer_without_a_graph_earns_nothing(rate: Rate, truth: Truth, name: str) -> None:
    assert rate(name, "I see a man.", truth) == 0
    assert rate(name, {"objects": [], "relationships": []}, truth) == 0
