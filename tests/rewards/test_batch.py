"""What all reward functions share."""

import json
from typing import Any

import pytest

from r1sgg_cli.config.reward_names import PUBLISHED, SCORED
from r1sgg_cli.errors import DataError
from r1sgg_cli.rewards import REWARDS
from r1sgg_cli.rewards.batch import read_answer

from .conftest import PREDICATE_WEIGHTS, Rate

Truth = dict[str, list[dict[str, Any]]]


def test_the_published_names_come_first() -> None:
    assert (
        list(REWARDS)[:6]
        == list(PUBLISHED)
        == [
            "format_reward",
            "node_acc_reward",
            "node_box_reward",
            "edge_reward",
            "edge_hard_reward",
            "edge_hard_relax_reward",
        ]
    )


def test_every_reward_keeps_its_name_and_says_to_what_it_applies() -> None:
    assert {function.__name__ for function in REWARDS.values()} == set(REWARDS) == set(SCORED)


@pytest.mark.parametrize("name", REWARDS)
def test_values_come_in_the_order_of_completions(truth: Truth, name: str) -> None:
    right = f"<think></think><answer>{json.dumps(truth)}</answer>"
    texts = [right, "nothing", right]
    columns: dict[str, Any] = {
        "objects": [json.dumps(truth["objects"])] * 3,
        "relationships": [json.dumps(truth["relationships"])] * 3,
        "image_wh": [[100, 100]] * 3,
        "box_space_wh": [[100, 100]] * 3,
        "predicate_weights": PREDICATE_WEIGHTS,
    }
    plain = REWARDS[name](texts, **columns, prompts=["describe"] * 3)
    chat = REWARDS[name]([[{"role": "assistant", "content": text}] for text in texts], **columns)
    assert plain == chat
    assert plain[0] == plain[2]
    assert plain[1] == 0


def test_each_answer_is_parsed_once_for_all_rewards(rate: Rate, truth: Truth) -> None:
    read_answer.cache_clear()
    for name in REWARDS:
        rate(name, truth, truth)
    assert read_answer.cache_info().misses == 1


@pytest.mark.parametrize(
    ("objects", "relationships"),
    [
        pytest.param("{", "[]", id="no JSON"),
        pytest.param('[{"id": "man.1"}]', "[]", id="no box"),
        pytest.param('[{"id": "man.1", "bbox": [1, 2, 3]}]', "[]", id="three numbers"),
        pytest.param('[{"id": "man.1", "bbox": [1, 2, 3, NaN]}]', "[]", id="NaN"),
        pytest.param('[["man.1", 1]]', "[]", id="lists for objects"),
        pytest.param("[]", '[{"subject": "man.1", "predicate": "on", "object": "man.1"}]', id="unknown end"),
    ],
)
def test_broken_ground_truth_is_the_users_to_mend(objects: str, relationships: str) -> None:
    with pytest.raises(DataError, match=r"ground.truth"):
        REWARDS["format_reward"](
            ["x"], objects=[objects], relationships=[relationships], image_wh=[(9, 9)], box_space_wh=[(9, 9)]
        )


def test_columns_of_different_length_are_a_bug() -> None:
    with pytest.raises(ValueError, match="shorter"):
        REWARDS["format_reward"](["a", "b"], objects=["[]"], relationships=["[]"], image_wh=[], box_space_wh=[])
