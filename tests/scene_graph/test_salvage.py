"""Whole items of lists that are cut off or broken."""

from typing import Any

import pytest

from r1sgg_cli.scene_graph.salvage import is_cut_off, salvage_list


@pytest.mark.parametrize(
    ("text", "items", "num_broken", "closed"),
    [
        pytest.param("]", [], 0, True, id="empty"),
        pytest.param("", [], 0, False, id="nothing"),
        pytest.param('{"a": 1}, {"a": 2}] tail', [{"a": 1}, {"a": 2}], 0, True, id="whole"),
        pytest.param('{"a": 1} {"a": 2},]', [{"a": 1}, {"a": 2}], 0, True, id="commas missing or superfluous"),
        pytest.param('{"a": 1}, {"a"', [{"a": 1}], 0, False, id="cut in an item"),
        pytest.param('{"a": [1}, {"a": 2}]', [{"a": 2}], 1, True, id="broken item"),
        pytest.param('{"a": nil}, {"b": nil}, {"a": 2}]', [{"a": 2}], 2, True, id="broken items"),
        pytest.param('{"a": "x\ny"}]', [{"a": "x\ny"}], 0, True, id="line break in a string"),
        pytest.param("{" + '"a": {' * 50_000, [], 0, False, id="deep nesting"),
    ],
)
def test_whole_items_are_read(text: str, items: list[Any], num_broken: int, closed: bool) -> None:
    found = salvage_list(text, 0, len(text))
    assert found.items == items
    assert found.num_broken == num_broken
    assert found.closed is closed


def test_list_ends_before_its_limit() -> None:
    text = '{"a": 1}, {"a": 2}]'
    assert salvage_list(text, 0, 9).items == [{"a": 1}]


def test_list_of_nothing_but_faults_is_given_up() -> None:
    text = '{"a": nil}, ' * 1000 + '{"a": 1}]'
    found = salvage_list(text, 0, len(text))
    assert (found.items, found.num_broken, found.closed) == ([], 100, False)


@pytest.mark.parametrize(
    ("text", "cut_off"),
    [
        pytest.param('{"a": [1, ', True, id="in a list"),
        pytest.param('{"a": "b', True, id="in a string"),
        pytest.param('{"a": 1}', False, id="whole"),
        pytest.param('{"a" 1, "b": 2}', False, id="broken"),
        pytest.param("[" * 50_000, False, id="deep nesting"),
    ],
)
def test_text_that_lacks_only_its_end_is_cut_off(text: str, cut_off: bool) -> None:
    assert is_cut_off(text, 0) is cut_off
