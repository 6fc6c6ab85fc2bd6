"""The numbers of the reward workbench, on values that can be checked by hand."""

import json

import numpy as np
import pytest

from r1sgg_cli.rewards import REWARDS
from r1sgg_cli.rewards.chosen import chosen_rewards
from r1sgg_cli.rewards.workbench import READING, AnswerGroup, correlations, score_groups, summarise
from r1sgg_cli.scene_graph.similarity import exact_similarity

from .conftest import Graph

NAN = float("nan")


def group_of(image_id: str, truth: Graph, *answers: object) -> AnswerGroup:
    texts = tuple(f"<think></think><answer>{json.dumps(answer)}</answer>" for answer in answers)
    objects, relationships = (json.dumps(truth[key]) for key in ("objects", "relationships"))
    return AnswerGroup(image_id, "sgg", texts, objects, relationships, (100, 100), (100, 100))


def test_every_answer_is_scored_in_its_place(truth: Graph) -> None:
    half = {**truth, "relationships": truth["relationships"][:1]}
    lonely = {**truth, "relationships": []}
    groups = [group_of("a", truth, truth, half), group_of("b", lonely, lonely, half)]
    rewards = chosen_rewards(["format_reward", "edge_hard_reward"], exact_similarity, None)
    scored = score_groups(groups, rewards)
    assert scored.names == ("format_reward", "edge_hard_reward")
    np.testing.assert_array_equal(scored.values, [[1, 5], [1, 2.5], [1, NAN], [1, NAN]])
    assert scored.group.tolist() == [0, 0, 1, 1]
    assert scored.total({"format_reward": 2.0, "edge_hard_reward": 1.0}).tolist() == [7, 4.5, 2, 2]
    assert set(scored.seconds) == {READING, *scored.names}


def test_thousands_of_answers_go_batch_by_batch(truth: Graph) -> None:
    groups = [group_of(str(i), truth, *[truth] * 4) for i in range(300)]
    scored = score_groups(groups, [REWARDS["edge_hard_reward"]])
    assert scored.values.shape == (1200, 1)
    assert (scored.values == 5).all()


def test_a_reward_is_told_by_its_spread_over_all_and_within_groups() -> None:
    values, group = np.array([0, 2, 1, 1, NAN, 5, NAN]), np.array([0, 0, 1, 1, 1, 2, 3])
    summary = summarise(values, group)
    assert summary.mean == pytest.approx(9 / 5)
    assert summary.deviation == pytest.approx(np.std([0, 2, 1, 1, 5]))
    assert (summary.zeros, summary.absent) == pytest.approx((1 / 5, 2 / 7))
    assert summary.within == pytest.approx((np.sqrt(2) + 0) / 2)  # of the groups with two values or more
    assert summary.flat == pytest.approx(1 / 2)


def test_single_answers_have_no_spread_within() -> None:
    summary = summarise(np.array([1.0, 2.0]), np.array([0, 1]))
    assert np.isnan([summary.within, summary.flat]).all()
    absent = summarise(np.array([NAN]), np.array([0]))
    assert absent.absent == 1
    assert np.isnan(absent.mean)


def test_correlation_is_over_answers_to_which_both_apply() -> None:
    values = np.array([[0, 0, 1], [1, 2, 1], [2, 4, 1], [9, NAN, 1]])
    matrix = correlations(values)
    assert matrix[0, 1] == pytest.approx(1)
    assert np.isnan(matrix[2]).all()  # what does not vary goes with nothing


def test_nothing_applies_to_an_answer(truth: Graph) -> None:
    scored = score_groups([group_of("a", {**truth, "relationships": []}, truth)], [REWARDS["edge_f1_reward"]])
    assert np.isnan(scored.total({"edge_f1_reward": 1.0})).all()
