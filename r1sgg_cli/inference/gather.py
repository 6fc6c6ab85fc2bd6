"""Answers → predictions: every answer parsed, its boxes brought to pixels of the original image, beside the truth.

Names outside the run's vocabulary are mapped where a table is given (`label_mapping`). Those that nothing maps stay as
the model wrote them: they are wrong when scored, and counted here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1sgg_cli.config.differences import differences
from r1sgg_cli.counted import counted
from r1sgg_cli.data.predictions import ImagePrediction, Predictions, load_provenance, vocabulary_row
from r1sgg_cli.errors import AnswersError, OutputError
from r1sgg_cli.inference.answered_split import NUM_NAMED, AnsweredSplit, named_images
from r1sgg_cli.inference.answers import Answer
from r1sgg_cli.inference.ground_truth import ImageTruth
from r1sgg_cli.inference.label_mapping import LabelMapping
from r1sgg_cli.inference.picking import Pick, picked_reading
from r1sgg_cli.inference.reading import Reader, Reading
from r1sgg_cli.scene_graph.listing import MISSING, NOT_ASKED

SAME_RUN = (
    *("model", "model_fingerprint", "revision", "dataset", "dataset_fingerprint", "split"),
    *("task", "prompts", "generation"),
)
"""What two runs have in common whose answers may be told apart by nothing."""


def gather_split(
    split: AnsweredSplit, *, allow_missing: bool = False, pick: Pick = "first", mapping: LabelMapping | None = None
) -> Predictions:
    """One prediction per image of the split.

    `provenance["gather"]` says what was passed over and what was mapped. Raises `AnswersError`, also for images without
    an answer unless `allow_missing` counts them as failures.
    """
    answers = split.loaded.answers
    missing = [truth.image_id for truth in split.truths if truth.image_id not in answers]
    if answers and len(missing) == len(split.truths):
        raise AnswersError(
            f"the {counted(len(answers), 'answer')} found are about none of the images of the split;"
            f" {split.how_to_go_on}"
        )
    if missing and not allow_missing:
        broken = ", ".join(f"line {line.line_number} of `{line.file}`" for line in split.loaded.broken[:NUM_NAMED])
        unread = f" ({broken} cannot be read)" if broken else ""
        raise AnswersError(
            f"{len(missing)} of {counted(len(split.truths), 'image')} have no answer: {named_images(missing)}{unread};"
            f" {split.how_to_go_on}, or add `--allow-missing` to count them as failures"
        )
    mapping = mapping or LabelMapping(split.vocabulary)
    reader = Reader(split.vocabulary, mapping, split.run["task"])
    images = [_predict(truth, answers.get(truth.image_id), reader, pick) for truth in split.truths]
    return Predictions(
        provenance=_provenance(split, pick, mapping),
        vocabulary=split.vocabulary,
        images=tuple(sorted(images, key=lambda image: image.image_id)),
        training=split.training,
    )


def what_is_replaced(path: Path, predictions: Predictions) -> str | None:
    """What to say of a file of the same run that `predictions` are about to replace; None where there is none.

    Raises `OutputError` for one of another model, data set or way of asking, and where that cannot be told.
    """
    if not path.exists():
        return None
    try:
        old, vocabulary = load_provenance(path)
    except AnswersError as error:
        raise OutputError(
            f"`{path}` holds predictions of which this version cannot tell whether they are of the same run, and they "
            "would be lost; name another file, or delete that one"
        ) from error
    there, here = ({key: side.get(key) for key in SAME_RUN} for side in (old, predictions.provenance))
    changed = differences(there, here)
    if changed:
        raise OutputError(f"`{path}` holds the predictions of another run ({'; '.join(changed)}); name another file")
    changed = differences(_way_of_gathering(old), _way_of_gathering(predictions.provenance))
    if vocabulary != vocabulary_row(predictions.vocabulary):
        changed.append("another vocabulary")
    return f"`{path}` held predictions of the same run and is made anew ({'; '.join(changed) or 'gathered alike'})"


def _way_of_gathering(provenance: Mapping[str, Any]) -> dict[str, Any]:
    gathered = provenance.get("gather", {})
    tables = gathered.get("label_mapping", {})
    return {"pick": gathered.get("pick"), **{name: tables.get(name) for name in ("aliases", "wordnet")}}


def first_annotated(truths: Sequence[ImageTruth]) -> str | None:
    """The first image of the data set, in its own order, that has an object: one published metric depends on it."""
    return next((truth.image_id for truth in truths if truth.graph.ids), None)


def _provenance(split: AnsweredSplit, pick: Pick, mapping: LabelMapping) -> dict[str, Any]:
    known = {truth.image_id for truth in split.truths}
    loaded = split.loaded
    gathered = {
        "broken_lines": [[line.line_number, line.reason, line.file] for line in loaded.broken],
        "repeated_answers": len(loaded.repeated),
        "repeated_images": list(dict.fromkeys(loaded.repeated)),
        "answers_of_other_images": sum(image_id not in known for image_id in loaded.answers),
        "not_asked": {
            i: loaded.answers[i].error for i in sorted(known & loaded.answers.keys()) if loaded.answers[i].error
        },
        "pick": pick,
        "most_texts_per_image": max((len(answer.samples) for answer in loaded.answers.values()), default=0),
        "label_mapping": mapping.record(),
        "first_image": first_annotated(split.truths),
    }
    return {key: value for key, value in split.run.items() if key != "vocabulary"} | {"gather": gathered}


def _predict(truth: ImageTruth, answer: Answer | None, reader: Reader, pick: Pick) -> ImagePrediction:
    text = ""
    if answer is None:
        reading = Reading(None, MISSING)
    elif answer.error is not None:
        reading = Reading(None, NOT_ASKED)
    else:
        reading, text = picked_reading(answer, truth, reader, pick)
    return ImagePrediction(
        truth.image_id,
        truth.image_wh,
        truth.graph,
        reading.graph,
        reading.failure,
        reading.defects or {},
        text,
        reading.object_scores,
        reading.triplet_scores,
    )
