"""`rollouts.jsonl`: what was kept comes back, a line at a time, and a broken line is named."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from r1sgg_cli.data.rollouts import (
    ROLLOUTS_FILE,
    Rollout,
    RolloutAnswer,
    chosen_steps,
    lines_of_steps,
    parse_rollout,
    rollout_to_row,
)
from r1sgg_cli.data.run_logs import append_row, drop_rows_after
from r1sgg_cli.errors import AnswersError
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet

GRAPH = SceneGraph(
    ("man.1", "hat.2"),
    ("man", "hat"),
    np.array([[0, 0, 50, 90], [10, 0, 20, 9.5]]),
    (Triplet(0, "wearing", 1),),
    (80, 90),
)
READ = RolloutAnswer("{…}", 40, GRAPH, None, {"prose": 1}, {"format_reward": 0.0, "edge_reward": None}, 0.0, -0.5)
UNREAD = RolloutAnswer("no", 2, None, "no_json", {}, {"format_reward": None, "edge_reward": None}, None, 0.0)


def rollout(step: int) -> Rollout:
    return Rollout(step, "im/1", "rollouts/0a1b.jpg", (80, 90), "sgg", GRAPH, (READ, UNREAD), (1000, 1000))


def _row(answer: RolloutAnswer) -> dict[str, Any]:
    (row,) = rollout_to_row(replace(rollout(1), answers=(answer,)))["answers"]
    return dict(row)


def save(folder: Path, *steps: int) -> Path:
    for step in steps:
        append_row(rollout_to_row(rollout(step)), folder / ROLLOUTS_FILE)
    return folder / ROLLOUTS_FILE


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    save(tmp_path, 7)
    (line,) = lines_of_steps(tmp_path, 5)
    back = parse_rollout(line, tmp_path)
    assert rollout_to_row(back) == rollout_to_row(rollout(7))
    assert back.truth.triplets == GRAPH.triplets
    assert back.answers[1] == UNREAD


def test_the_space_of_the_written_boxes_comes_back(tmp_path: Path) -> None:
    padded = replace(rollout(1), box_space_wh=(1.0, 0.5), box_origin=(0, 0.25))
    append_row(rollout_to_row(padded), tmp_path / ROLLOUTS_FILE)
    (line,) = lines_of_steps(tmp_path, 5)
    back = parse_rollout(line, tmp_path)
    assert (back.box_space_wh, back.box_origin) == ((1.0, 0.5), (0, 0.25))


@pytest.mark.parametrize(
    ("steps", "limit", "chosen"),
    [
        ([], 4, []),
        ([1], 4, [1]),
        ([1, 10, 20], 4, [1, 10, 20]),
        ([1, 10, 20, 30, 40], 4, [1, 20, 40]),
        ([1, 10, 20, 30, 40, 50], 4, [1, 20, 40, 50]),
        ([1, *range(10, 1001, 10)], 5, [1, 320, 640, 960, 1000]),
    ],
    ids=["none", "one", "all", "every second", "and the last", "a long run"],
)
def test_the_first_the_last_and_some_between_are_chosen(steps: list[int], limit: int, chosen: list[int]) -> None:
    assert chosen_steps(steps, limit) == chosen


def test_most_of_what_was_chosen_is_chosen_again_as_a_run_goes_on() -> None:
    kept: set[int] = set()
    num_new = 0
    for last in range(1, 201):
        chosen = set(chosen_steps(range(last), 6))
        num_new += len(chosen - kept)
        kept = chosen
    assert num_new < 1.2 * 200  # hardly more than the newest one each time


def test_lines_come_newest_first_and_half_a_line_is_left_out(tmp_path: Path) -> None:
    path = save(tmp_path, 1, 1, 10)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"step": 20, "ima')
    assert [json.loads(line)["step"] for line in lines_of_steps(tmp_path, 5)] == [10, 1, 1]


def test_a_run_without_rollouts_has_no_lines(tmp_path: Path) -> None:
    assert lines_of_steps(tmp_path, 5) == []


def test_steps_that_a_resumed_run_repeats_are_dropped(tmp_path: Path) -> None:
    path = save(tmp_path, 1, 10, 20)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"step": 20, "ima')
    drop_rows_after(10, path)
    save(tmp_path, 11)
    assert [json.loads(line)["step"] for line in path.read_text(encoding="utf-8").splitlines()] == [1, 10, 11]


def test_a_byte_that_is_no_text_is_named_or_stands_as_a_sign_of_it(tmp_path: Path) -> None:
    path = save(tmp_path, 1, 10)
    path.write_bytes(path.read_bytes().replace(b"im/1", b"im\xff1", 1))
    read = [parse_rollout(line, tmp_path).image_id for line in lines_of_steps(tmp_path, 5)]
    assert read == ["im/1", "im\ufffd1"]
    path.write_bytes(b"\xff" + path.read_bytes())
    with pytest.raises(AnswersError, match="begins with no step"):
        lines_of_steps(tmp_path, 5)


@pytest.mark.parametrize(
    "change",
    [
        {"image": "../../secret.jpg"},
        {"image": "/etc/passwd"},
        {"answers": [{}]},
        {"answers": []},
        {"answers": [{**_row(READ), "rewards": {"format_reward": 0.0}}, _row(UNREAD)]},
        {"ground_truth": {"objects": [{"id": "a", "bbox": [0, 0, 1]}], "relationships": []}},
        {"image_wh": None},
        {"box_space_wh": None},
    ],
    ids=[
        "image outside",
        "another file",
        "an empty answer",
        "no answer",
        "unlike rewards",
        "half a box",
        "no size",
        "no space",
    ],
)
def test_a_line_that_cannot_be_read_is_named(change: dict[str, Any], tmp_path: Path) -> None:
    line = json.dumps({**rollout_to_row(rollout(1)), **change})
    with pytest.raises(AnswersError, match=r"rollouts.jsonl` has a line that cannot be read .* delete that line"):
        parse_rollout(line, tmp_path)
