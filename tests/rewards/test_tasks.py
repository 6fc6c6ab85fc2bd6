"""Answers that list objects only (`det`), or relationships between given objects (`cls`)."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from r1sgg_cli.config.reward_names import SCORED
from r1sgg_cli.rewards import REWARDS
from r1sgg_cli.rewards.batch import read_part, read_truth

from .conftest import PREDICATE_WEIGHTS
from .test_golden import ALL_CASES, golden_similarity

Truth = dict[str, list[dict[str, Any]]]
RateTask = Callable[[str, str, Any, Truth], float | None]


@pytest.fixture
def rate_task() -> RateTask:
    def rate(name: str, task: str, answer: Any, truth: Truth) -> float | None:
        text = answer if isinstance(answer, str) else f"<think></think><answer>{json.dumps(answer)}</answer>"
        return REWARDS[name](
            [text],
            objects=[json.dumps(truth["objects"])],
            relationships=[json.dumps(truth["relationships"])],
            image_wh=[(100, 100)],
            box_space_wh=[(100, 100)],
            task=[task],  # type: ignore[list-item]
            predicate_weights=PREDICATE_WEIGHTS,
        )[0]

    return rate


@pytest.mark.parametrize("name", REWARDS)
@pytest.mark.parametrize("task", ["det", "cls"])
def test_what_was_not_asked_for_is_not_rated(rate_task: RateTask, truth: Truth, name: str, task: str) -> None:
    value = rate_task(name, task, truth, truth)
    assert (value is None) == (task not in SCORED[name])
    edges = ("edge", "mean_recall", "weighted_recall", "cluster_coverage")
    assert (value is None) == name.startswith(edges if task == "det" else ("node", "object"))


@pytest.mark.parametrize(
    ("task", "answer", "value"),
    [
        pytest.param("det", '{"objects": OBJECTS}', 1, id="det as asked"),
        pytest.param("det", '{"objects": OBJECTS, "relationships": LINKS}', 1, id="det with more"),
        pytest.param("det", '{"objects": []}', 0.5, id="det, empty"),
        pytest.param("det", '{"relationships": LINKS}', 0, id="det, the wrong list"),
        pytest.param("det", '{"objects": [{"id": "man.1", "bbox": [1, 2, 3]}]}', 0, id="det, broken box"),
        pytest.param("cls", '{"relationships": LINKS}', 1, id="cls as asked"),
        pytest.param("cls", '{"objects": OBJECTS, "relationships": LINKS}', 1, id="cls with more"),
        pytest.param("cls", '{"relationships": []}', 0.5, id="cls, empty"),
        pytest.param("cls", '{"objects": OBJECTS}', 0, id="cls, the wrong list"),
        pytest.param(
            "cls",
            '{"relationships": [{"subject": "man.1", "predicate": "on", "object": "x.9"}]}',
            0,
            id="cls, no such id",
        ),
        pytest.param("cls", '{"relationships": LINKS', 0, id="cls, cut off"),
        pytest.param("sgg", '{"objects": OBJECTS}', 0, id="sgg still needs both"),
    ],
)
def test_each_task_has_its_own_form(rate_task: RateTask, truth: Truth, task: str, answer: str, value: float) -> None:
    text = answer.replace("OBJECTS", json.dumps(truth["objects"])).replace("LINKS", json.dumps(truth["relationships"]))
    assert rate_task("format_reward", task, f"<think></think><answer>{text}</answer>", truth) == value


@pytest.mark.parametrize("name", ["edge_reward", "edge_hard_reward", "edge_hard_relax_reward"])
def test_relationships_count_between_the_given_objects(rate_task: RateTask, truth: Truth, name: str) -> None:
    assert rate_task(name, "cls", {"relationships": truth["relationships"]}, truth) == 5
    assert rate_task(name, "cls", {"relationships": truth["relationships"][:1]}, truth) == 2.5
    assert rate_task(name, "cls", {"relationships": []}, truth) == 0
    wrong = [{**link, "object": "man.1"} for link in truth["relationships"]]
    assert rate_task(name, "cls", {"relationships": wrong}, truth) == 0


def test_equal_objects_are_told_apart_by_their_ids(rate_task: RateTask, truth: Truth) -> None:
    """A matching by name and box could take one for the other."""
    twins = [{**truth["objects"][0], "id": f"man.{number}"} for number in (4, 5, 6)]
    link = {**truth["relationships"][0], "subject": "man.5"}
    doubled = {"objects": [*twins, *truth["objects"]], "relationships": [link]}
    assert rate_task("edge_reward", "cls", {"relationships": [link]}, doubled) == 5


@pytest.mark.parametrize("name", ["node_acc_reward", "node_box_reward"])
def test_objects_count_as_ever(rate_task: RateTask, truth: Truth, name: str) -> None:
    assert rate_task(name, "det", {"objects": truth["objects"]}, truth) == 2
    assert rate_task(name, "det", "nothing", truth) == 0


def test_the_same_text_is_read_for_its_own_task_and_image(rate_task: RateTask, truth: Truth) -> None:
    """What is kept of one reading must not answer for another."""
    answer = {"relationships": truth["relationships"]}
    other = {**truth, "objects": [{**item, "bbox": [0, 0, 9, 9]} for item in truth["objects"]]}
    for _ in range(2):
        assert rate_task("edge_hard_reward", "cls", answer, truth) == 5
        assert rate_task("edge_hard_reward", "cls", answer, other) == 5
        assert rate_task("edge_hard_reward", "sgg", answer, truth) == 0
        assert rate_task("format_reward", "det", {"objects": truth["objects"]}, truth) == 1
        assert rate_task("format_reward", "sgg", {"objects": truth["objects"]}, truth) == 0


def test_a_part_is_parsed_once_for_all_rewards(rate_task: RateTask, truth: Truth) -> None:
    read_part.cache_clear()
    read_truth.cache_clear()
    for name in REWARDS:
        rate_task(name, "cls", {"relationships": truth["relationships"]}, truth)
    assert read_part.cache_info().misses == 1


def test_rows_of_several_tasks_stand_in_one_batch(truth: Truth) -> None:
    text = f"<think></think><answer>{json.dumps(truth)}</answer>"
    columns: dict[str, Any] = {
        "objects": [json.dumps(truth["objects"])] * 3,
        "relationships": [json.dumps(truth["relationships"])] * 3,
        "image_wh": [(100, 100)] * 3,
        "box_space_wh": [(100, 100)] * 3,
    }
    assert REWARDS["edge_hard_reward"]([text] * 3, **columns, task=["sgg", "det", "cls"]) == [5, None, 5]
    assert REWARDS["node_acc_reward"]([text] * 3, **columns, task=["sgg", "det", "cls"]) == [2, 2, None]
    assert REWARDS["node_acc_reward"]([text] * 3, **columns) == [2, 2, 2]


@pytest.mark.parametrize("name", ["node_acc_reward", "node_box_reward"])
def test_objects_of_det_earn_what_the_published_code_gives(name: str) -> None:
    cases = [case for case in ALL_CASES if case["task_type"] == "det"]
    assert cases
    for case in cases:
        value = REWARDS[name](
            [case["completion"]],
            objects=[json.dumps(case["solution"]["objects"])],
            relationships=[json.dumps(case["solution"]["relationships"])],
            image_wh=[(1, 1)],
            box_space_wh=[case["box_scale"]],
            task=["det"],
            similarity=golden_similarity,
        )[0]
        assert value == pytest.approx(case["rewards"][name], abs=1e-6), case["case_id"]
