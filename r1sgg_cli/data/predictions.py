"""`preds.json`: the predicted scene graphs of a split beside their ground truth, so that evaluation needs nothing else.

One image per line, so that the file can be read by eye and searched with grep. Boxes are in pixels of the original
image. A predicted object has its `name` beside its id where a label was mapped, and predicted objects and relationships
have a `score` where the model gave probabilities. `training` says what the data set's training split showed, where that
is known. Files without any of these read the same.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from r1sgg_cli.data.checked_rows import (
    NUMBERS,
    checked_graph,
    checked_image_wh,
    checked_list,
    checked_mapping,
    checked_truth,
)
from r1sgg_cli.data.provenance import checked_names, checked_provenance
from r1sgg_cli.errors import MALFORMED, NOT_JSON, AnswersError, in_words
from r1sgg_cli.files import save_text
from r1sgg_cli.scene_graph.graph import SceneGraph, SpaceWH
from r1sgg_cli.scene_graph.labels import normalise_label, object_name
from r1sgg_cli.scene_graph.training_names import TrainingNames
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

FORMAT = "r1sgg-predictions"
VERSION = 1
SCORE_DIGITS = 6
"""Significant ones: the probability of a triplet may be tiny."""


@dataclass(frozen=True, slots=True)
class ImagePrediction:
    """One image: what is annotated and what the model answered, both graphs in pixels of the original image."""

    image_id: str
    image_wh: tuple[int, int]
    ground_truth: SceneGraph
    prediction: SceneGraph | None
    """None exactly where `failure` says why no graph could be read."""
    failure: str | None
    """One of `scene_graph.listing.CAUSES`."""
    defects: Mapping[str, int]
    answer: str
    object_scores: tuple[float, ...] | None = None
    """Of each predicted object, from 0 to 1, by which they rank; None where there are none."""
    triplet_scores: tuple[float, ...] | None = None
    """Of each predicted triplet, likewise."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """All images of a split, in ascending order of `image_id`, and where they come from."""

    provenance: Mapping[str, Any]
    vocabulary: Vocabulary
    """The run's, whether or not its prompt listed it; empty where there was none."""
    images: tuple[ImagePrediction, ...]
    training: TrainingNames | None = None
    """What the training split of the data set showed; None where that is not known."""


def save_predictions(predictions: Predictions, path: Path) -> None:
    """Write `preds.json`, all of it or nothing. Raises `OutputError`."""
    head: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "provenance": predictions.provenance,
        "vocabulary": vocabulary_row(predictions.vocabulary),
    }
    if predictions.training is not None:
        head["training"] = predictions.training.to_json()
    lines = [f"{json.dumps(key)}: {json.dumps(value)},\n" for key, value in head.items()]
    encode = json.JSONEncoder(allow_nan=False).encode
    images = ",\n".join(encode(_image_to_row(image)) for image in predictions.images)
    save_text("{\n" + "".join(lines) + '"images": [\n' + images + "\n]\n}\n", path)


def vocabulary_row(vocabulary: Vocabulary) -> dict[str, list[str]]:
    """A vocabulary as files of predictions hold it."""
    return {"objects": list(vocabulary.objects), "predicates": list(vocabulary.predicates)}


def load_provenance(path: Path) -> tuple[dict[str, Any], Any]:
    """Where the predictions of a file come from, and its vocabulary as it stands there (`vocabulary_row`).

    Its images are not looked at. Raises `AnswersError`.
    """
    content = _load_content(path)
    try:
        return checked_provenance(content["provenance"]), content.get("vocabulary")
    except MALFORMED as error:
        raise AnswersError(f"`{path}` does not say whose predictions it holds: {in_words(error)}") from error


def load_annotated(path: Path) -> Predictions:
    """Read predictions that can be scored: of images that are annotated. Raises `AnswersError`."""
    loaded = load_predictions(path)
    if not loaded.images:
        raise AnswersError(f"`{path}` holds no images: nothing to score; run `r1sgg gather` on another folder")
    if loaded.provenance.get("annotated") is False:
        raise AnswersError(f"`{path}` is of pictures without annotations: nothing to score; ask about a data set")
    return loaded


def load_predictions(path: Path) -> Predictions:
    """Read `preds.json`, images in ascending order of `image_id`. Raises `AnswersError`."""
    content = _load_content(path)
    try:
        vocabulary = Vocabulary(
            tuple(checked_names(content["vocabulary"]["objects"])),
            tuple(checked_names(content["vocabulary"]["predicates"])),
        )
        rows, provenance = checked_list(content["images"], "`images`"), checked_provenance(content["provenance"])
        training = TrainingNames.from_json(content["training"]) if "training" in content else None
    except MALFORMED as error:
        raise AnswersError(
            f"`{path}` lacks a part of a predictions file: {in_words(error)}; run `r1sgg gather` again"
        ) from error
    images = sorted(
        (_image_from_row(row, number, path) for number, row in enumerate(rows, start=1)),
        key=lambda image: image.image_id,
    )
    for first, second in pairwise(images):
        if first.image_id == second.image_id:
            raise AnswersError(f"`{path}` holds image `{first.image_id}` twice; run `r1sgg gather` again")
    return Predictions(provenance, vocabulary, tuple(images), training)


def _load_content(path: Path) -> dict[str, Any]:
    if path.is_dir():
        raise AnswersError(
            f"`{path}` is a folder; `r1sgg gather {path} preds.json` makes a predictions file of answers"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AnswersError(f"cannot read `{path}`: {error.strerror}; `r1sgg gather OUT {path}` makes it") from error
    except NOT_JSON as error:
        raise AnswersError(f"`{path}` cannot be read: {in_words(error)}; run `r1sgg gather` again") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise AnswersError(f"`{path}` is not a predictions file; `r1sgg gather OUT preds.json` makes one")
    if content.get("version") != VERSION:
        raise AnswersError(
            f"`{path}` has version {json.dumps(content.get('version'))} of the predictions format, this r1sgg reads"
            f" {VERSION}; run `r1sgg gather` again, into another file"
        )
    return content


def graph_to_row(graph: SceneGraph) -> dict[str, Any]:
    """A graph as files of predictions and rollouts hold it, boxes in its own space."""
    objects, relationships = graph.to_rows()
    return {"objects": objects, "relationships": relationships}


def _prediction_to_row(graph: SceneGraph, image: ImagePrediction) -> dict[str, Any]:
    objects, relationships = graph.to_rows()
    named = [
        row if name == object_name(row["id"]) else {**row, "name": name}
        for row, name in zip(objects, graph.names, strict=True)
    ]
    return {
        "objects": _scored(named, image.object_scores),
        "relationships": _scored(relationships, image.triplet_scores),
    }


def _scored(rows: Sequence[Mapping[str, Any]], scores: Sequence[float] | None) -> list[Mapping[str, Any]]:
    if scores is None:
        return list(rows)
    return [{**row, "score": float(f"{score:.{SCORE_DIGITS}g}")} for row, score in zip(rows, scores, strict=True)]


def _image_to_row(image: ImagePrediction) -> dict[str, Any]:
    return {
        "image_id": image.image_id,
        "image_wh": list(image.image_wh),
        "ground_truth": graph_to_row(image.ground_truth),
        "prediction": None if image.prediction is None else _prediction_to_row(image.prediction, image),
        "failure": image.failure,
        "defects": dict(image.defects),
        "answer": image.answer,
    }


def _predicted_graph(row: Mapping[str, Any], image_wh: SpaceWH) -> SceneGraph:
    graph = checked_graph(row["objects"], row["relationships"], image_wh)
    if not any("name" in each for each in row["objects"]):
        return graph
    names = (each.get("name", name) for each, name in zip(row["objects"], graph.names, strict=True))
    return replace(graph, names=tuple(normalise_label(name) for name in names))


def _scores(rows: Sequence[Mapping[str, Any]]) -> tuple[float, ...] | None:
    """One per row, or None where no row has one. Raises `ValueError`."""
    scores = [row["score"] for row in rows if "score" in row]
    if not scores:
        return None
    if len(scores) != len(rows) or not all(type(score) in NUMBERS and 0 <= score <= 1 for score in scores):
        raise ValueError("scores must be numbers from 0 to 1, for all of the rows or for none")
    return tuple(float(score) for score in scores)


def _counts(value: Any) -> dict[str, int]:
    if not isinstance(value, dict) or not all(type(count) is int for count in value.values()):
        raise ValueError("`defects` must be counts")
    return value


def _image_from_row(row: Any, number: int, path: Path) -> ImagePrediction:
    image_id = row.get("image_id") if isinstance(row, dict) else None
    name = f"image `{image_id}`" if isinstance(image_id, str) and image_id.isprintable() else f"image {number}"
    if image_id is not None and row.get("ground_truth") is None:
        raise AnswersError(
            f"{name} of `{path}` has no ground truth: images that are not annotated cannot be scored; gather the"
            " answers to an annotated data set"
        )
    try:
        width, height = checked_image_wh(checked_mapping(row, "it")["image_wh"])
        truth = checked_mapping(row["ground_truth"], "`ground_truth`")
        predicted = None if row["prediction"] is None else checked_mapping(row["prediction"], "`prediction`")
        image = ImagePrediction(
            image_id=str(row["image_id"]),
            image_wh=(width, height),
            ground_truth=checked_truth(truth["objects"], truth["relationships"], (width, height)),
            prediction=None if predicted is None else _predicted_graph(predicted, (width, height)),
            failure=row["failure"],
            defects=_counts(row["defects"]),
            answer=row["answer"],
            object_scores=None if predicted is None else _scores(predicted["objects"]),
            triplet_scores=None if predicted is None else _scores(predicted["relationships"]),
        )
        if not isinstance(image.answer, str) or not isinstance(image.failure, str | None):
            raise ValueError("`answer` must be a text, and `failure` one or null")
        if (image.prediction is None) != (image.failure is not None):
            raise ValueError("`prediction` must be null exactly where `failure` names a reason")
    except MALFORMED as error:
        raise AnswersError(f"{name} of `{path}` cannot be read: {in_words(error)}; run `r1sgg gather` again") from error
    return image
