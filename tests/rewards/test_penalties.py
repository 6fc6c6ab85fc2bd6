"""What an answer has too much of."""

import json
from typing import Any

import pytest

from .conftest import Rate

Truth = dict[str, list[dict[str, Any]]]
BOTH = ["repetition_penalty_reward", "length_penalty_reward"]


@pytest.mark.parametrize("name", BOTH)
def test_the_truth_and_anything_shorter_cost_nothing(rate: Rate, truth: Truth, name: str) -> None:
    empty: Truth = {"objects": [], "relationships": []}
    for answer in (truth, {**truth, "relationships": []}, empty, "no graph"):
        assert rate(name, answer, truth) == 0


@pytest.mark.parametrize(
    ("num_again", "value"), [(0, 0.0), (1, -1 / 4), (2, -2 / 5), (96, -96 / 99)], ids=["none", "one", "two", "most"]
)
def test_an_object_of_equal_name_and_box_is_a_repetition(
    rate: Rate, truth: Truth, num_again: int, value: float
) -> None:
    again = [{**truth["objects"][0], "id": f"man.{i}"} for i in range(10, 10 + num_again)]
    answer = {"objects": truth["objects"] + again, "relationships": []}
    assert rate("repetition_penalty_reward", answer, truth) == pytest.approx(value)


def test_an_id_that_was_used_is_a_repetition(rate: Rate, truth: Truth) -> None:
    answer = {"objects": [*truth["objects"], truth["objects"][0]], "relationships": []}
    assert rate("repetition_penalty_reward", answer, truth) == pytest.approx(-1 / 4)


def test_a_relationship_between_copies_is_a_repetition(rate: Rate, truth: Truth) -> None:
    copies = [{**item, "id": f"{item['id']}0"} for item in truth["objects"]]
    links = [
        {**link, "subject": f"{link['subject']}0", "object": f"{link['object']}0"} for link in truth["relationships"]
    ]
    answer = {"objects": truth["objects"] + copies, "relationships": truth["relationships"] + links}
    assert rate("repetition_penalty_reward", answer, truth) == pytest.approx(-1 / 2)


def test_repetitions_that_are_annotated_may_be_made(rate: Rate, truth: Truth) -> None:
    truth["objects"].append({**truth["objects"][0], "id": "man.9"})
    truth["relationships"].append(dict(truth["relationships"][0]))
    assert rate("repetition_penalty_reward", truth, truth) == 0
    more = {**truth, "relationships": truth["relationships"] + truth["relationships"][:1]}
    assert rate("repetition_penalty_reward", more, truth) == pytest.approx(-1 / 8)


@pytest.mark.parametrize(
    ("num_more", "value"),
    [(0, 0.0), (1, -1 / 15), (5, -1 / 3), (10, -2 / 3), (15, -1.0), (500, -1.0)],
    ids=["as many", "one more", "twice", "three times", "four times", "a hundred times"],
)
def test_more_items_than_are_annotated_cost(rate: Rate, truth: Truth, num_more: int, value: float) -> None:
    more = [{"id": f"tree.{i}", "bbox": [i % 50, 0, 60, 60]} for i in range(num_more)]
    assert rate("length_penalty_reward", {**truth, "objects": truth["objects"] + more}, truth) == pytest.approx(value)


def test_items_that_could_not_be_kept_were_written_all_the_same(rate: Rate, truth: Truth) -> None:
    broken = [{"id": f"tree.{i}", "bbox": [float("nan")] * 4} for i in range(10)]
    assert rate("length_penalty_reward", {**truth, "objects": truth["objects"] + broken}, truth) == pytest.approx(
        -2 / 3
    )


def test_a_loop_that_the_token_limit_ends_costs(rate: Rate, truth: Truth) -> None:
    item = json.dumps(truth["objects"][0])
    looped = '<think></think><answer>{"objects": [' + ", ".join([item] * 60) + ', {"id": "ma'
    assert rate("repetition_penalty_reward", looped, truth) == pytest.approx(-59 / 60)
    assert rate("length_penalty_reward", looped, truth) == -1


def test_length_does_not_apply_where_nothing_is_annotated(rate: Rate, truth: Truth) -> None:
    assert rate("length_penalty_reward", truth, {"objects": [], "relationships": []}) is None
