"""The published evaluator's numbers of a predictions file, from the published gather's file to the last digit."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.data.predictions import Predictions, load_predictions, save_predictions
from r1sgg_cli.errors import DataError
from r1sgg_cli.inference.gathered_file import load_gathered
from r1sgg_cli.inference.jsonl_truths import load_jsonl_truths
from r1sgg_cli.inference.published_layout import DatasetAsked
from r1sgg_cli.report.published import published_evaluation
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, load_vocabulary

GOLDEN = Path(__file__).parents[1] / "metrics" / "golden_published"


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Predictions:
    """The golden split, gathered by the published code, written as `preds.json` and read again."""
    folder = tmp_path_factory.mktemp("golden")
    for name in ("dataset.jsonl", "gathered.json"):
        (folder / name).write_bytes(gzip.decompress((GOLDEN / f"{name}.gz").read_bytes()))
    truths = load_jsonl_truths(folder / "dataset.jsonl")
    asked = DatasetAsked("golden", None, None, load_vocabulary("vg150"), truths)
    save_predictions(load_gathered(folder / "gathered.json", asked, allow_missing=True), folder / "preds.json")
    return load_predictions(folder / "preds.json")


def test_a_published_file_keeps_its_published_numbers(golden: Predictions) -> None:
    content = json.loads(gzip.decompress((GOLDEN / "metrics_stable_sort.json.gz").read_bytes()))
    evaluation = published_evaluation(golden)
    for name, key in {
        "AP": "bbox_AP",
        "AP50": "bbox_AP50",
        "AR100": "bbox_AR100",
        "whole ngR": "whole_ngR",
        "ngR per image": "ngR_per_image",
    }.items():
        assert evaluation.value(name) == pytest.approx(content["full_precision"][key], abs=1e-12)
    for name in ("R", "ng-R", "zR", "ng-zR", "mR", "ng-mR"):
        for cut in (20, 50, 100):
            assert evaluation.value(name, cut) == pytest.approx(content["full_precision"][f"{name}@{cut}"], abs=1e-12)


def test_which_image_came_first_is_read_from_the_file(golden: Predictions) -> None:
    gathered = golden.provenance["gather"]
    other = golden.images[1].image_id
    assert other != gathered["first_image"]
    changed = replace(golden, provenance={**golden.provenance, "gather": {**gathered, "first_image": other}})
    assert published_evaluation(changed).value("AP") != published_evaluation(golden).value("AP")
    assert published_evaluation(changed).value("R", 20) == published_evaluation(golden).value("R", 20)


@pytest.mark.parametrize(
    "provenance", [{}, {"gather": {}}, {"gather": {"first_image": "of another set"}}, {"gather": {"first_image": []}}]
)
def test_a_file_that_does_not_say_which_image_came_first_has_no_published_numbers(
    golden: Predictions, provenance: dict[str, Any]
) -> None:
    with pytest.raises(DataError, match="does not say which image came first in the data set"):
        published_evaluation(replace(golden, provenance=provenance))


def test_zero_shot_recall_is_that_of_vg150_alone(golden: Predictions) -> None:
    vocabulary = golden.vocabulary
    larger = replace(golden, vocabulary=Vocabulary((*vocabulary.objects, "ghost"), vocabulary.predicates))
    assert not any("zR" in metric.name for metric in published_evaluation(larger).metrics)


def test_an_open_vocabulary_has_no_published_numbers(golden: Predictions) -> None:
    with pytest.raises(DataError, match="closed vocabularies only"):
        published_evaluation(replace(golden, vocabulary=Vocabulary((), ())))
