"""Layers of time: they stand on one another in a step's order, add up, and a long run is drawn by its parts."""

import re
from typing import Any

import pytest

from r1sgg_cli.report.curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from r1sgg_cli.report.stack import MAX_STRETCHES, Stack, lay_out_stack

ORDER = ("data", "sampling", "update", "other")


def stack_of(*steps: dict[str, Any]) -> Stack:
    stack = lay_out_stack([{"step": i, **step} for i, step in enumerate(steps, start=1)], "time/", ORDER)
    assert stack is not None
    return stack


def corners(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([-\d.e+]+) ([-\d.e+]+)", path)]


def test_layers_stand_in_the_order_of_a_step_and_others_on_top() -> None:
    stack = stack_of({"time/update": 3.0, "time/packing": 1.0, "time/data": 1.0, "reward": 9.0})
    assert [layer.name for layer in stack.layers] == ["data", "update", "packing"]


def test_means_and_shares_are_those_of_all_steps() -> None:
    stack = stack_of({"time/update": 3.0, "time/data": 1.0}, {"time/update": 3.0, "time/data": 0.0, "time/other": 1.0})
    assert [(layer.name, layer.mean, layer.share) for layer in stack.layers] == [
        ("data", "0.5", "12.5%"),
        ("update", "3", "75.0%"),
        ("other", "0.5", "12.5%"),
    ]
    assert (stack.num_steps, stack.total) == (2, "4")


@pytest.mark.parametrize("num_steps", [1, 2, 5000], ids=["one step", "two", "a long run"])
def test_each_layer_begins_where_the_one_below_ends(num_steps: int) -> None:
    stack = stack_of(*({"time/data": 1.0 + i % 3, "time/update": 2.0} for i in range(num_steps)))
    below, above = (corners(layer.path) for layer in stack.layers)
    half = len(below) // 2
    assert above[half:][::-1] == below[:half]
    assert half <= max(2, MAX_STRETCHES)
    assert {x for x, _ in (below[0], below[half - 1])} == {LEFT, WIDTH - RIGHT}
    assert all(TOP <= y <= HEIGHT - BOTTOM for _, y in below + above)


def test_a_long_run_keeps_its_sum() -> None:
    stack = stack_of(*({"time/update": 1.0, "time/checkpoint": 60.0 if i % 100 == 99 else 0.0} for i in range(1000)))
    assert stack.total == "1.6"
    told = [float(step.text.split(": ")[1].split(" s")[0]) for step in stack.hover]
    assert sum(told) / len(told) == pytest.approx(1.6, rel=0.01)


def test_pointing_tells_a_steps_parts_without_those_that_took_none() -> None:
    stack = stack_of({"time/update": 3.0, "time/data": 0.25, "time/other": 0.0})
    assert stack.hover[0].text == "step 1: 3.25 s\ndata: 0.25 s\nupdate: 3 s"


def test_rows_without_times_are_no_steps() -> None:
    stack = stack_of({"time/update": 1.0}, {"eval_triplet_recall": 0.2}, {"time/update": 3.0})
    assert (stack.num_steps, stack.total) == (2, "2")
    assert lay_out_stack([{"step": 1, "loss": 2.0}], "time/", ORDER) is None
