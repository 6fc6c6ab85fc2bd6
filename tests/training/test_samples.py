"""Rollouts that are kept: whole groups, as the rewards read them, with the part of the image that is the image."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from r1sgg_cli.data.rollouts import Rollout
from r1sgg_cli.rewards import REWARDS
from r1sgg_cli.training.samples import MAX_SIDE, NUM_GROUPS, Scored, kept_groups, save_image, shown_part

OBJECTS = [{"id": "man.1", "bbox": [0, 0, 100, 200]}, {"id": "hat.2", "bbox": [20, 0, 60, 40]}]
RELATIONSHIPS = [{"subject": "man.1", "predicate": "wearing", "object": "hat.2"}]
REWARD_COLUMNS = ("objects", "relationships", "image_wh", "box_space_wh", "box_origin", "task")


def example(image_id: str = "im", task: str = "sgg") -> dict[str, Any]:
    """A row as the trainer has it: an image of 400×200 whose boxes are written in thousandths."""
    return {
        "image_id": image_id,
        "image": Image.new("RGB", (40, 20), "red"),
        "objects": json.dumps(OBJECTS),
        "relationships": json.dumps(RELATIONSHIPS),
        "image_wh": [400, 200],
        "box_space_wh": [1000, 1000],
        "box_origin": [0, 0],
        "task": task,
    }


def answer(objects: Any, relationships: Any) -> str:
    return f"<answer>{json.dumps({'objects': objects, 'relationships': relationships})}</answer>"


GRAPH = answer([{"id": "man.1", "bbox": [0, 0, 250, 1000]}], RELATIONSHIPS)


def kept(rows: list[dict[str, Any]], *texts: str) -> list[tuple[Rollout, Image.Image]]:
    scored = [Scored(text, 5, {"edge_reward": 1.0}, 2.0, 0.5) for text in texts]
    return list(kept_groups(10, rows, scored))


def test_a_group_is_the_neighbours_of_one_image_and_only_the_first_groups_are_kept() -> None:
    rows = [example(image_id) for image_id in ("a", "a", "b", "b", "c", "c")]
    groups = [rollout for rollout, _ in kept(rows, *"123456")]
    assert [(one.image_id, [each.text for each in one.answers]) for one in groups] == [
        ("a", ["1", "2"]),
        ("b", ["3", "4"]),
    ]
    assert len(groups) == NUM_GROUPS
    assert len({one.image for one in groups}) == NUM_GROUPS


def test_boxes_are_in_pixels_of_the_original_image() -> None:
    ((rollout, _),) = kept([example()], GRAPH)
    assert rollout.truth.boxes_xyxy.tolist() == [[0, 0, 100, 200], [20, 0, 60, 40]]
    assert (rollout.box_space_wh, rollout.box_origin) == ((1000, 1000), (0, 0))  # those of the text
    (one,) = rollout.answers
    assert one.graph is not None
    assert one.graph.boxes_xyxy.tolist() == [[0, 0, 100, 200]]
    assert (one.failure, one.defects) == (None, {"dangling_relationship": 1})
    assert (one.num_tokens, one.rewards, one.reward, one.advantage) == (5, {"edge_reward": 1.0}, 2.0, 0.5)


@pytest.mark.parametrize(
    ("text", "task", "failure"),
    [
        ("a man", "sgg", "no_json"),
        ("{}", "sgg", "not_a_graph"),
        ('{"objects": [{"id', "sgg", "truncated"),
        (answer([], []), "sgg", None),
        ('{"objects": []}', "det", None),
        ('{"relationships": []}', "cls", None),
        ('{"objects": []}', "cls", "not_a_graph"),
    ],
    ids=["prose", "no list", "cut off", "empty graph", "objects alone", "relationships alone", "not what was asked"],
)
def test_an_answer_is_read_as_its_task_asks(text: str, task: str, failure: str | None) -> None:
    ((rollout, _),) = kept([example(task=task)], text)
    (one,) = rollout.answers
    assert one.failure == failure
    assert (one.graph is None) == (failure is not None)
    assert "missing_relationships" not in one.defects


@pytest.mark.parametrize(("task", "earns"), [("sgg", 0), ("cls", 5)], ids=["own objects", "given objects"])
def test_it_is_read_as_the_rewards_read_it(task: str, earns: float) -> None:
    """In thousandths these boxes are far too small; where objects are given, those of the answer are not read."""
    row, text = example(task=task), answer(OBJECTS, RELATIONSHIPS)
    columns: dict[str, Any] = {name: [row[name]] for name in REWARD_COLUMNS}
    assert REWARDS["edge_hard_reward"]([text], **columns) == [earns]
    ((rollout, _),) = kept([row], text)
    graph = rollout.answers[0].graph
    assert graph is not None
    assert graph.triplets == rollout.truth.triplets
    assert (graph.boxes_xyxy == rollout.truth.boxes_xyxy).all() == (earns > 0)


@pytest.mark.parametrize(
    ("size_wh", "space_wh", "origin", "shown_wh"),
    [
        ((40, 20), (1000, 1000), (0, 0), (40, 20)),
        ((336, 336), (1.0, 0.5), (0, 0.25), (336, 168)),
        ((336, 336), (0.25, 1.0), (0.375, 0), (84, 336)),
        ((1280, 960), (1000, 1000), (0, 0), (MAX_SIDE, MAX_SIDE * 3 // 4)),
    ],
    ids=["all of it", "wide in a square", "tall in a square", "shrunk"],
)
def test_what_pads_an_image_is_not_shown(
    size_wh: tuple[int, int], space_wh: tuple[float, float], origin: tuple[float, float], shown_wh: tuple[int, int]
) -> None:
    assert shown_part(Image.new("RGB", size_wh), space_wh, origin).size == shown_wh


def test_an_image_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "rollouts" / "0a.jpg"
    for colour in ("red", "blue"):
        save_image(Image.new("RGB", (8, 8), colour), path)
    with Image.open(path) as image:
        assert image.format == "JPEG"
        assert image.getpixel((4, 4))[0] > 200  # type: ignore[index]
    assert [one.name for one in path.parent.iterdir()] == ["0a.jpg"]
