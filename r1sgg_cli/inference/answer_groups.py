"""Answers in groups of one prompt, with what they are compared with: of `infer`, or kept by a GRPO run."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1sgg_cli.config.record import TRAINING_RECORD
from r1sgg_cli.config.yaml import load_yaml
from r1sgg_cli.data.rollouts import ROLLOUTS_FILE, Rollout, lines_of_steps, parse_rollout
from r1sgg_cli.errors import AnswersError
from r1sgg_cli.inference.answers import Answer
from r1sgg_cli.inference.answers_file import BrokenLine, answer_lines, load_answers
from r1sgg_cli.inference.ground_truth import ImageTruth, load_ground_truth
from r1sgg_cli.inference.run_record import RUN_FILE, RunRecord, load_run
from r1sgg_cli.rewards.workbench import AnswerGroup
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.typed_names import closest_beside

_ALL_STEPS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class AnswerGroups:
    """What `load_answer_groups` found."""

    groups: tuple[AnswerGroup, ...]
    dataset: str | None
    """What was asked about, or trained on; None where no record says it."""
    predicates: tuple[str, ...]
    """Those that can be said: the vocabulary's, else those that are annotated."""
    rewards: Mapping[str, float] | None = None
    """What the run was trained with, name → weight."""
    similarity: str | None = None
    """How the run compared labels."""
    passed_over: tuple[str, ...] = ()
    """What was left out, a sentence each."""


def load_answer_groups(path: Path) -> AnswerGroups:
    """The answers of a folder that `infer` or `grpo` filled, or of one file of theirs in it. Raises `AnswersError`."""
    if not path.exists():
        close = closest_beside(path)
        hint = f"did you mean `{close}`?" if close else "`r1sgg infer` and `r1sgg grpo` write such folders"
        raise AnswersError(f"no answers at `{path}`; {hint}")
    folder = path if path.is_dir() else path.parent
    if path.name == ROLLOUTS_FILE or (path.is_dir() and (path / ROLLOUTS_FILE).is_file()):
        return _of_rollouts(folder)
    if not (folder / RUN_FILE).is_file():
        raise AnswersError(
            f"`{path}` is no folder of answers, nor a file in one (`{RUN_FILE}` is missing); name what "
            "`r1sgg infer` or `r1sgg grpo` filled, not what `r1sgg gather` wrote"
        )
    run, truths = load_run(folder), load_ground_truth(folder)
    if not run["annotated"]:
        raise AnswersError(f"`{folder}` is about pictures without annotations: nothing to score; ask about a data set")
    answers, broken = _of_folder(folder) if path.is_dir() else _of_file(path)
    return _of_answers(path, run, truths, answers, broken)


def _of_folder(folder: Path) -> tuple[Mapping[str, Answer], list[BrokenLine]]:
    loaded = load_answers(folder)
    return loaded.answers, list(loaded.broken)


def _of_file(path: Path) -> tuple[Mapping[str, Answer], list[BrokenLine]]:
    answers: dict[str, Answer] = {}
    broken = []
    for _, _, found in answer_lines(path):
        if isinstance(found, BrokenLine):
            broken.append(found)
        elif found.image_id not in answers or answers[found.image_id].error is not None:
            answers[found.image_id] = found
    return answers, broken


def _of_answers(
    path: Path,
    run: RunRecord,
    truths: tuple[ImageTruth, ...],
    answers: Mapping[str, Answer],
    broken: list[BrokenLine],
) -> AnswerGroups:
    known = {truth.image_id: truth for truth in truths}
    asked = [answer for answer in answers.values() if answer.samples]
    groups = tuple(_group(answer, known[answer.image_id], run) for answer in asked if answer.image_id in known)
    if not groups:
        raise AnswersError(f"`{path}` holds no answer to an image of its ground truth; `r1sgg infer` writes them")
    counted = {
        "lines hold no answer": len(broken),
        "images could not be asked about": len(answers) - len(asked),
        "answers are about images that are not in the split": len(asked) - len(groups),
    }
    vocabulary = run["vocabulary"]
    predicates = vocabulary["predicates"] if vocabulary and vocabulary["predicates"] else _met(known.values())
    passed_over = tuple(f"{number} {what}" for what, number in counted.items() if number)
    return AnswerGroups(groups, run["dataset"], tuple(predicates), passed_over=passed_over)


def _group(answer: Answer, truth: ImageTruth, run: RunRecord) -> AnswerGroup:
    return AnswerGroup(
        image_id=answer.image_id,
        task=run["task"],
        texts=tuple(sample.text for sample in answer.samples),
        **_truth_columns(truth.graph),
        image_wh=truth.image_wh,
        box_space_wh=answer.box_space_wh,
        box_origin=answer.box_origin,
    )


def _truth_columns(graph: SceneGraph) -> dict[str, Any]:
    objects, relationships = graph.to_rows()
    return {"objects": json.dumps(objects), "relationships": json.dumps(relationships)}


def _met(truths: Iterable[ImageTruth | Rollout]) -> list[str]:
    graphs = (truth.graph if isinstance(truth, ImageTruth) else truth.truth for truth in truths)
    return sorted({triplet.predicate for graph in graphs for triplet in graph.triplets})


def _of_rollouts(folder: Path) -> AnswerGroups:
    rollouts = [parse_rollout(line, folder) for line in lines_of_steps(folder, _ALL_STEPS)]
    if not rollouts:
        raise AnswersError(f"`{folder / ROLLOUTS_FILE}` holds no rollout yet; score it once a step was taken")
    record = load_yaml(folder / TRAINING_RECORD) if (folder / TRAINING_RECORD).is_file() else {}
    recipe = record.get("recipe", {})
    return AnswerGroups(
        tuple(_group_of(rollout) for rollout in rollouts),
        record.get("dataset"),
        tuple(_met(rollouts)),
        rewards=recipe.get("rewards"),
        similarity=recipe.get("similarity"),
    )


def _group_of(rollout: Rollout) -> AnswerGroup:
    return AnswerGroup(
        image_id=rollout.image_id,
        task=rollout.task,
        texts=tuple(answer.text for answer in rollout.answers),
        **_truth_columns(rollout.truth),
        image_wh=rollout.image_wh,
        box_space_wh=rollout.box_space_wh,
        box_origin=rollout.box_origin,
        step=rollout.step,
    )
