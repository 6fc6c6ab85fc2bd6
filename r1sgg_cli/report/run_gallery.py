"""Kept rollouts as they stand on a run's page: the photo with boxes and the graph, annotated and answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image

from r1sgg_cli.data.predictions import ImagePrediction
from r1sgg_cli.data.rollouts import Rollout, RolloutAnswer, lines_of_steps, parse_rollout
from r1sgg_cli.errors import AnswersError
from r1sgg_cli.report.curves import format_number
from r1sgg_cli.report.gallery import Panel, answer_panel, truth_panel
from r1sgg_cli.report.overlay import Photo, encode_photo
from r1sgg_cli.report.samples import DrawnGraph, drawn_graph

MAX_STEPS = 6
"""Steps whose rollouts are on the page: the first, the last, and some between."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture of a group: what is annotated, or one of its answers."""

    panel: Panel
    graph: DrawnGraph | None
    """None where no graph could be read, and for the worst answer: to place a large graph's nodes takes a second."""


@dataclass(frozen=True, slots=True)
class ScoredAnswer:
    """A row of a group's table."""

    number: int
    values: tuple[str, ...]
    """One for each column."""
    text: str
    is_shown: bool


@dataclass(frozen=True, slots=True)
class GroupSection:
    """One group on the page."""

    step: int
    image_id: str
    task: str
    photo: Photo
    shown: tuple[Shown, ...]
    columns: tuple[str, ...]
    answers: tuple[ScoredAnswer, ...]
    """The best first."""


def group_sections(folder: Path) -> list[GroupSection]:
    """The groups of a run's folder, the newest first. Raises `AnswersError`."""
    return [_section(line, folder) for line in lines_of_steps(folder, MAX_STEPS)]


@lru_cache(maxsize=4 * MAX_STEPS)
def _section(line: str, folder: Path) -> GroupSection:
    """Remembered: a page is written again and again, and most of what it shows has been drawn before."""
    rollout = parse_rollout(line, folder)
    photo = encode_photo(load_image(rollout, folder))
    order = by_reward(rollout.answers)
    ends = list(dict.fromkeys((order[0], order[-1])))
    names = ["Best answer", "Worst answer"] if len(ends) == 2 else ["The answer"]
    columns = tuple(rollout.answers[0].rewards)
    shown = [_shown_answer(rollout, index, name, photo) for index, name in zip(ends, names, strict=True)]
    return GroupSection(
        step=rollout.step,
        image_id=rollout.image_id,
        task=rollout.task,
        photo=photo,
        shown=(Shown(truth_panel(_prediction(rollout, ends[0]), photo), drawn_graph(rollout.truth)), *shown),
        columns=(*(name.removesuffix("_reward").replace("_", " ") for name in columns), "sum", "advantage", "tokens"),
        answers=tuple(_scored(index, rollout.answers[index], columns, index in ends) for index in order),
    )


def by_reward(answers: Sequence[RolloutAnswer]) -> list[int]:
    """Indices of answers, the best first; of equals, the first one first."""
    return sorted(range(len(answers)), key=lambda i: -_reward(answers[i]))


def _reward(answer: RolloutAnswer) -> float:
    return float("-inf") if answer.reward is None else answer.reward


def load_image(rollout: Rollout, folder: Path) -> Image.Image:
    """A group's image. Raises `AnswersError`."""
    try:
        with Image.open(folder / rollout.image) as image:
            return image.convert("RGB")
    except OSError as error:
        reason = error.strerror or "it is no picture"
        raise AnswersError(
            f"cannot read `{folder / rollout.image}`, a picture of `rollouts.jsonl`: {reason}; put it back, or delete "
            "the lines that name it"
        ) from error


def _shown_answer(rollout: Rollout, index: int, name: str, photo: Photo) -> Shown:
    answer = rollout.answers[index]
    reward = "none" if answer.reward is None else format_number(answer.reward)
    panel = answer_panel(f"{name}: reward {reward}", _prediction(rollout, index), photo)
    is_best = index == by_reward(rollout.answers)[0]
    return Shown(panel, drawn_graph(answer.graph) if is_best and answer.graph is not None else None)


def _prediction(rollout: Rollout, index: int) -> ImagePrediction:
    answer = rollout.answers[index]
    return ImagePrediction(
        rollout.image_id,
        rollout.image_wh,
        rollout.truth,
        answer.graph,
        answer.failure,
        answer.defects,
        answer.text,
    )


def _scored(index: int, answer: RolloutAnswer, columns: Sequence[str], is_shown: bool) -> ScoredAnswer:
    values = [answer.rewards[name] for name in columns]
    told = [*values, answer.reward, answer.advantage, float(answer.num_tokens)]
    return ScoredAnswer(
        index + 1, tuple("–" if value is None else format_number(value) for value in told), answer.text, is_shown
    )
