"""Answers → predictions: every answer parsed, its boxes brought to pixels of the original image, beside the truth.

Names outside the run's vocabulary stay as the model wrote them: they are wrong when scored, and counted here.
"""

from pathlib import Path
from typing import Any

from r1sgg_cli.config.record import differences
from r1sgg_cli.data.predictions import ImagePrediction, Predictions, load_provenance
from r1sgg_cli.errors import AnswersError, OutputError
from r1sgg_cli.inference.answers import (
    RUN_FILE,
    Answer,
    ImageTruth,
    LoadedAnswers,
    RunRecord,
    load_answers,
    load_ground_truth,
    load_run,
)
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.parse import ParseError, parse_answer
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, vocabulary_from_names

MISSING = "missing"
SAME_RUN = ("model", "model_fingerprint", "dataset", "dataset_fingerprint", "split", "prompts", "generation")
"""What two runs have in common whose answers may be told apart by nothing."""
NUM_NAMED = 5
"""How many of the images without an answer are named."""


def gather_answers(out_dir: Path, *, allow_missing: bool = False) -> Predictions:
    """One prediction per image of the split, from the folder that `infer` filled.

    `provenance["gather"]` says what was passed over. Raises `AnswersError`, also for images without an answer unless
    `allow_missing` counts them as failures.
    """
    run, truths, loaded = load_run(out_dir), load_ground_truth(out_dir), load_answers(out_dir)
    missing = [truth.image_id for truth in truths if truth.image_id not in loaded.answers]
    if missing and not allow_missing:
        named = ", ".join(f"`{image_id}`" for image_id in missing[:NUM_NAMED])
        more = ", …" if len(missing) > NUM_NAMED else ""
        broken = ", ".join(f"line {line.line_number} of `{line.file}`" for line in loaded.broken)
        unread = f" ({broken} cannot be read)" if broken else ""
        raise AnswersError(
            f"{len(missing)} of {len(truths)} images have no answer: {named}{more}{unread};"
            " run the same `r1sgg infer` again to go on, or add `--allow-missing` to count them as failures"
        )
    vocabulary = _vocabulary(run, out_dir)
    images = (_predict(truth, loaded.answers.get(truth.image_id), vocabulary) for truth in truths)
    return Predictions(
        provenance=_provenance(run, truths, loaded),
        vocabulary=vocabulary,
        images=tuple(sorted(images, key=lambda image: image.image_id)),
    )


def insist_on_same_run(path: Path, predictions: Predictions) -> None:
    """Refuse to replace the predictions of another model, data set or way of asking, also of one that cannot be told.

    Raises `OutputError`.
    """
    if not path.exists():
        return
    try:
        old = load_provenance(path)
    except AnswersError as error:
        raise OutputError(
            f"`{path}` holds predictions of which this version cannot tell whether they are of the same run, and they "
            "would be lost; name another file, or delete that one"
        ) from error
    there, here = ({key: side.get(key) for key in SAME_RUN} for side in (old, predictions.provenance))
    changed = differences(there, here)
    if changed:
        raise OutputError(f"`{path}` holds the predictions of another run ({'; '.join(changed)}); name another file")


def _vocabulary(run: RunRecord, out_dir: Path) -> Vocabulary:
    names = run["vocabulary"]
    if names is None:
        return Vocabulary((), ())
    return vocabulary_from_names(names["objects"], names["predicates"], f"`{out_dir / RUN_FILE}`")


def _provenance(run: RunRecord, truths: tuple[ImageTruth, ...], loaded: LoadedAnswers) -> dict[str, Any]:
    known = {truth.image_id for truth in truths}
    passed_over = {
        "broken_lines": [[line.line_number, line.reason, line.file] for line in loaded.broken],
        "repeated_answers": loaded.num_duplicates,
        "answers_of_other_images": sum(image_id not in known for image_id in loaded.answers),
    }
    return {key: value for key, value in run.items() if key != "vocabulary"} | {"gather": passed_over}


def _predict(truth: ImageTruth, answer: Answer | None, vocabulary: Vocabulary) -> ImagePrediction:
    graph: SceneGraph | None = None
    failure: str | None = None
    defects: dict[str, int] = {}
    if answer is None:
        failure = MISSING
    elif answer.error is not None:
        failure = "not_asked"
    else:
        try:
            parsed = parse_answer(answer.samples[0].text, answer.box_space_wh, answer.box_origin)
        except ParseError as error:
            failure = error.kind
        else:
            graph = parsed.graph.rescaled(truth.image_wh)
            defects = {str(kind): count for kind, count in parsed.defects.items()} | _strangers(graph, vocabulary)
    text = answer.samples[0].text if answer is not None and answer.samples else ""
    return ImagePrediction(truth.image_id, truth.image_wh, truth.graph, graph, failure, defects, text)


def _strangers(graph: SceneGraph, vocabulary: Vocabulary) -> dict[str, int]:
    counts = {}
    if vocabulary.objects:
        known = set(vocabulary.objects)
        counts["out_of_vocabulary_object"] = sum(name not in known for name in graph.names)
    if vocabulary.predicates:
        known = set(vocabulary.predicates)
        counts["out_of_vocabulary_predicate"] = sum(triplet.predicate not in known for triplet in graph.triplets)
    return {kind: count for kind, count in counts.items() if count}
