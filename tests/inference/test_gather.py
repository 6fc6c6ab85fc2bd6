"""Answers → predictions."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.data.predictions import Predictions
from r1sgg_cli.errors import AnswersError
from r1sgg_cli.inference.answered_split import load_answered_split
from r1sgg_cli.inference.gather import gather_split
from r1sgg_cli.inference.label_mapping import label_mapping
from r1sgg_cli.inference.run_record import load_run, save_run
from r1sgg_cli.inference.training_file import save_training_names
from r1sgg_cli.scene_graph.training_names import TrainingNames

from .conftest import ANSWERS_FILE, FolderMaker, make_answer

GOOD = json.dumps(
    {
        "objects": [{"id": "man.1", "bbox": [0, 0, 100, 100]}, {"id": "horse.2", "bbox": [500, 500, 1000, 1000]}],
        "relationships": [{"subject": "man.1", "predicate": "sitting_on", "object": "horse.2"}],
    }
)


def gather_folder(folder: Path, **options: Any) -> Predictions:
    return gather_split(load_answered_split(folder), **options)


def test_boxes_come_back_in_pixels_of_the_original_image(make_folder: FolderMaker) -> None:
    image = gather_folder(make_folder(["a"], [make_answer("a", GOOD)])).images[0]
    assert image.prediction is not None
    assert image.prediction.boxes_xyxy.tolist() == [[0, 0, 20, 10], [100, 50, 200, 100]]
    assert image.prediction.space_wh == image.image_wh == (200, 100)


def test_each_answer_is_read_in_its_own_space(make_folder: FolderMaker) -> None:
    answer = make_answer("a", GOOD, box_space_wh=(2000, 4000))
    image = gather_folder(make_folder(["a"], [answer])).images[0]
    assert image.prediction is not None
    assert image.prediction.boxes_xyxy.tolist() == [[0, 0, 10, 2.5], [50, 12.5, 100, 25]]


def test_each_answer_counts_from_its_own_corner(make_folder: FolderMaker) -> None:
    """The 200 × 100 image in the middle of a square, in thousandths of its side."""
    answer = replace(make_answer("a", GOOD, box_space_wh=(1000, 500)), box_origin=(0.0, 250.0))
    image = gather_folder(make_folder(["a"], [answer])).images[0]
    assert image.prediction is not None
    assert image.prediction.names == ("horse",)  # the other lies in the padding
    assert image.prediction.boxes_xyxy.tolist() == [[100, 50, 200, 100]]
    assert image.defects == {"bad_box": 1, "clipped_box": 1, "dangling_relationship": 1}


def test_predicates_are_in_normal_form_like_the_truth(make_folder: FolderMaker) -> None:
    image = gather_folder(make_folder(["a"], [make_answer("a", GOOD)])).images[0]
    assert image.prediction is not None
    assert image.prediction.triplets == image.ground_truth.triplets


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        pytest.param("I see a man.", "no_json", id="prose"),
        pytest.param('{"objects": [{"id": "ma', "truncated", id="cut off early"),
        pytest.param('{"things": []}', "not_a_graph", id="other JSON"),
    ],
)
def test_an_answer_that_cannot_be_read_keeps_its_kind_of_failure(
    make_folder: FolderMaker, text: str, failure: str
) -> None:
    image = gather_folder(make_folder(["a"], [make_answer("a", text)])).images[0]
    assert (image.prediction, image.failure, image.answer) == (None, failure, text)


def test_images_are_in_order_of_id(make_folder: FolderMaker) -> None:
    folder = make_folder(["b", "a", "c"], [make_answer(i, GOOD) for i in "cab"])
    assert [image.image_id for image in gather_folder(folder).images] == ["a", "b", "c"]


def test_images_without_an_answer_are_refused_by_name(make_folder: FolderMaker) -> None:
    folder = make_folder(list("abcdefgh"), [make_answer("b", GOOD)])
    with pytest.raises(
        AnswersError,
        match=r"^7 of 8 images have no answer: `a`, `c`, `d`, `e`, `f`, …; run .*`r1sgg infer` .*`--allow-missing`",
    ):
        gather_folder(folder)


def test_images_without_an_answer_are_failures_when_allowed(make_folder: FolderMaker) -> None:
    images = gather_folder(make_folder(["a", "b"], [make_answer("b", GOOD)]), allow_missing=True).images
    assert [image.failure for image in images] == ["missing", None]


def test_names_outside_the_vocabulary_are_kept_and_counted(make_folder: FolderMaker) -> None:
    text = GOOD.replace("man.1", "gentle_man.1").replace("sitting_on", "mounting")
    image = gather_folder(make_folder(["a"], [make_answer("a", text)])).images[0]
    assert image.prediction is not None
    assert image.prediction.names == ("gentle man", "horse")
    assert image.defects == {"out_of_vocabulary_object": 1, "out_of_vocabulary_predicate": 1}


def test_names_are_compared_with_the_vocabulary_in_normal_form(make_folder: FolderMaker) -> None:
    assert gather_folder(make_folder(["a"], [make_answer("a", GOOD)])).images[0].defects == {}


def test_an_open_run_counts_no_names(make_folder: FolderMaker) -> None:
    text = GOOD.replace("man.1", "gentleman.1")
    predictions = gather_folder(make_folder(["a"], [make_answer("a", text)], vocabulary=False))
    assert predictions.images[0].defects == {}
    assert predictions.vocabulary.predicates == ()


def test_an_image_that_could_not_be_asked_about_says_why(make_folder: FolderMaker) -> None:
    answer = replace(make_answer("a"), samples=(), error="the picture cannot be decoded")
    predictions = gather_folder(make_folder(["a"], [answer]))
    assert (predictions.images[0].failure, predictions.images[0].answer) == ("not_asked", "")
    assert predictions.provenance["gather"]["not_asked"] == {"a": "the picture cannot be decoded"}


def test_what_was_asked_for_decides_what_an_answer_lacks(make_folder: FolderMaker) -> None:
    folder = make_folder(["a"], [make_answer("a", '{"objects": []}')])
    assert gather_folder(folder).images[0].defects == {"missing_relationships": 1}
    run = load_run(folder)
    save_run({**run, "task": "det"}, folder)
    assert gather_folder(folder).images[0].defects == {}


def test_that_pictures_have_no_annotation_is_passed_on(make_folder: FolderMaker) -> None:
    folder = make_folder(["a"], [make_answer("a", GOOD)])
    save_run({**load_run(folder), "annotated": False}, folder)
    assert gather_folder(folder).provenance["annotated"] is False


def test_labels_are_mapped_where_a_table_is_given_and_counted_by_name(make_folder: FolderMaker) -> None:
    text = GOOD.replace("man.1", "gentleman.1").replace("sitting_on", "seated on")
    folder = make_folder(["a"], [make_answer("a", text)])
    split = load_answered_split(folder)
    mapping = label_mapping(split.vocabulary)
    predictions = gather_split(split, mapping=mapping)
    image = predictions.images[0]
    assert image.prediction is not None
    assert image.prediction.names == ("man", "horse")
    assert image.prediction.ids == ("gentleman.1", "horse.2")
    assert image.prediction.triplets == image.ground_truth.triplets
    assert image.defects == {"object_mapped_by_alias": 1, "predicate_mapped_by_alias": 1}
    assert predictions.provenance["gather"]["label_mapping"]["mapped"] == {
        "objects": {"gentleman → man": 1},
        "predicates": {"seated on → sitting on": 1},
        "swapped_predicates": {},
    }


def test_how_the_texts_were_chosen_is_on_record(make_folder: FolderMaker) -> None:
    answer = make_answer("a", GOOD)
    folder = make_folder(["a"], [replace(answer, samples=answer.samples * 3)])
    predictions = gather_folder(folder, pick="majority")
    assert predictions.images[0].object_scores == (1, 1)
    gathered = predictions.provenance["gather"]
    assert (gathered["pick"], gathered["most_texts_per_image"]) == ("majority", 3)


def test_what_training_showed_is_passed_on(make_folder: FolderMaker) -> None:
    folder = make_folder(["a"], [make_answer("a", GOOD)])
    assert gather_folder(folder).training is None
    names = TrainingNames({"sitting on": 3}, frozenset())
    save_training_names(names, folder)
    assert gather_folder(folder).training == names


def test_provenance_is_the_run_and_what_was_passed_over(make_folder: FolderMaker) -> None:
    answers = [make_answer("a", GOOD), make_answer("a", "again"), make_answer("elsewhere", GOOD)]
    folder = make_folder(["a"], answers)
    with (folder / ANSWERS_FILE).open("a") as file:
        file.write("{oops\n")
    provenance = gather_folder(folder).provenance
    assert provenance["model"] == "runs/sft"
    assert provenance["command"] == "r1sgg infer runs/sft answers"
    assert [(number, file) for number, _, file in provenance["gather"]["broken_lines"]] == [(4, ANSWERS_FILE)]
    assert provenance["gather"]["repeated_answers"] == 1
    assert provenance["gather"]["repeated_images"] == ["a"]
    assert provenance["gather"]["answers_of_other_images"] == 1
