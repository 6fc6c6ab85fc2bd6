"""Predictions as the published evaluator reads them: `gathered.json`, written there by `sgg_gather_preds.py`.

That evaluator is the one of Scene-Graph-Benchmark.pytorch as OvSGTR adapted it, and the `graph` of each image has its
fields: boxes (xyxy, pixels of the original image) with class numbers and scores, pairs of box numbers, and one row of
predicate scores per pair. Scene-Graph-Benchmark's own `eval_results.pytorch` pickles its classes; this file is JSON:

    python src/vg150_eval.py JosephZ/vg150_val_sgg_prompt sgb/gathered.json

As the published gather does: names outside the vocabulary are left out with their relationships, every score is 1, an
image of which nothing is left has one box and one pair without a label, and an image without an answer is absent. The
numbers of labels stand in `labels.json`: 0 is the background, but PSG's objects count from 0, as there. `r1sgg gather`
reads the file back, and the numbers of the protocol `published` are then the same.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1sgg_cli.data.predictions import ImagePrediction, Predictions
from r1sgg_cli.errors import AnswersError
from r1sgg_cli.files import save_text
from r1sgg_cli.scene_graph.listing import MISSING, NOT_ASKED
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary

GATHERED_FILE = "gathered.json"
LABELS_FILE = "labels.json"
MARK = "r1sgg-labels-of-gathered"
"""How the folder says whose it is."""
BACKGROUND = "__background__"
ABSENT = (MISSING, NOT_ASKED)
"""Failures of which the published code has no file."""


def save_sgb(predictions: Predictions, folder: Path) -> None:
    """Write `gathered.json` and `labels.json` into `folder`. Raises `AnswersError`, `OutputError`."""
    insist_on_vocabulary(predictions)
    classes, predicates = _numbered(predictions.vocabulary)
    images = {
        image.image_id: _image(image, {name: i for i, name in enumerate(classes)}, predicates)
        for image in predictions.images
        if image.failure not in ABSENT
    }
    save_text(json.dumps(images) + "\n", folder / GATHERED_FILE)
    labels = {"format": MARK, "ind_to_classes": classes, "ind_to_predicates": predicates}
    save_text(json.dumps(labels, indent=1) + "\n", folder / LABELS_FILE)


def insist_on_vocabulary(predictions: Predictions) -> None:
    """Refuse predictions whose labels have no numbers. Raises `AnswersError`."""
    if not predictions.vocabulary.objects or not predictions.vocabulary.predicates:
        raise AnswersError(
            "the file has no vocabulary, and this format numbers the labels; run `r1sgg gather` with `--vocabulary`"
        )


def _numbered(vocabulary: Vocabulary) -> tuple[list[str], list[str]]:
    """Names of objects and predicates in the order of their numbers."""
    is_psg = set(vocabulary.objects) == set(load_vocabulary("psg").objects)
    classes = list(vocabulary.objects) if is_psg else [BACKGROUND, *vocabulary.objects]
    return classes, [BACKGROUND, *vocabulary.predicates]


def _image(image: ImagePrediction, class_numbers: Mapping[str, int], predicates: list[str]) -> dict[str, Any]:
    graph = image.prediction
    kept = [i for i, name in enumerate(graph.names) if name in class_numbers] if graph else []
    if graph is None or not kept:
        return _nothing(image.image_id, len(predicates))
    boxes: list[list[float]] = graph.boxes_xyxy[kept].tolist()
    labels = [class_numbers[graph.names[i]] for i in kept]
    scores = [1.0] * len(kept)
    place = {old: new for new, old in enumerate(kept)}
    triplets = [
        (place[t.subject], place[t.object], predicates.index(t.predicate))
        for t in graph.triplets
        if t.subject in place and t.object in place and t.predicate in predicates
    ]
    return {
        "image_id": image.image_id,
        "boxes": boxes,
        "labels": labels,
        "scores": scores,
        "names": [graph.ids[i] for i in kept],
        "names_target": [graph.names[i] for i in kept],
        "relation_tuples": [
            [graph.names[kept[s]], boxes[s], graph.names[kept[o]], boxes[o], predicates[p]] for s, o, p in triplets
        ],
        "graph": {
            "all_node_pairs": [[s, o] for s, o, _ in triplets],
            "all_relation": [_one_hot(p, len(predicates)) for *_, p in triplets],
            "pred_boxes": boxes,
            "pred_boxes_class": labels,
            "pred_boxes_score": scores,
        },
    }


def _nothing(image_id: str, num_predicates: int) -> dict[str, Any]:
    box = [[0.0, 0.0, 0.0, 0.0]]
    graph = {
        "all_node_pairs": [[0, 0]],
        "all_relation": [[0.0] * num_predicates],
        "pred_boxes": box,
        "pred_boxes_class": [0],
        "pred_boxes_score": [0],
    }
    unknown = ["unknown"]
    head = {"image_id": image_id, "boxes": box, "labels": [0], "scores": [0], "names": unknown, "names_target": unknown}
    return {**head, "relation_tuples": [], "graph": graph}


def _one_hot(number: int, length: int) -> list[int]:
    return [int(i == number) for i in range(length)]
