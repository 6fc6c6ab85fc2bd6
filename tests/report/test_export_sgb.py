"""What the published evaluator reads, field by field."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from r1sgg_cli.data.predictions import ImagePrediction, Predictions
from r1sgg_cli.errors import AnswersError
from r1sgg_cli.inference.gathered_file import load_gathered
from r1sgg_cli.inference.ground_truth import ImageTruth
from r1sgg_cli.inference.published_layout import DatasetAsked
from r1sgg_cli.report.export_sgb import GATHERED_FILE, LABELS_FILE, save_sgb
from r1sgg_cli.report.published import published_evaluation
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet, graph_from_rows
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary

from .evaluated import VOCABULARY, make_predictions

ROWS = [
    {"id": "unicorn.1", "bbox": [0, 0, 1, 1]},
    {"id": "man.2", "bbox": [0, 0, 20, 10]},
    {"id": "hat.3", "bbox": [5, 0, 9, 4]},
]
RELATIONSHIPS = [
    {"subject": "man.2", "predicate": "near", "object": "unicorn.1"},
    {"subject": "hat.3", "predicate": "on", "object": "man.2"},
    {"subject": "hat.3", "predicate": "worn by", "object": "man.2"},
    {"subject": "hat.3", "predicate": "on", "object": "man.2"},
]


def exported(predictions: Predictions, folder: Path) -> dict[str, Any]:
    save_sgb(predictions, folder)
    content: dict[str, Any] = json.loads((folder / GATHERED_FILE).read_text())
    return content


def answered(predictions: Predictions) -> Predictions:
    """The first image with a graph of known names and others."""
    graph = graph_from_rows(ROWS, RELATIONSHIPS, (200, 100))
    return replace(predictions, images=(replace(predictions.images[0], prediction=graph), *predictions.images[1:]))


def test_known_objects_and_relationships_are_rows_in_output_order(tmp_path: Path) -> None:
    image = exported(answered(make_predictions(1)), tmp_path)["000"]
    assert (image["names"], image["names_target"]) == (["man.2", "hat.3"], ["man", "hat"])
    assert image["labels"] == image["graph"]["pred_boxes_class"] == [3, 2]
    assert image["boxes"] == image["graph"]["pred_boxes"] == [[0, 0, 20, 10], [5, 0, 9, 4]]
    assert image["scores"] == image["graph"]["pred_boxes_score"] == [1, 1]
    assert image["graph"]["all_node_pairs"] == [[1, 0], [1, 0]]
    assert image["graph"]["all_relation"] == [[0, 0, 0, 1], [0, 0, 0, 1]]
    assert image["relation_tuples"] == [["hat", [5, 0, 9, 4], "man", [0, 0, 20, 10], "on"]] * 2


def test_failures_are_images_of_nothing_and_missing_ones_are_absent(tmp_path: Path) -> None:
    images = exported(make_predictions(10), tmp_path)
    assert list(images) == [f"{number:03}" for number in range(9)]
    assert images["008"]["graph"] == {
        "all_node_pairs": [[0, 0]],
        "all_relation": [[0, 0, 0, 0]],
        "pred_boxes": [[0, 0, 0, 0]],
        "pred_boxes_class": [0],
        "pred_boxes_score": [0],
    }
    assert images["008"]["relation_tuples"] == []


def test_numbers_of_labels_are_said_beside_it(tmp_path: Path) -> None:
    exported(make_predictions(1), tmp_path)
    labels = json.loads((tmp_path / LABELS_FILE).read_text())
    assert labels["ind_to_classes"] == ["__background__", *VOCABULARY.objects]
    assert labels["ind_to_predicates"] == ["__background__", *VOCABULARY.predicates]


def test_objects_of_psg_count_from_zero_as_in_the_published_code(tmp_path: Path) -> None:
    exported(replace(make_predictions(1), vocabulary=load_vocabulary("psg")), tmp_path)
    labels = json.loads((tmp_path / LABELS_FILE).read_text())
    assert (labels["ind_to_classes"][0], labels["ind_to_predicates"][:2]) == ("person", ["__background__", "over"])


def test_what_the_published_gather_wrote_is_written_again_field_by_field(tmp_path: Path) -> None:
    """All 196 files of the golden split; the other four images have no answer."""
    gathered = json.loads(golden("gathered.json"))
    rows = [json.loads(line) for line in golden("dataset.jsonl").splitlines()]
    images = tuple(image_of(row, gathered.get(row["image_id"])) for row in rows)
    assert exported(Predictions({}, load_vocabulary("vg150"), images), tmp_path) == gathered


def golden(name: str) -> str:
    """A file of the published code's own results."""
    folder = Path(__file__).parents[1] / "metrics" / "golden_published"
    return gzip.decompress((folder / f"{name}.gz").read_bytes()).decode()


def image_of(row: dict[str, Any], gathered: dict[str, Any] | None) -> ImagePrediction:
    """An image of the data set with what the published gather step made of its answer."""
    image_wh = (row["width"], row["height"])
    truth = graph_from_rows(row["objects"], row["relationships"], image_wh)
    graph, failure = None, "missing" if gathered is None else "no_json"
    if gathered is not None and gathered["labels"] != [0]:
        pairs = zip(gathered["graph"]["all_node_pairs"], gathered["relation_tuples"], strict=True)
        triplets = tuple(Triplet(s, words[4], o) for (s, o), words in pairs)
        names = tuple(gathered["names"]), tuple(gathered["names_target"])
        graph = SceneGraph(*names, np.array(gathered["boxes"]), triplets, image_wh)
    return ImagePrediction(row["image_id"], image_wh, truth, graph, None if graph else failure, {}, "")


@pytest.mark.parametrize("make", [make_predictions, lambda: answered(make_predictions())], ids=["in", "and outside"])
def test_read_back_it_has_the_same_published_numbers(make: Callable[[], Predictions], tmp_path: Path) -> None:
    """With failures, images without an answer, answers without a relationship and labels outside the vocabulary."""
    predictions = make()
    save_sgb(predictions, tmp_path)
    truths = tuple(ImageTruth(image.image_id, image.image_wh, image.ground_truth) for image in predictions.images)
    asked = DatasetAsked("data/shapes", "test", None, VOCABULARY, truths)
    read = load_gathered(tmp_path / GATHERED_FILE, asked, allow_missing=True)
    there, here = published_evaluation(read), published_evaluation(predictions)
    assert here.value("R", 20) > 0
    assert {(m.name, m.k): m.value for m in there.metrics} == pytest.approx(
        {(m.name, m.k): m.value for m in here.metrics}, abs=1e-12, nan_ok=True
    )


def test_labels_without_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnswersError, match="has no vocabulary"):
        save_sgb(replace(make_predictions(1), vocabulary=Vocabulary((), ())), tmp_path)
