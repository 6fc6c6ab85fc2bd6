"""What holds of every reward, whatever an answer says: its range, and that nothing is worth more than the truth."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1sgg_cli.rewards import REWARDS

from .conftest import PREDICATE_WEIGHTS, RANGES

SIZE = 100
IN_ANY_ORDER = [
    *("format_reward", "edge_hard_reward", "edge_hard_relax_reward", "object_f1_reward"),
    *("repetition_penalty_reward", "length_penalty_reward"),
]
"""Not those that match objects by cost: equal costs leave the choice to the solver, which goes by order."""
BY_FIRST_GUESSES = ["edge_f1_reward", "mean_recall_reward", "cluster_coverage_reward"]
"""What comes first of a pair can be right: the order of an answer counts where it says more of a pair than is true."""
NAMES, PREDICATES = ("man", "horse", "field"), ("riding", "standing on", "near")
sides = st.sampled_from((0, 20, 22, 40, 80, 100))


@st.composite
def boxes(draw: st.DrawFn) -> list[int]:
    x1, x2 = sorted(draw(st.lists(sides, min_size=2, max_size=2, unique=True)))
    y1, y2 = sorted(draw(st.lists(sides, min_size=2, max_size=2, unique=True)))
    return [x1, y1, x2, y2]


@st.composite
def graphs(draw: st.DrawFn, num_objects: int = 6, num_relationships: int = 8) -> dict[str, list[dict[str, Any]]]:
    named = draw(st.lists(st.tuples(st.sampled_from(NAMES), boxes()), max_size=num_objects))
    objects = [{"id": f"{name}.{number}", "bbox": box} for number, (name, box) in enumerate(named, 1)]
    if not objects:
        return {"objects": [], "relationships": []}
    ends = st.sampled_from([item["id"] for item in objects])
    links = st.lists(st.tuples(ends, st.sampled_from(PREDICATES), ends), max_size=num_relationships)
    return {
        "objects": objects,
        "relationships": [
            {"subject": subject, "predicate": predicate, "object": target} for subject, predicate, target in draw(links)
        ],
    }


def similarity(one: str, other: str) -> float:
    return {"man": 0.2, "horse": 0.9, "riding": 0.75, "near": 0.4}.get(min(one, other), 0.0)


def rate(name: str, graph: Any, truth: Any, task: str = "sgg") -> float | None:
    return REWARDS[name](
        [graph if isinstance(graph, str) else f"<think></think><answer>{json.dumps(graph)}</answer>"],
        objects=[json.dumps(truth["objects"])],
        relationships=[json.dumps(truth["relationships"])],
        image_wh=[(SIZE, SIZE)],
        box_space_wh=[(SIZE, SIZE)],
        task=[task],  # type: ignore[list-item]
        similarity=similarity,
        predicate_weights=PREDICATE_WEIGHTS,
    )[0]


@settings(max_examples=60, deadline=None)
@given(answer=graphs(), truth=graphs())
def test_values_stay_in_range_and_none_exceeds_that_of_the_truth(answer: Any, truth: Any) -> None:
    for name, (least, most) in RANGES.items():
        value, honest = rate(name, answer, truth), rate(name, truth, truth)
        assert (value is None) == (honest is None), name
        if value is not None and honest is not None:
            assert math.isfinite(value), name
            assert least <= value <= most + 1e-9, name
            is_empty = name == "format_reward" and not truth["objects"]  # which is well written, and worth half
            assert is_empty or value <= honest + 1e-9, name


@settings(max_examples=40, deadline=None)
@given(answer=graphs(), truth=graphs(), data=st.data())
def test_the_order_of_an_answer_changes_nothing(answer: Any, truth: Any, data: st.DataObject) -> None:
    shuffled = {key: data.draw(st.permutations(answer[key])) for key in ("objects", "relationships")}
    for name in IN_ANY_ORDER:
        value, other = rate(name, answer, truth), rate(name, shuffled, truth)
        assert value == (other if other is None else pytest.approx(other)), name


@settings(max_examples=40, deadline=None)
@given(truth=graphs(), data=st.data())
def test_the_truth_is_worth_the_same_in_any_order(truth: Any, data: st.DataObject) -> None:
    shuffled = {key: data.draw(st.permutations(truth[key])) for key in ("objects", "relationships")}
    for name in IN_ANY_ORDER + BY_FIRST_GUESSES:
        value, other = rate(name, truth, truth), rate(name, shuffled, truth)
        assert value == (other if other is None else pytest.approx(other)), name


@settings(max_examples=40, deadline=None)
@given(answer=graphs(), truth=graphs(), cut=st.floats(0, 1), task=st.sampled_from(("sgg", "det", "cls")))
def test_cut_answers_of_any_task_stay_in_range(answer: Any, truth: Any, cut: float, task: str) -> None:
    text = f"<think></think><answer>{json.dumps(answer)}</answer>"
    for name, (least, most) in RANGES.items():
        value = rate(name, text[: int(cut * len(text))], truth, task)
        assert value is None or (math.isfinite(value) and least <= value <= most + 1e-9), name


def test_every_reward_has_its_range_here() -> None:
    assert set(RANGES) == set(REWARDS)
