"""What a training split showed, as a file carries it."""

import json
from typing import Any

import pytest

from r1sgg_cli.scene_graph.graph import graph_from_rows
from r1sgg_cli.scene_graph.training_names import TrainingNames, named_triplets
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

CLOSED = TrainingNames({"on": 3, "near": 1}, frozenset({("man", "on", "traffic light")}))
OPEN = TrainingNames({}, frozenset(), Vocabulary(("man",), ("on",)), Vocabulary(("horse",), ()))


@pytest.mark.parametrize("names", [pytest.param(CLOSED, id="closed"), pytest.param(OPEN, id="open vocabulary")])
def test_names_come_back_as_they_were(names: TrainingNames) -> None:
    assert TrainingNames.from_json(json.loads(json.dumps(names.to_json()))) == names


@pytest.mark.parametrize(
    "record",
    [
        pytest.param({}, id="nothing"),
        pytest.param({**CLOSED.to_json(), "unseen_triplets": [["man", "on"]]}, id="two names"),
        pytest.param({**CLOSED.to_json(), "predicate_counts": {"on": "many"}}, id="no count"),
        pytest.param({**CLOSED.to_json(), "predicate_counts": ["on"]}, id="a list of counts"),
        pytest.param({**CLOSED.to_json(), "base": {"objects": [], "predicates": []}}, id="base without novel"),
    ],
)
def test_anything_else_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        TrainingNames.from_json(record)


def test_triplets_are_named_once_in_normal_form() -> None:
    rows = [{"id": "Man.1", "bbox": [0, 0, 1, 1]}, {"id": "traffic-light.2", "bbox": [0, 0, 1, 1]}]
    relationship = {"subject": "Man.1", "predicate": "Looking_at", "object": "traffic-light.2"}
    graph = graph_from_rows(rows, [relationship, relationship], (2, 2))
    assert named_triplets([graph, graph]) == {("man", "looking at", "traffic light")}
