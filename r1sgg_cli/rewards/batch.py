"""What every reward function shares: one signature, one reading of each answer and of each ground truth."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from r1sgg_cli.config.reward_names import TASKS
from r1sgg_cli.config.schema import Task
from r1sgg_cli.errors import MALFORMED, DataError, in_words
from r1sgg_cli.scene_graph.graph import SceneGraph, SpaceWH, graph_from_rows
from r1sgg_cli.scene_graph.matching import Matching, assign_objects
from r1sgg_cli.scene_graph.parse import ParsedAnswer, ParseError, parse_answer
from r1sgg_cli.scene_graph.similarity import Similarity, exact_similarity, remembered

Completion = str | Sequence[Mapping[str, Any]]
"""An answer as plain text, or as TRL hands it over: `[{"role": "assistant", "content": text}]`."""

Score = Callable[[ParsedAnswer | None, SceneGraph, Similarity], float | None]
"""The value of one answer (`None`: it holds no graph) beside its ground truth, both in the answer's space of boxes."""


_KEPT = 4096  # answers: more than the rollouts of any one step of one process


class RewardFunction(Protocol):
    """What TRL calls: one value per completion, `None` where the reward does not apply."""

    __name__: str

    def __call__(
        self,
        completions: Sequence[Completion],
        *,
        objects: Sequence[str],
        relationships: Sequence[str],
        image_wh: Sequence[Sequence[float]],
        box_space_wh: Sequence[Sequence[float]],
        box_origin: Sequence[Sequence[float]] | None = None,
        task: Sequence[Task] | None = None,
        similarity: Similarity = exact_similarity,
        **columns: Any,
    ) -> list[float | None]:
        """Values of `completions`, in order.

        `objects` and `relationships` are the data set's JSON strings, boxes in pixels of an image of `image_wh`;
        `box_space_wh` is the space of the boxes in the completions, `box_origin` the image's corner in it (`None`: the
        zero point). `task` says what each completion was asked to list, `sgg` where it is absent. Further columns are
        ignored.
        """


def reward_function(score: Score, scored: Collection[Task] = TASKS) -> RewardFunction:
    """The reward function that applies `score` to each completion of a task in `scored`.

    It keeps the name, which logs show, and is `None` for other tasks.
    """

    def reward(
        completions: Sequence[Completion],
        *,
        objects: Sequence[str],
        relationships: Sequence[str],
        image_wh: Sequence[Sequence[float]],
        box_space_wh: Sequence[Sequence[float]],
        box_origin: Sequence[Sequence[float]] | None = None,
        task: Sequence[Task] | None = None,
        similarity: Similarity = exact_similarity,
        **columns: Any,
    ) -> list[float | None]:
        likeness = remembered(similarity)
        values: list[float | None] = []
        origins = [(0.0, 0.0)] * len(completions) if box_origin is None else box_origin
        tasks = ["sgg"] * len(completions) if task is None else task
        rows = zip(completions, objects, relationships, image_wh, box_space_wh, origins, tasks, strict=True)
        for completion, true_objects, true_relationships, size_wh, space, corner, asked in rows:
            if asked not in scored:
                values.append(None)
                continue
            space_wh = (space[0], space[1])
            truth = read_truth(true_objects, true_relationships, (size_wh[0], size_wh[1]), space_wh)
            answer = read_completion(completion_text(completion), space_wh, (corner[0], corner[1]), asked, truth)
            values.append(score(answer, truth, likeness))
        return values

    reward.__name__ = score.__name__
    reward.__doc__ = score.__doc__
    return reward


def read_completion(
    text: str, space_wh: SpaceWH, origin: tuple[float, float], task: Task, truth: SceneGraph
) -> ParsedAnswer | None:
    """An answer to what `task` asks as every reward reads it, `None` where it holds no graph. `truth` is one that
    `read_truth` keeps."""
    return read_answer(text, space_wh, origin) if task == "sgg" else read_part(text, space_wh, origin, task, truth)


@lru_cache(maxsize=_KEPT)
def read_answer(text: str, space_wh: SpaceWH, origin: tuple[float, float] = (0.0, 0.0)) -> ParsedAnswer | None:
    """The parsed answer, `None` where it holds no graph. Parsed once for all rewards."""
    try:
        return parse_answer(text, space_wh, origin)
    except ParseError:
        return None


@lru_cache(maxsize=_KEPT)
def read_part(
    text: str, space_wh: SpaceWH, origin: tuple[float, float], task: Task, truth: SceneGraph
) -> ParsedAnswer | None:
    """Like `read_answer` for an answer that lists objects only (`det`), or relationships between those of `truth`.

    `truth` is one that `read_truth` keeps, so that an answer is parsed once for each image that it is given for.
    """
    if task == "cls":
        try:
            return parse_answer(text, space_wh, given=truth)
        except ParseError:
            return None
    answer = read_answer(text, space_wh, origin)
    if answer is None or "missing_relationships" not in answer.defects:
        return answer
    asked_for = {kind: number for kind, number in answer.defects.items() if kind != "missing_relationships"}
    return replace(answer, defects=asked_for)


@lru_cache(maxsize=_KEPT)
def read_truth(objects: str, relationships: str, image_wh: SpaceWH, space_wh: SpaceWH) -> SceneGraph:
    """The ground truth with boxes in `space_wh`; raises `DataError` on rows that are no scene graph."""
    try:
        graph = graph_from_rows(json.loads(objects), json.loads(relationships), image_wh)
    except MALFORMED as error:
        raise DataError(
            f"a ground truth is no scene graph ({in_words(error)}): check the data set's `objects` and"
            f" `relationships`: {objects:.80}"
        ) from error
    if not np.isfinite(graph.boxes_xyxy).all():
        raise DataError(f"a ground-truth box is not finite: correct the data set's `objects`: {objects:.80}")
    return graph.rescaled(space_wh)


@lru_cache(maxsize=_KEPT)
def read_matching(prediction: SceneGraph, truth: SceneGraph, similarity: Similarity) -> Matching:
    """The matching of two graphs that `read_answer` and `read_truth` keep, made once for all rewards."""
    return assign_objects(truth, prediction, similarity)


def completion_text(completion: Completion) -> str:
    """What was written, as a text or as the last turn of a conversation."""
    if isinstance(completion, str):
        return completion
    content: str = completion[-1]["content"]
    return content
