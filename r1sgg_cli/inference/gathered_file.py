"""Predictions as the published gather writes them: one JSON file, image id → what its evaluator scores.

    {"2315071": {"names": ["head.1", "automobile.2"], "names_target": ["head", "car"], "boxes": [[x1, y1, x2, y2], …],
                 "relation_tuples": [["head", box, "car", box, "on"], …], "graph": {"all_node_pairs": [[0, 1], …]}}}

Boxes are pixels of the original image, neither clipped nor ordered, and stay so: the published numbers depend on it.
Labels are already mapped into the vocabulary; what could not be mapped, and why an answer could not be used, the file
does not say. An image of which nothing could be used holds one object named "unknown".
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from r1sgg_cli.data.predictions import FORMAT, ImagePrediction, Predictions
from r1sgg_cli.errors import MALFORMED, NOT_JSON, AnswersError, ConfigError, in_words
from r1sgg_cli.inference.answered_split import named_images
from r1sgg_cli.inference.gather import first_annotated
from r1sgg_cli.inference.ground_truth import ImageTruth
from r1sgg_cli.inference.published_layout import DatasetAsked, published_record
from r1sgg_cli.scene_graph.graph import SceneGraph, SpaceWH, Triplet
from r1sgg_cli.scene_graph.labels import object_name
from r1sgg_cli.scene_graph.listing import MISSING
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

UNUSABLE = "unusable"
"""Nothing of the answer could be used; the file does not say why."""


class _Row(NamedTuple):
    graph: SceneGraph | None
    defects: Mapping[str, int]
    mapped: Counter[str]


def load_gathered(path: Path, asked: DatasetAsked, *, allow_missing: bool = False) -> Predictions:
    """The predictions of a file beside the data set's images, as `gather.gather_split` has those of a folder.

    Raises `ConfigError` without a vocabulary, and `AnswersError`, also for images without an entry unless
    `allow_missing` counts them as failures.
    """
    if asked.vocabulary is None:
        raise ConfigError(
            f"`{path}` does not say in which vocabulary its labels are: add `--vocabulary vg150` or `psg`"
        )
    content = load_content(path)
    missing = [truth.image_id for truth in asked.truths if truth.image_id not in content]
    if len(missing) == len(asked.truths):
        raise AnswersError(
            f"`{path}` is about none of the images of {asked.in_words}; name the data set and split that were asked"
            " about"
        )
    if missing and not allow_missing:
        raise AnswersError(
            f"{len(missing)} of {len(asked.truths)} images are not in `{path}`: {named_images(missing)}; name the data"
            " set that was asked about, or add `--allow-missing` to count them as failures"
        )
    mapped: Counter[str] = Counter()
    images = []
    for truth in asked.truths:
        if truth.image_id not in content:
            images.append(_image(truth, None, MISSING, {}))
            continue
        row = _checked_row(content[truth.image_id], truth, asked.vocabulary, path)
        mapped += row.mapped
        images.append(_image(truth, row.graph, UNUSABLE if row.graph is None else None, row.defects))
    strangers = len(content.keys() - {truth.image_id for truth in asked.truths})
    return Predictions(
        provenance=_provenance(path, asked, mapped, strangers),
        vocabulary=asked.vocabulary,
        images=tuple(sorted(images, key=lambda image: image.image_id)),
        training=asked.training,
    )


def load_content(path: Path) -> dict[str, Any]:
    """Image id → row, rows not looked at. Raises `AnswersError` where it is another file."""
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise AnswersError(f"cannot read `{path}`: {error.strerror}; make it readable") from error
    except NOT_JSON as error:
        raise AnswersError(
            f"`{path}` cannot be read: {in_words(error)}; name what the published gather wrote, or a folder of answers"
        ) from error
    if isinstance(content, dict) and content.get("format") == FORMAT:
        raise AnswersError(
            f"`{path}` holds predictions, which are gathered already; `r1sgg eval {path}` has their numbers"
        )
    is_gathered = isinstance(content, dict) and all(
        isinstance(row, dict) and "graph" in row for row in content.values()
    )
    if not content or not is_gathered:
        raise AnswersError(
            f"`{path}` is not what the published gather writes (image id → `names_target`, `boxes`, `graph`, …); name"
            " such a file, or a folder of answers"
        )
    return dict(content)


def _checked_row(row: Mapping[str, Any], truth: ImageTruth, vocabulary: Vocabulary, path: Path) -> _Row:
    try:
        read = _read_row(row, truth.image_wh)
    except (*MALFORMED, IndexError) as error:
        raise AnswersError(
            f"image `{truth.image_id}` of `{path}` cannot be read: {in_words(error)}; let the published gather write"
            " it again"
        ) from error
    if read.graph is None:
        return read
    predicates = dict.fromkeys(triplet.predicate for triplet in read.graph.triplets)
    strangers = [name for name in read.graph.names if name not in vocabulary.objects]
    strangers += [predicate for predicate in predicates if predicate not in vocabulary.predicates]
    if strangers:
        raise AnswersError(
            f"`{strangers[0]}` of image `{truth.image_id}` in `{path}` is not in the vocabulary; name the file's own"
            " with `--vocabulary`"
        )
    return read


def _read_row(row: Mapping[str, Any], image_wh: SpaceWH) -> _Row:
    names, written, boxes = row["names_target"], row["names"], row["boxes"]
    if names == ["unknown"]:
        return _Row(None, {}, Counter())
    is_finite = [len(box) == 4 and all(math.isfinite(number) for number in box) for box in boxes]
    place_of = {old: new for new, old in enumerate(np.flatnonzero(is_finite).tolist())}
    kept = [object_name(names[place]) for place in place_of]
    pairs, tuples = row["graph"]["all_node_pairs"], row["relation_tuples"]
    triplets = tuple(
        Triplet(place_of[subject], _predicate(words), place_of[target])
        for (subject, target), words in zip(pairs, tuples, strict=True)
        if is_finite[subject] and is_finite[target]
    )
    graph = SceneGraph(
        ids=tuple(f"{name}.{number}" for number, name in enumerate(kept, start=1)),
        names=tuple(kept),
        boxes_xyxy=np.array([boxes[place] for place in place_of], dtype=np.float64).reshape(-1, 4),
        triplets=triplets,
        space_wh=image_wh,
    )
    both = [(object_name(raw), name) for raw, name in zip(written, names, strict=True)]
    mapped = Counter(f"{raw} → {name}" for raw, name in both if raw != name)
    counts = {"bad_box": is_finite.count(False), "object_mapped_by_published_gather": mapped.total()}
    return _Row(graph, {kind: count for kind, count in counts.items() if count}, mapped)


def _predicate(words: Sequence[Any]) -> str:
    if not isinstance(words[-1], str):
        raise ValueError(f"`{json.dumps(words[-1]):.40}` is no predicate")
    return words[-1]


def _image(
    truth: ImageTruth, graph: SceneGraph | None, failure: str | None, defects: Mapping[str, int]
) -> ImagePrediction:
    return ImagePrediction(truth.image_id, truth.image_wh, truth.graph, graph, failure, defects, "")


def _provenance(path: Path, asked: DatasetAsked, mapped: Counter[str], strangers: int) -> dict[str, Any]:
    run = published_record(path, asked, None)
    return {key: value for key, value in run.items() if key != "vocabulary"} | {
        "gather": {
            "broken_lines": [],
            "repeated_answers": 0,
            "repeated_images": [],
            "answers_of_other_images": strangers,
            "not_asked": {},
            "pick": "first",
            "most_texts_per_image": 1,
            "label_mapping": {
                "aliases": "published tables and WordNet",
                "wordnet": None,
                "mapped": {"objects": dict(mapped.most_common()), "predicates": {}, "swapped_predicates": {}},
            },
            "first_image": first_annotated(asked.truths),
        }
    }
