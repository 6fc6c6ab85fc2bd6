"""What rewards are worth before a training trusts them: values of answers that are there, and of answers that cheat.

GRPO learns from differences within a group, the answers to one prompt: a reward that is the same for all of a group
teaches nothing there, however high it is.
"""

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r1sgg_cli.config.schema import Task
from r1sgg_cli.rewards.adversaries import COMPARED_WITH, HONEST, KINDS, ONE_GUESS, adversarial_answers
from r1sgg_cli.rewards.batch import RewardFunction, read_completion, read_truth
from r1sgg_cli.scene_graph.graph import SpaceWH

READING = "reading"
"""Under which name the time is kept that parsing takes, once for all rewards."""
EQUAL = 1e-9
"""Values that differ by less are the same."""
MARGIN = 0.01
"""Share of what the truth earns, by less of which no answer is worth less: a policy would not feel it."""
_BATCH = 512  # answers; each is parsed once, as the rewards keep what they read of some thousand

Values = NDArray[np.float64]
"""Shape (answers, rewards), each without its weight; NaN where a reward does not apply."""


@dataclass(frozen=True, slots=True)
class AnswerGroup:
    """The answers to one prompt, and what they are compared with."""

    image_id: str
    task: Task
    texts: tuple[str, ...]
    objects: str
    """The data set's JSON, boxes in pixels of the original image."""
    relationships: str
    image_wh: tuple[int, int]
    box_space_wh: SpaceWH
    """The space of the boxes in the texts."""
    box_origin: tuple[float, float] = (0.0, 0.0)
    step: int | None = None
    """Of the training in which they were sampled."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Answers with what each reward gives them, group after group."""

    names: tuple[str, ...]
    values: Values
    group: NDArray[np.intp]
    """Of each answer, its group's place."""
    seconds: Mapping[str, float]
    """CPU time of each reward, and of `READING`, over all answers."""

    def total(self, weights: Mapping[str, float]) -> NDArray[np.float64]:
        """The weighted sum of each answer, of the rewards that apply, as TRL has it; NaN where none does."""
        weighted = self.values * np.array([weights[name] for name in self.names])
        return np.where(np.isnan(weighted).all(axis=1), np.nan, np.nansum(weighted, axis=1))


@dataclass(frozen=True, slots=True)
class Summary:
    """One reward over all answers; NaN where there is nothing to tell."""

    mean: float
    deviation: float
    """Standard deviation over the answers to which it applies."""
    zeros: float
    """Share of exactly 0 among those."""
    absent: float
    """Share of answers to which it does not apply."""
    within: float
    """Mean over groups of the standard deviation within one (n − 1), which is what GRPO divides by."""
    flat: float
    """Share of groups in which all answers earn the same: no gradient."""


def score_groups(groups: Sequence[AnswerGroup], rewards: Sequence[RewardFunction]) -> Scored:
    """Every reward of every answer. Raises `R1SGGError` for a reward of the user's own that returns no values."""
    names = tuple(reward.__name__ for reward in rewards)
    seconds = dict.fromkeys((READING, *names), 0.0)
    values = [np.empty((0, len(names)))]
    for batch in _batches(groups):
        columns = _columns(batch)
        start = time.process_time()
        _read(columns)
        seconds[READING] += time.process_time() - start
        earned = []
        for name, reward in zip(names, rewards, strict=True):
            start = time.process_time()
            earned.append(reward(**columns))
            seconds[name] += time.process_time() - start
        values.append(np.array(earned, dtype=np.float64).T)  # None becomes NaN
    group = np.repeat(np.arange(len(groups)), [len(group.texts) for group in groups])
    return Scored(names, np.concatenate(values), group, seconds)


def _batches(groups: Sequence[AnswerGroup]) -> Iterator[list[AnswerGroup]]:
    batch: list[AnswerGroup] = []
    for group in groups:
        batch.append(group)
        if sum(len(one.texts) for one in batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _columns(groups: Sequence[AnswerGroup]) -> dict[str, Any]:
    """What TRL hands to a reward, less what only a training has: prompts and token ids."""
    rows = [(group, text) for group in groups for text in group.texts]
    return {
        "completions": [[{"role": "assistant", "content": text}] for _, text in rows],
        "image_id": [group.image_id for group, _ in rows],
        "objects": [group.objects for group, _ in rows],
        "relationships": [group.relationships for group, _ in rows],
        "image_wh": [list(group.image_wh) for group, _ in rows],
        "box_space_wh": [list(group.box_space_wh) for group, _ in rows],
        "box_origin": [list(group.box_origin) for group, _ in rows],
        "task": [group.task for group, _ in rows],
    }


def _read(columns: Mapping[str, Any]) -> None:
    """Parse every answer as the rewards are about to, which keep what was read."""
    names = ("completions", "objects", "relationships", "image_wh", "box_space_wh", "box_origin", "task")
    for completion, objects, relationships, image_wh, space, origin, task in zip(
        *(columns[name] for name in names), strict=True
    ):
        space_wh = (space[0], space[1])
        truth = read_truth(objects, relationships, (image_wh[0], image_wh[1]), space_wh)
        read_completion(completion[-1]["content"], space_wh, (origin[0], origin[1]), task, truth)


def summarise(values: NDArray[np.float64], group: NDArray[np.intp]) -> Summary:
    """One column of values, of which groups of two and more say how much is learned from it."""
    applied = ~np.isnan(values)
    if not applied.any():
        return Summary(np.nan, np.nan, np.nan, 1.0, np.nan, np.nan)
    present, group = values[applied], group[applied]
    counts = np.bincount(group)
    means = np.bincount(group, present) / np.maximum(counts, 1)
    squares = np.bincount(group, (present - means[group]) ** 2)
    several = counts >= 2
    within = np.sqrt(squares[several] / (counts[several] - 1))
    return Summary(
        mean=float(present.mean()),
        deviation=float(present.std()),
        zeros=float((present == 0).mean()),
        absent=float(1 - applied.mean()),
        within=float(within.mean()) if several.any() else np.nan,
        flat=float((within < EQUAL).mean()) if several.any() else np.nan,
    )


def correlations(values: Values) -> Values:
    """Pearson correlation of every two rewards, over the answers to which both apply; NaN where one does not vary."""
    number = values.shape[1]
    matrix = np.full((number, number), np.nan)
    for one in range(number):
        for other in range(number):
            both = values[~np.isnan(values[:, [one, other]]).any(axis=1)][:, [one, other]]
            if len(both) > 1 and (both.std(axis=0) > EQUAL).all():
                matrix[one, other] = np.corrcoef(both.T)[0, 1]
    return matrix


@dataclass(frozen=True, slots=True)
class Adversary:
    """What one kind of answer earns in the mean over the sampled images."""

    kind: str
    rewards: tuple[float, ...]
    """NaN where a reward never applies."""
    total: float
    lead: float
    """By how much what it is compared with earns more on the same images: the truth, or what `COMPARED_WITH` names."""

    @property
    def is_yardstick(self) -> bool:
        """Whether others are compared with it."""
        return self.kind in (HONEST, ONE_GUESS)

    @property
    def pays(self) -> bool:
        """Whether it earns as much as what it is compared with, up to a hundredth, or more."""
        return not self.is_yardstick and self.lead <= MARGIN * abs(self.total + self.lead)


def adversarial_table(
    groups: Sequence[AnswerGroup],
    rewards: Sequence[RewardFunction],
    weights: Mapping[str, float],
    predicates: Sequence[str],
    questions: Mapping[Task, str],
) -> list[Adversary]:
    """What each of `KINDS` earns on the images of these groups, the honest one first.

    `predicates` are those that can be said, `questions` what each task was asked.
    """
    answered = [(group, _adversaries_of(group, predicates, questions[group.task])) for group in groups]
    cheating = [replace(group, texts=tuple(itertools.chain(*texts.values()))) for group, texts in answered]
    scored = score_groups(cheating, rewards)
    kinds = np.array([kind for _, texts in answered for kind, several in texts.items() for _ in several])
    rows = {kind: kinds == kind for kind in KINDS if kind in kinds}
    totals = {kind: _mean_of_groups(scored.total(weights), scored.group, chosen) for kind, chosen in rows.items()}
    return [
        Adversary(
            kind,
            tuple(_mean(scored.values[chosen, column]) for column in range(len(scored.names))),
            total=_mean(totals[kind]),
            lead=_mean(totals[COMPARED_WITH.get(kind, HONEST)] - totals[kind]),
        )
        for kind, chosen in rows.items()
    ]


def _adversaries_of(group: AnswerGroup, predicates: Sequence[str], question: str) -> dict[str, tuple[str, ...]]:
    truth = read_truth(group.objects, group.relationships, group.image_wh, group.box_space_wh)
    shifted = replace(truth, boxes_xyxy=truth.boxes_xyxy + np.array(group.box_origin * 2))
    return adversarial_answers(shifted, predicates, question, group.task)


def _mean_of_groups(
    values: NDArray[np.float64], group: NDArray[np.intp], chosen: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The mean of each group's chosen values, shape (groups,); NaN for a group that has none."""
    num_groups = int(group.max()) + 1
    counts = np.bincount(group[chosen], minlength=num_groups)
    sums = np.bincount(group[chosen], values[chosen], num_groups)
    return np.divide(sums, counts, out=np.full(num_groups, np.nan), where=counts > 0)


def _mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan
