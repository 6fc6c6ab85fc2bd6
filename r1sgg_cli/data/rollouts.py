"""Rollouts that a GRPO run keeps to be looked at: an image, what is annotated, and the answers of its group.

`rollouts.jsonl` has a line for each group, which begins with its step; `rollouts/` has each image once, as the model
saw it. Boxes are in pixels of the original image.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1sgg_cli.config.schema import Task
from r1sgg_cli.data.checked_rows import checked_graph
from r1sgg_cli.data.predictions import graph_to_row
from r1sgg_cli.errors import MALFORMED, AnswersError, in_words
from r1sgg_cli.scene_graph.graph import SceneGraph, SpaceWH

ROLLOUTS_FILE = "rollouts.jsonl"
IMAGES_FOLDER = "rollouts"
_STEP = re.compile(r'\{"step": (\d+),')


@dataclass(frozen=True, slots=True)
class RolloutAnswer:
    """One answer of a group, and what it earned."""

    text: str
    num_tokens: int
    graph: SceneGraph | None
    """None exactly where `failure` says why none could be read."""
    failure: str | None
    defects: Mapping[str, int]
    rewards: Mapping[str, float | None]
    """By the reward's name, without its weight; None where it does not apply."""
    reward: float | None
    """Their weighted sum; None where no reward applies."""
    advantage: float


@dataclass(frozen=True, slots=True)
class Rollout:
    """A group: the answers to one prompt in one step, or those of them that the first process sampled."""

    step: int
    image_id: str
    image: str
    """Path of its image, from the run's folder."""
    image_wh: tuple[int, int]
    task: Task
    truth: SceneGraph
    answers: tuple[RolloutAnswer, ...]
    box_space_wh: SpaceWH
    """The space of the boxes in the texts."""
    box_origin: tuple[float, float] = (0.0, 0.0)
    """The image's top left corner in the numbers of those boxes."""


def rollout_to_row(rollout: Rollout) -> dict[str, Any]:
    """What `rollouts.jsonl` holds of a group."""
    return {
        "step": rollout.step,
        "image_id": rollout.image_id,
        "image": rollout.image,
        "image_wh": list(rollout.image_wh),
        "box_space_wh": list(rollout.box_space_wh),
        "box_origin": list(rollout.box_origin),
        "task": rollout.task,
        "ground_truth": graph_to_row(rollout.truth),
        "answers": [_answer_to_row(answer) for answer in rollout.answers],
    }


def _answer_to_row(answer: RolloutAnswer) -> dict[str, Any]:
    return {
        "reward": answer.reward,
        "advantage": answer.advantage,
        "rewards": dict(answer.rewards),
        "num_tokens": answer.num_tokens,
        "text": answer.text,
        "prediction": None if answer.graph is None else graph_to_row(answer.graph),
        "failure": answer.failure,
        "defects": dict(answer.defects),
    }


def parse_rollout(line: str, folder: Path) -> Rollout:
    """The group of a line of `rollouts.jsonl`. Raises `AnswersError` for one that is broken."""
    try:
        row = json.loads(line)
        if not re.fullmatch(rf"{IMAGES_FOLDER}/[0-9a-f]+\.jpg", row["image"]):  # no other file is ever opened
            raise ValueError(f"`{row['image']}` is no kept image")
        image_wh = int(row["image_wh"][0]), int(row["image_wh"][1])
        answers = tuple(_answer_from_row(answer, image_wh) for answer in row["answers"])
        if len({frozenset(answer.rewards) for answer in answers}) != 1:
            raise ValueError("`answers` must be one or more, with the same rewards")
        return Rollout(
            int(row["step"]),
            str(row["image_id"]),
            row["image"],
            image_wh,
            row["task"],
            _graph_from_row(row["ground_truth"], image_wh),
            answers,
            _pair(row["box_space_wh"]),
            _pair(row["box_origin"]),
        )
    except MALFORMED as error:
        path = folder / ROLLOUTS_FILE
        raise AnswersError(f"`{path}` has a line that cannot be read ({in_words(error)}); delete that line") from error


def _pair(numbers: Sequence[Any]) -> tuple[float, float]:
    first, second = (float(number) for number in numbers)
    return first, second


def _answer_from_row(row: Mapping[str, Any], image_wh: tuple[int, int]) -> RolloutAnswer:
    predicted = row["prediction"]
    if (predicted is None) != (row["failure"] is not None):
        raise ValueError("`prediction` must be null exactly where `failure` names a reason")
    return RolloutAnswer(
        text=str(row["text"]),
        num_tokens=int(row["num_tokens"]),
        graph=None if predicted is None else _graph_from_row(predicted, image_wh),
        failure=row["failure"],
        defects=dict(row["defects"]),
        rewards={str(name): None if value is None else float(value) for name, value in row["rewards"].items()},
        reward=None if row["reward"] is None else float(row["reward"]),
        advantage=float(row["advantage"]),
    )


def _graph_from_row(row: Mapping[str, Any], image_wh: tuple[int, int]) -> SceneGraph:
    return checked_graph(row["objects"], row["relationships"], image_wh)


def lines_of_steps(folder: Path, num_steps: int) -> list[str]:
    """The lines of at most `num_steps` (2 or more) of the steps that a run kept, the newest first.

    Lines of other steps are not decoded: a long run has thousands. Half a line at the end is left out. Raises
    `AnswersError` for a line that is no group's.
    """
    path = folder / ROLLOUTS_FILE
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
    steps = [_step_of(line, path) for line in lines]
    chosen = chosen_steps(sorted(set(steps)), num_steps)
    numbered = [(step, i, line) for i, (step, line) in enumerate(zip(steps, lines, strict=True)) if step in chosen]
    return [line for _, _, line in sorted(numbered, key=lambda one: (-one[0], one[1]))]


def _step_of(line: str, path: Path) -> int:
    found = _STEP.match(line)
    if found is None:
        raise AnswersError(f"`{path}` has a line that begins with no step ({line:.40}); delete that line")
    return int(found[1])


def chosen_steps(steps: Sequence[int], limit: int) -> list[int]:
    """At most `limit` of the steps: the first, the last, and some between them at equal distances.

    The distance doubles as a run goes on, so that most of what was shown before is shown again.
    """
    distance = 1
    while len(chosen := {*steps[::distance], *steps[-1:]}) > limit:
        distance *= 2
    return sorted(chosen)
