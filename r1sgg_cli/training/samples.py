"""The rollouts of a GRPO run that are kept to be looked at: whole groups, as the rewards read and scored them."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isnan
from pathlib import Path
from typing import Any

from PIL import Image
from transformers import TrainerState

from r1sgg_cli.config.schema import GRPORun
from r1sgg_cli.data.rollouts import IMAGES_FOLDER, Rollout, RolloutAnswer
from r1sgg_cli.files import replacing
from r1sgg_cli.rewards.batch import read_completion, read_truth
from r1sgg_cli.scene_graph.graph import SceneGraph, SpaceWH
from r1sgg_cli.scene_graph.parse import ParseError, parse_answer
from r1sgg_cli.training.processes import is_first

NUM_GROUPS = 2
"""Of one step."""
MAX_SIDE = 640
"""Of a kept image, in pixels."""
JPEG_QUALITY = 85


@dataclass(frozen=True, slots=True)
class Scored:
    """An answer as TRL has scored it."""

    text: str
    num_tokens: int
    rewards: Mapping[str, float | None]
    reward: float | None
    advantage: float


class KeepsRollouts:
    """Mixed into TRL's GRPO trainer, before it: some of the answers are at hand until they are taken from `kept`.

    Those of the first and of the last step and of each that `show_every` divides; of the first process alone.
    """

    state: TrainerState
    model: Any
    num_iterations: int
    reward_func_names: list[str]
    reward_weights: Any
    _logs: dict[str, Any]

    def __init__(self, *, run: GRPORun, **options: Any) -> None:
        self.show_every = run.recipe.show_every
        self.kept: list[tuple[Rollout, Image.Image]] = []
        super().__init__(run=run, **options)  # type: ignore[call-arg]

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        output = super()._generate_and_score_completions(inputs)  # type: ignore[misc]
        step = self.state.global_step + 1
        served = range(step, step + self.num_iterations)  # all steps that train on these answers
        if is_first() and any(one in (1, self.state.max_steps) or one % self.show_every == 0 for one in served):
            num_tokens = output["completion_mask"].sum(dim=1).tolist()
            self.kept = list(kept_groups(step, inputs, self._scored(num_tokens)))
        return output

    def _scored(self, num_tokens: Sequence[int]) -> list[Scored]:
        """The first process's answers. TRL gathers those of all processes in order, and keeps the last step's."""
        texts = [turns[-1]["content"] for turns in self._logs["completion"]]
        values = zip(*(self._logs["rewards"][name] for name in self.reward_func_names), strict=True)
        weights = self.reward_weights.tolist()
        scored = []
        for length, text, earned, advantage in zip(num_tokens, texts, values, self._logs["advantages"], strict=False):
            applied = [weight * value for weight, value in zip(weights, earned, strict=True) if not isnan(value)]
            named = zip(self.reward_func_names, earned, strict=True)
            rewards = {name: None if isnan(value) else value for name, value in named}  # NaN: does not apply
            scored.append(Scored(text, length, rewards, sum(applied) if applied else None, advantage))
        return scored


def kept_groups(
    step: int, rows: Sequence[Mapping[str, Any]], answers: Sequence[Scored]
) -> Iterator[tuple[Rollout, Image.Image]]:
    """The first groups of a step with their images. `rows` are examples, one for each answer."""
    both = zip(rows, answers, strict=True)
    for number, (_, members) in enumerate(groupby(both, key=lambda one: (one[0]["image_id"], one[0]["task"]))):
        if number == NUM_GROUPS:
            return
        group = list(members)
        row = group[0][0]
        image = shown_part(row["image"], row["box_space_wh"], row["box_origin"])
        width, height = row["image_wh"]
        space = row["box_space_wh"][0], row["box_space_wh"][1]
        truth = read_truth(row["objects"], row["relationships"], (width, height), space)
        yield (
            Rollout(
                step=step,
                image_id=row["image_id"],
                image=f"{IMAGES_FOLDER}/{hashlib.sha256(row['image_id'].encode()).hexdigest()[:16]}.jpg",
                image_wh=(width, height),
                task=row["task"],
                truth=truth.rescaled((width, height)),
                answers=tuple(_answer(row, truth, answer) for _, answer in group),
                box_space_wh=space,
                box_origin=(row["box_origin"][0], row["box_origin"][1]),
            ),
            image,
        )


def _answer(row: Mapping[str, Any], truth: SceneGraph, scored: Scored) -> RolloutAnswer:
    (width, height), (left, top) = row["box_space_wh"], row["box_origin"]
    parsed = read_completion(scored.text, (width, height), (left, top), row["task"], truth)
    given = truth if row["task"] == "cls" else None
    return RolloutAnswer(
        text=scored.text,
        num_tokens=scored.num_tokens,
        graph=None if parsed is None else parsed.graph.rescaled(tuple(row["image_wh"])),
        failure=_why_unread(scored.text, (width, height), given) if parsed is None else None,
        defects={} if parsed is None else dict(parsed.defects),
        rewards=scored.rewards,
        reward=scored.reward,
        advantage=scored.advantage,
    )


def _why_unread(text: str, space_wh: SpaceWH, given: SceneGraph | None) -> str:
    try:
        parse_answer(text, space_wh, given=given)
    except ParseError as error:
        return error.kind
    raise AssertionError("the rewards read no graph in an answer that has one")


def shown_part(image: Image.Image, box_space_wh: Sequence[float], box_origin: Sequence[float]) -> Image.Image:
    """What the model saw of the image itself, without the padding that makes it square, `MAX_SIDE` at most."""
    across, down = (space + 2 * origin for space, origin in zip(box_space_wh, box_origin, strict=True))
    left, top = box_origin[0] / across * image.width, box_origin[1] / down * image.height
    shown = image.crop((round(left), round(top), round(image.width - left), round(image.height - top)))
    shown.thumbnail((MAX_SIDE, MAX_SIDE))
    return shown


def save_image(image: Image.Image, path: Path) -> None:
    """Write a kept image, whole or not at all, unless it is there. Raises `OSError`."""
    if path.exists():
        return
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as temporary:
        image.save(temporary, "JPEG", quality=JPEG_QUALITY)
