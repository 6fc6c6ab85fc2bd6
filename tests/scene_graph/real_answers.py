"""Answers as they came from a model's mouth or a golden file, each beside its ground truth, to be mutated."""

import gzip
import json
import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from r1sgg_cli.scene_graph.graph import SceneGraph, SpaceWH, graph_from_rows
from tests.scene_graph.mutation import mutated

GOLDEN_REWARDS = Path(__file__).parents[1] / "rewards" / "golden_rewards.jsonl.gz"
IMAGE_WH = (800, 600)
"""Of the golden rewards, whose boxes are fractions."""


@dataclass(frozen=True, slots=True, eq=False)
class RealAnswer:
    """One answer, and what is annotated of its image in pixels."""

    text: str
    truth: SceneGraph
    image_wh: tuple[int, int]
    box_space_wh: SpaceWH


def load_real_answers(golden: Path | None) -> tuple[RealAnswer, ...]:
    """The 591 answers that the rewards are held to, and those of a folder of golden files where there is one."""
    with gzip.open(GOLDEN_REWARDS, "rt", encoding="utf-8") as lines:
        answers = [_golden_reward(json.loads(line)) for line in lines]
    if golden is not None:
        answers += _published_answers(golden / "eval" / "dev")
    return tuple(answers)


def _golden_reward(case: dict[str, Any]) -> RealAnswer:
    solution = case["solution"]
    truth = graph_from_rows(_first_of_each_id(solution["objects"]), solution["relationships"], (1, 1))
    width, height = case["box_scale"]
    return RealAnswer(case["completion"], truth.rescaled(IMAGE_WH), IMAGE_WH, (width, height))


def _first_of_each_id(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({item["id"]: item for item in reversed(objects)}.values())[::-1]


def _published_answers(folder: Path) -> list[RealAnswer]:
    rows = {row["image_id"]: row for row in map(json.loads, (folder / "dataset.jsonl").read_text().splitlines())}
    answers = []
    for path in sorted((folder / "raw").glob("*.json")):
        content = json.loads(path.read_text())
        row = rows.get(content["image_id"])
        if row is None:
            continue
        image_wh = row["width"], row["height"]
        truth = graph_from_rows(row["objects"], row["relationships"], image_wh)
        answers.append(
            RealAnswer(content["response"], truth, image_wh, tuple(content.get("box_scale", (1000.0, 1000.0))))
        )
    return answers


class MutatedAnswers:
    """A seeded stream of real answers with changes; the same seed gives the same stream."""

    def __init__(self, answers: tuple[RealAnswer, ...], seed: int) -> None:
        self.answers = answers
        self.generator = random.Random(seed)

    def next(self) -> tuple[str, RealAnswer]:
        """A mutated text, and the real answer whose image it is about."""
        base, other = self.generator.choices(self.answers, k=2)
        return mutated(self.generator, base.text, other.text), base


@cache
def rows_as_json(answer: RealAnswer) -> tuple[str, str]:
    """The ground truth as a data set writes it: objects and relationships."""
    objects, relationships = answer.truth.to_rows()
    return json.dumps(objects), json.dumps(relationships)
