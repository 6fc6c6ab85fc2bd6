"""The rules of where an answer stands, one row per rule and per habit of models."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1sgg_cli.scene_graph.answer import find_answer

GRAPH = '{"objects": []}'


@pytest.mark.parametrize(
    ("text", "passage", "tagged"),
    [
        pytest.param(f"<think>a</think><answer>{GRAPH}</answer>", GRAPH, True, id="tagged"),
        pytest.param(f" <think>a</think>\n\n<answer>{GRAPH}</answer>\n", GRAPH, True, id="blanks around tags"),
        pytest.param(f"<think></think><answer>{GRAPH}</answer>", GRAPH, True, id="no thoughts"),
        pytest.param(f"<think>use <answer>, then</think><answer>{GRAPH}</answer>", GRAPH, True, id="tag in thoughts"),
        pytest.param(f"<think>{{}}<answer>x</answer></think><answer>{GRAPH}</answer>", GRAPH, True, id="draft"),
        pytest.param(f"<think>a</think><answer>{GRAPH}", GRAPH, False, id="answer not closed"),
        pytest.param(f"<think>a</think><answer>{GRAPH}</answer> Done.", GRAPH, False, id="text after"),
        pytest.param(f"Sure! <think>a</think><answer>{GRAPH}</answer>", GRAPH, False, id="text before"),
        pytest.param(f"<think>a</think> so <answer>{GRAPH}</answer>", GRAPH, False, id="text between"),
        pytest.param(f"<answer>{GRAPH}</answer><think>a</think>", GRAPH, False, id="answer first"),
        pytest.param(f"<answer>{GRAPH}</answer>", GRAPH, False, id="answer only"),
        pytest.param(f"<think>a</think>{GRAPH}", GRAPH, False, id="thoughts only"),
        pytest.param(f"a</think>{GRAPH}", GRAPH, False, id="thoughts opened by the prompt"),
        pytest.param(f"<think>a <answer>{GRAPH}</answer>", GRAPH, False, id="thoughts not closed"),
        pytest.param(GRAPH, GRAPH, False, id="bare"),
        pytest.param("", "", False, id="nothing"),
    ],
)
def test_answer_is_found_where_the_rules_say(text: str, passage: str, tagged: bool) -> None:
    found = find_answer(text)
    assert found.text.strip() == passage
    assert found.tagged is tagged
    assert not found.unfinished


def test_thinking_that_never_ends_holds_no_answer() -> None:
    assert find_answer(f"<think>perhaps {GRAPH}") == ("", False, True)


@given(st.lists(st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", "{}", " ", "a"])).map("".join))
def test_tagged_is_what_the_published_pattern_matches(text: str) -> None:
    pattern = r"<think>.*?</think>\s*<answer>(.*?)</answer>"
    assert find_answer(text).tagged == bool(re.fullmatch(pattern, text.strip(), re.DOTALL))
