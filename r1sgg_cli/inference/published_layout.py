"""Answers as the published code writes them: a folder of JSON files, one per image.

    {"image_id": "2315061", "response": "<think>…", "gt_objects": "[…]", "gt_relationships": "[…]",
     "box_scale": [1000.0, 1000.0]}

`box_scale` is the width and height of the image in the unit of the boxes; older files lack it, and then the model's
family tells. No file says how large its image is or how the model was asked: sizes and ground truth come from the data
set, and `gt_objects` and `gt_relationships` are not read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from r1sgg_cli import __version__
from r1sgg_cli.errors import MALFORMED, AnswersError, in_words
from r1sgg_cli.inference.answered_split import OPEN_VOCABULARY, AnsweredSplit, named_images
from r1sgg_cli.inference.answers import Answer, Sample, checked_space_wh
from r1sgg_cli.inference.answers_file import BrokenLine, LoadedAnswers
from r1sgg_cli.inference.ground_truth import GROUND_TRUTH_FILE, ImageTruth
from r1sgg_cli.inference.run_record import RUN_FILE, RunRecord
from r1sgg_cli.scene_graph.graph import SpaceWH
from r1sgg_cli.scene_graph.training_names import TrainingNames
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

if TYPE_CHECKING:  # it imports transformers, and most folders need no family
    from r1sgg_cli.models.families import ModelFamily

NOT_ON_RECORD = "not on record"
_NOWHERE: SpaceWH = (1.0, 1.0)


class DatasetAsked(NamedTuple):
    """The data set whose images were asked about."""

    name: str
    split: str | None
    fingerprint: str | None
    vocabulary: Vocabulary | None
    truths: tuple[ImageTruth, ...]
    training: TrainingNames | None = None
    """What its training split showed; None where that is not known."""

    @property
    def in_words(self) -> str:
        """Data set and split, for a message."""
        return f"`{self.name}`" if self.split is None else f"split `{self.split}` of `{self.name}`"


class _File(NamedTuple):
    image_id: str
    response: str
    box_space_wh: SpaceWH | None


class LoadedFiles(NamedTuple):
    """The files of a folder that hold an answer, and those that hold none."""

    files: list[_File]
    broken: list[BrokenLine]


def is_published_layout(folder: Path) -> bool:
    """Whether a folder holds JSON files and nothing that `infer` begins a folder with."""
    return not (folder / RUN_FILE).exists() and not (folder / GROUND_TRUTH_FILE).exists() and any(folder.glob("*.json"))


def load_published(folder: Path, asked: DatasetAsked, family: ModelFamily | None) -> AnsweredSplit:
    """The answers of a folder beside the data set's images.

    `family` says where the boxes of files without `box_scale` live. Raises `AnswersError`.
    """
    files, broken = load_files(folder)
    unsaid = [file.image_id for file in files if file.box_space_wh is None]
    if unsaid and (family is None or family.relative_side is None):
        way_out = (
            "add `--family` with the model's (`qwen2_vl` counts to 1000, which the published code takes for granted)"
            if family is None
            else f"{family.name} writes pixels of an image whose size only `box_scale` can tell: answer again"
        )
        raise AnswersError(
            f"{len(unsaid)} files of `{folder}` have no `box_scale`, so nothing says in what unit their boxes are:"
            f" {named_images(unsaid)}; {way_out}"
        )
    wh_of = {truth.image_id: truth.image_wh for truth in asked.truths}
    answers: dict[str, Answer] = {}
    repeated = []
    for file in files:
        answer = _answer(file, wh_of.get(file.image_id), family)
        if answers.setdefault(file.image_id, answer) is not answer:
            repeated.append(file.image_id)
    return AnsweredSplit(
        run=published_record(folder, asked, family),
        vocabulary=asked.vocabulary or OPEN_VOCABULARY,
        truths=asked.truths,
        loaded=LoadedAnswers(answers, tuple(repeated), tuple(broken)),
        how_to_go_on="let the program that wrote the folder answer them, or name the data set and split it asked about",
        training=asked.training,
    )


def load_files(folder: Path) -> LoadedFiles:
    """What a folder's files hold, in the order of their names. Raises `AnswersError` where none holds an answer."""
    files: list[_File] = []
    broken: list[BrokenLine] = []
    for path in sorted(folder.glob("*.json")):
        try:
            files.append(_parse_file(json.loads(path.read_bytes())))
        except OSError as error:
            raise AnswersError(f"cannot read `{path}`: {error.strerror}; make it readable") from error
        except MALFORMED as error:
            broken.append(BrokenLine(getattr(error, "lineno", 1), f"no answer in it ({in_words(error)})", path.name))
    if not files:
        raise AnswersError(
            f"no file of `{folder}` holds an answer ({broken[0].file}: {broken[0].reason}); name a folder that"
            " `r1sgg infer` or the published code filled"
        )
    return LoadedFiles(files, broken)


def _parse_file(value: Mapping[str, Any]) -> _File:
    if not isinstance(value["response"], str):
        raise ValueError("`response` is no text")
    if not isinstance(value["image_id"], str | int):
        raise ValueError("`image_id` is no text")
    scale = value.get("box_scale")
    space_wh = None if scale is None else checked_space_wh(scale, "box_scale")
    return _File(str(value["image_id"]), value["response"], space_wh)


def _answer(file: _File, image_wh: tuple[int, int] | None, family: ModelFamily | None) -> Answer:
    # How the text ended and how long it is, nothing says; what reads these answers does not ask.
    samples = (Sample(file.response, "stop", 0),)
    if file.box_space_wh is not None:
        return Answer(file.image_id, file.box_space_wh, samples)
    if image_wh is None or family is None:  # of another split, left out
        return Answer(file.image_id, _NOWHERE, samples)
    return Answer(file.image_id, family.box_space_wh(image_wh, image_wh), samples, family.box_origin(image_wh))


def published_record(answers: Path, asked: DatasetAsked, family: ModelFamily | None) -> RunRecord:
    """What is known of the run that wrote a folder or file of the published code."""
    return {
        "model": f"the model of {answers}",
        "model_fingerprint": None,
        "base": None,
        "revision": None,
        "family": family.name if family else NOT_ON_RECORD,
        "dataset": asked.name,
        "dataset_fingerprint": asked.fingerprint,
        "annotated": True,
        "split": asked.split,
        "split_size": len(asked.truths),
        "limit": None,
        "task": "sgg",
        "prompts": {},
        "generation": {},
        "vocabulary": None,
        "versions": {"r1sgg": __version__},
        "command": NOT_ON_RECORD,
    }
