"""What ours do where the published rewards are wrong, one test or more per fault.

R1–R16 number the faults that running the published code showed (R14 is R3 in the format check, R15 was never given).
"""

import json
from typing import Any

import pytest

from r1sgg_cli.config.reward_names import PUBLISHED
from r1sgg_cli.rewards import REWARDS

from .conftest import Rate

Truth = dict[str, list[dict[str, Any]]]
EDGES = ["edge_reward", "edge_hard_reward", "edge_hard_relax_reward"]
GRAPH_REWARDS = ["node_acc_reward", "node_box_reward", *EDGES]
HIGHEST = {"format_reward": 1, "node_acc_reward": 2, "node_box_reward": 2} | dict.fromkeys(EDGES, 5)
NAN = float("nan")


@pytest.mark.parametrize("name", PUBLISHED)
def test_exact_answer_earns_everything(rate: Rate, truth: Truth, name: str) -> None:
    assert rate(name, truth, truth) == pytest.approx(HIGHEST[name])


def test_r1_graph_is_worth_more_than_an_empty_graph_and_that_more_than_garbage(rate: Rate, truth: Truth) -> None:
    empty: Truth = {"objects": [], "relationships": []}
    garbage = "<think>a</think><answer>no graph</answer>"
    objects_are_text = '<think></think><answer>{"objects": "", "relationships": []}</answer>'
    values = [rate("format_reward", answer, truth) for answer in (truth, empty, garbage, objects_are_text)]
    assert values == [1.0, 0.5, 0.0, 0.0]
    assert rate("edge_hard_reward", empty, truth) == 0


@pytest.mark.parametrize("name", PUBLISHED)
def test_r2_repeating_every_item_earns_nothing_more(rate: Rate, truth: Truth, name: str) -> None:
    again = [{**item, "id": f"{item['id']}0"} for item in truth["objects"]]
    repeated = {"objects": truth["objects"] + again, "relationships": truth["relationships"] * 2}
    assert rate(name, repeated, truth) == pytest.approx(HIGHEST[name])


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("number", [NAN, float("inf"), -float("inf")], ids=str)
def test_r3_r14_boxes_that_are_not_finite_earn_nothing(rate: Rate, truth: Truth, name: str, number: float) -> None:
    answer = {**truth, "objects": [{**item, "bbox": [number] * 4} for item in truth["objects"]]}
    assert rate(name, answer, truth) == 0


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "between", "last"])
@pytest.mark.parametrize("name", EDGES)
def test_r4_unknown_id_costs_only_its_own_relationship(rate: Rate, truth: Truth, name: str, place: int) -> None:
    links = list(truth["relationships"])
    links.insert(place, {"subject": "ghost.9", "predicate": "riding", "object": "horse.2"})
    answer = {**truth, "relationships": links}
    assert rate(name, answer, truth) == pytest.approx(5)
    assert rate("format_reward", answer, truth) == 0


@pytest.mark.parametrize("order", [1, -1], ids=["in order", "reversed"])
@pytest.mark.parametrize("name", EDGES)
def test_r5_several_predicates_of_a_pair_all_count(rate: Rate, truth: Truth, name: str, order: int) -> None:
    truth["relationships"].append({"subject": "man.1", "predicate": "above", "object": "horse.2"})
    answer = {**truth, "relationships": truth["relationships"][::order]}
    assert rate(name, answer, truth) == pytest.approx(5)


def test_r6_recall_is_all_that_is_rewarded_as_published(rate: Rate, truth: Truth) -> None:
    """Inherent in the published definition, and kept: the docstrings of `nodes` and `edges` say so."""
    more = [{"id": f"tree.{i}", "bbox": [i, i, i + 9, i + 9]} for i in range(10, 60)]
    answer = {**truth, "objects": truth["objects"] + more}
    assert rate("node_acc_reward", answer, truth) == pytest.approx(2)
    assert rate("edge_hard_reward", answer, truth) == pytest.approx(5)


@pytest.mark.parametrize("name", PUBLISHED)
def test_r7_ground_truth_is_normalised_like_the_answer(rate: Rate, name: str) -> None:
    truth = {
        "objects": [{"id": "tree-merged.1", "bbox": [0, 0, 50, 50]}, {"id": "Door_stuff.2", "bbox": [40, 0, 90, 90]}],
        "relationships": [{"subject": "tree-merged.1", "predicate": "in_front-of", "object": "Door_stuff.2"}],
    }
    answer = json.loads(json.dumps(truth).replace("-", " ").replace("_", " ").lower())
    assert rate(name, answer, truth) == pytest.approx(HIGHEST[name])
    assert rate(name, truth, truth) == pytest.approx(HIGHEST[name])


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param({"id": "dog.4", "bbox": [1, 2, 3]}, id="three numbers"),
        pytest.param({"id": "dog.4", "bbox": "1, 2, 3, 4"}, id="string"),
        pytest.param({"id": "dog.4", "bbox": None}, id="null"),
        pytest.param({"id": "dog.4", "bbox": [1, 2, 3, "4"]}, id="string in the box"),
        pytest.param({"id": 4, "bbox": [1, 2, 3, 4]}, id="number as id"),
        pytest.param("dog.4", id="no object"),
    ],
)
@pytest.mark.parametrize("name", PUBLISHED)
def test_r8_bad_object_costs_only_itself_and_the_format(rate: Rate, truth: Truth, name: str, extra: Any) -> None:
    answer = {**truth, "objects": [extra, *truth["objects"]]}
    assert rate(name, answer, truth) == pytest.approx(0 if name == "format_reward" else HIGHEST[name])


@pytest.mark.parametrize("name", EDGES)
def test_r8_bad_relationship_costs_only_itself(rate: Rate, truth: Truth, name: str) -> None:
    bad = {"subject": "man.1", "predicate": None, "object": "horse.2"}
    assert rate(name, {**truth, "relationships": [bad, *truth["relationships"]]}, truth) == pytest.approx(5)


@pytest.mark.parametrize("name", GRAPH_REWARDS)
@pytest.mark.parametrize(
    "frame",
    [
        pytest.param("<think>into <answer> it goes</think><answer>GRAPH</answer>", id="tag in the thoughts"),
        pytest.param("Here is the graph:\n```json\nGRAPH\n```\nHope this helps.", id="prose around a fence"),
        pytest.param("<think>I look.</think>\n```json\nGRAPH\n```", id="fence after the thoughts"),
        pytest.param("GRAPH", id="bare"),
    ],
)
def test_r9_graph_is_found_however_it_is_wrapped(rate: Rate, truth: Truth, name: str, frame: str) -> None:
    text = frame.replace("GRAPH", json.dumps(truth))
    assert rate(name, text, truth) == pytest.approx(HIGHEST[name])


def test_r9_tag_in_the_thoughts_costs_no_format(rate: Rate, truth: Truth) -> None:
    text = f"<think>into <answer> it goes</think><answer>{json.dumps(truth)}</answer>"
    assert rate("format_reward", text, truth) == 1


def test_r10_there_is_one_task_and_no_reward_asks_for_another(rate: Rate, truth: Truth) -> None:
    values = REWARDS["node_acc_reward"](
        [json.dumps(truth)],
        objects=[json.dumps(truth["objects"])],
        relationships=["[]"],
        image_wh=[(100, 100)],
        box_space_wh=[(100, 100)],
        task_type=["cls"],
    )
    assert values == pytest.approx([2])


@pytest.mark.parametrize("name", PUBLISHED)
def test_r11_blank_before_the_number_does_not_change_the_name(rate: Rate, truth: Truth, name: str) -> None:
    answer = json.loads(json.dumps(truth).replace("man.1", "man .1"))
    assert rate(name, answer, truth) == pytest.approx(HIGHEST[name])


@pytest.mark.parametrize("name", GRAPH_REWARDS)
def test_r12_first_object_of_an_id_counts(rate: Rate, truth: Truth, name: str) -> None:
    far_away = {"id": "man.1", "bbox": [0, 0, 2, 2]}
    answer = {**truth, "objects": [*truth["objects"], far_away]}
    assert rate(name, answer, truth) == pytest.approx(HIGHEST[name])
    swapped = {**truth, "objects": [far_away, *truth["objects"]]}
    value = rate(name, swapped, truth)
    assert value is not None
    assert value < HIGHEST[name] or name in ("node_acc_reward", "edge_reward")  # these two look at names only


@pytest.mark.parametrize("name", ["node_acc_reward", *EDGES])
def test_r13_no_similarity_makes_a_reward_negative_or_too_large(rate: Rate, truth: Truth, name: str) -> None:
    answer = json.loads(json.dumps(truth).replace("man", "dog").replace("riding", "under"))
    for extreme in (-1.0, 7.0):
        value = rate(name, answer, truth, similarity=lambda a, b, extreme=extreme: extreme)
        assert value is not None
        assert 0 <= value <= HIGHEST[name]


def test_r16_different_words_are_different_labels_as_published(rate: Rate, truth: Truth) -> None:
    """Inherent in the published definition of the hard reward, and kept: the soft rewards take a similarity."""
    answer = json.loads(json.dumps(truth).replace("riding", "rides"))
    assert rate("edge_hard_reward", answer, truth) == pytest.approx(2.5)
    assert rate("edge_hard_relax_reward", answer, truth, similarity=lambda a, b: 0.9) == pytest.approx(4.75)


@pytest.mark.parametrize("name", GRAPH_REWARDS)
def test_cut_off_answer_earns_what_it_says(rate: Rate, truth: Truth, name: str) -> None:
    text = json.dumps(truth)
    value = rate(name, text[: text.index("standing")], truth)
    assert value == pytest.approx(HIGHEST[name] if name.startswith("node") else 2.5)
