"""What the format reward asks for."""

import json
from typing import Any

import pytest

from .conftest import Rate

Truth = dict[str, list[dict[str, Any]]]


@pytest.mark.parametrize(
    ("frame", "value"),
    [
        pytest.param("<think>a</think><answer>GRAPH</answer>", 1, id="as asked"),
        pytest.param("<think>a</think>\n<answer>\n```json\nGRAPH\n```\n</answer>\n", 1, id="fence in the answer"),
        pytest.param("<answer>GRAPH</answer>", 0, id="no thoughts"),
        pytest.param("<think>a</think><answer>GRAPH", 0, id="answer not closed"),
        pytest.param("GRAPH", 0, id="no tags"),
        pytest.param("<think>a</think><answer>The graph: GRAPH</answer>", 0, id="prose in the answer"),
        pytest.param("<think>a</think><answer></answer>", 0, id="nothing"),
    ],
)
def test_tags_and_nothing_but_the_graph_are_asked_for(rate: Rate, truth: Truth, frame: str, value: float) -> None:
    assert rate("format_reward", frame.replace("GRAPH", json.dumps(truth)), truth) == value


@pytest.mark.parametrize(
    ("old", "new", "value"),
    [
        pytest.param("[40, 10", "[-4, 10", 1, id="box beyond the border"),
        pytest.param('"riding"', '""', 1, id="empty predicate"),
        pytest.param('"riding"', "null", 0, id="no predicate"),
        pytest.param("[40, 10", "[90, 10", 0, id="box out of order"),
        pytest.param('"id": "horse.2"', '"id": "man.1"', 0, id="id used twice"),
    ],
)
def test_defects_of_writing_cost_the_reward(rate: Rate, truth: Truth, old: str, new: str, value: float) -> None:
    text = f"<think>a</think><answer>{json.dumps(truth).replace(old, new)}</answer>"
    assert rate("format_reward", text, truth) == value


def test_format_reward_applies_to_every_image(rate: Rate, truth: Truth) -> None:
    assert rate("format_reward", truth, {"objects": [], "relationships": []}) == 1
