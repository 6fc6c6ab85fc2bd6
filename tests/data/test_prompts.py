"""Prompts: own ones win, categories are named on request; answers are compact and read back."""

import json
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from r1sgg_cli.config.schema import Task
from r1sgg_cli.data.prompts import Prompting, build_messages, format_answer, system_prompt, user_prompt
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet
from r1sgg_cli.scene_graph.parse import parse_answer
from r1sgg_cli.scene_graph.vocabulary import vocabulary_from_names

VOCABULARY = vocabulary_from_names(["person", "tree-merged"], ["in front of"], "this test")
OPEN, PREDEFINED = Prompting(think=False, predefined=False), Prompting(think=False, predefined=True)
THINK = Prompting(think=True, predefined=False)
GRAPH = SceneGraph(
    ("Café.1", "red circle.2"),
    ("café", "red circle"),
    np.array([[0.0, 10.0, 20.0, 1000.0], [5.0, 5.0, 6.0, 6.0]]),
    (Triplet(0, "left of", 1),),
    (1000.0, 1000.0),
)


@pytest.mark.parametrize(
    ("prompting", "expected"),
    [pytest.param(OPEN, "Open.", id="open"), pytest.param(PREDEFINED, "Closed.", id="predefined")],
)
def test_the_rows_own_prompt_wins(prompting: Prompting, expected: str) -> None:
    row = {"prompt_open": "Open.", "prompt_close": "Closed."}
    assert user_prompt(row, prompting, "Pixels.", VOCABULARY) == expected


def test_a_vocabulary_that_the_user_names_wins_over_the_rows_categories_only() -> None:
    row = {"prompt_open": "Open.", "prompt_close": "Closed."}
    prompt = user_prompt(row, PREDEFINED, "Pixels.", VOCABULARY, vocabulary_named=True)
    assert "object names: person, tree-merged." in prompt
    assert user_prompt(row, OPEN, "Pixels.", VOCABULARY, vocabulary_named=True) == "Open."


def test_a_row_without_a_prompt_gets_ours_with_the_familys_box_sentence() -> None:
    prompt = user_prompt({"prompt_open": " "}, OPEN, "Coordinates are furlongs.", None)
    assert "Coordinates are furlongs." in prompt
    assert '"bbox": [x1, y1, x2, y2]' in prompt


def test_predefined_categories_are_listed_as_their_source_writes_them() -> None:
    prompt = user_prompt({}, PREDEFINED, "", VOCABULARY)
    assert "object names: person, tree-merged." in prompt
    assert "predicates: in front of." in prompt
    assert "tree-merged" not in user_prompt({}, OPEN, "", VOCABULARY)


def test_predefined_categories_need_a_vocabulary() -> None:
    with pytest.raises(ConfigError, match="--vocabulary"):
        user_prompt({}, PREDEFINED, "", None)


def test_the_example_in_the_prompt_has_the_form_that_answers_have() -> None:
    line = next(line for line in user_prompt({}, OPEN, "").splitlines() if line.startswith("{"))
    example = json.loads(line.replace("x1, y1, x2, y2", "0, 0, 1, 1"))
    answer = json.loads(format_answer(GRAPH))
    assert example.keys() == answer.keys()
    assert all(example[key][0].keys() == answer[key][0].keys() for key in answer)


def test_only_the_thinking_system_prompt_asks_for_tags() -> None:
    assert "<think>" in system_prompt(THINK)
    assert "<answer>" in system_prompt(THINK)
    assert "<" not in system_prompt(OPEN)
    assert "<" not in user_prompt({}, THINK, "")


TASKS: tuple[Task, ...] = get_args(Task)


@pytest.mark.parametrize("task", TASKS)
def test_the_user_prompt_may_ask_to_think_instead(task: Task) -> None:
    """Then the system prompt does not say that the JSON stands alone."""
    prompting = Prompting(think=True, predefined=False, think_prompt="user")
    assert "<" not in system_prompt(prompting, task)
    assert "nothing else" not in system_prompt(prompting, task)
    asked = user_prompt({}, prompting, "", task=task).splitlines()[-1]
    assert asked == system_prompt(THINK, task)
    own = user_prompt({"prompt_open": "Mine."}, prompting, "")
    assert own == f"Mine.\n{system_prompt(THINK)}"


@pytest.mark.parametrize("task", TASKS)
def test_each_task_asks_for_what_its_answer_lists(task: Task) -> None:
    prompt = user_prompt({}, OPEN, "Pixels.", task=task)
    line = next(line for line in prompt.splitlines() if line.startswith("{"))
    assert (
        json.loads(line.replace("x1, y1, x2, y2", "0, 0, 1, 1")).keys()
        == json.loads(format_answer(GRAPH, task=task)).keys()
    )
    assert ("scene graph" in prompt) == ("scene graph" in system_prompt(OPEN, task)) == (task == "sgg")


def test_a_rows_own_prompt_asks_for_whole_graphs_only() -> None:
    row = {"prompt_open": "Open.", "prompt_close": "Closed."}
    assert "Open." not in user_prompt(row, OPEN, "", task="det")
    assert "Closed." not in user_prompt(row, PREDEFINED, "", VOCABULARY, task="cls", given=GRAPH)


def test_only_the_categories_that_a_task_writes_are_named() -> None:
    det, cls = (user_prompt({}, PREDEFINED, "", VOCABULARY, task=task) for task in ("det", "cls"))
    assert ("tree-merged" in det, "in front of." in det) == (True, False)
    assert ("tree-merged" in cls, "these predicates: in front of." in cls) == (False, True)


def test_given_objects_are_listed_as_answers_write_them() -> None:
    prompt = user_prompt({}, OPEN, "Pixels.", task="cls", given=GRAPH)
    listed = json.loads(prompt.split("The objects:\n")[1])
    assert listed == json.loads(format_answer(GRAPH))["objects"]
    assert "Pixels." in prompt


def test_messages_hold_the_place_of_the_image_or_the_image() -> None:
    image = Image.new("RGB", (2, 2))
    assert build_messages("S", "U") == [
        {"role": "system", "content": [{"type": "text", "text": "S"}]},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "U"}]},
    ]
    assert build_messages("S", "U", image)[1]["content"][0]["image"] is image


def test_an_answer_is_compact_json_with_whole_numbers() -> None:
    assert format_answer(GRAPH) == (
        '{"objects":[{"id":"Café.1","bbox":[0,10,20,1000]},{"id":"red circle.2","bbox":[5,5,6,6]}],'
        '"relationships":[{"subject":"Café.1","predicate":"left of","object":"red circle.2"}]}'
    )


@pytest.mark.parametrize("think", [False, True], ids=["plain", "think"])
def test_the_parser_reads_what_is_formatted_without_a_defect(think: bool) -> None:
    parsed = parse_answer(format_answer(GRAPH, think), GRAPH.space_wh)
    assert parsed.tagged == think
    assert not parsed.defects
    assert (parsed.graph.ids, parsed.graph.triplets) == (GRAPH.ids, GRAPH.triplets)
    assert (parsed.graph.boxes_xyxy == GRAPH.boxes_xyxy).all()
