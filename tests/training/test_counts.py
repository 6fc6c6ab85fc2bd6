"""Answers without a graph, and graphs that list nothing of what was asked for."""

import json
from typing import Any

import pytest

from r1sgg_cli.training.counts import EMPTY, UNREADABLE, count_graphs

OBJECTS = [{"id": "man.1", "bbox": [0, 0, 20, 10]}, {"id": "horse.2", "bbox": [100, 50, 200, 100]}]
RELATIONSHIPS = [{"subject": "man.1", "predicate": "on", "object": "horse.2"}]
WHOLE = {"objects": OBJECTS, "relationships": RELATIONSHIPS}


def example(task: str) -> dict[str, Any]:
    graph = {"objects": json.dumps(OBJECTS), "relationships": json.dumps(RELATIONSHIPS)}
    return {**graph, "image_wh": [200, 100], "box_space_wh": [200, 100], "box_origin": [0, 0], "task": task}


@pytest.mark.parametrize(
    ("answer", "task", "unreadable", "empty"),
    [
        (WHOLE, "sgg", False, False),
        ({"objects": OBJECTS, "relationships": []}, "sgg", False, True),
        ({"objects": [], "relationships": []}, "sgg", False, True),
        ({"objects": OBJECTS, "relationships": []}, "det", False, False),
        ({"objects": []}, "det", False, True),
        ({"relationships": RELATIONSHIPS}, "cls", False, False),
        ({"relationships": []}, "cls", False, True),
        ("I see a man on a horse.", "sgg", True, False),
    ],
    ids=[
        *("a graph", "no relationship", "nothing", "objects, as asked", "no object"),
        *("relationships, as asked", "none of them", "prose"),
    ],
)
def test_an_answer_is_counted_by_what_was_asked_for(answer: Any, task: str, unreadable: bool, empty: bool) -> None:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    completion = [{"role": "assistant", "content": text}]
    assert count_graphs([completion], [example(task)]) == {UNREADABLE: [unreadable], EMPTY: [empty]}
