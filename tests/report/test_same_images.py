"""Which predictions files can be compared, and what they are called."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from r1sgg_cli.data.predictions import Predictions
from r1sgg_cli.errors import AnswersError
from r1sgg_cli.report.same_images import insist_on_same_images, run_names
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

from .evaluated import VOCABULARY, make_predictions

PATHS = [Path("a.json"), Path("b.json")]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["sft.json", "grpo.json"], ["sft", "grpo"]),
        (["sft/preds.json", "grpo/preds.json"], ["sft", "grpo"]),
        (["sft/1/preds.json", "grpo/1/preds.json"], ["sft", "grpo"]),
        (["x/a.json", "y/a.json", "y/b.json"], ["x/a", "y/a", "y/b"]),
    ],
)
def test_a_run_is_called_by_what_tells_it_apart(paths: list[str], names: list[str]) -> None:
    assert run_names([Path(path) for path in paths]) == names


def test_a_file_given_twice_is_refused() -> None:
    with pytest.raises(AnswersError, match=r"`a/\.\./b\.json` is given twice"):
        run_names([Path("b.json"), Path("c.json"), Path("./a/../b.json")])


def test_the_same_images_differently_answered_can_be_compared() -> None:
    insist_on_same_images(PATHS, [make_predictions(), make_predictions(skill=0.2, seed=3)])


def test_boxes_written_with_fewer_digits_are_the_same() -> None:
    insist_on_same_images(PATHS, [make_predictions(), _with_boxes_moved(make_predictions(), 0.004)])


def _with_boxes_moved(run: Predictions, pixels: float) -> Predictions:
    image = run.images[3]
    truth = replace(image.ground_truth, boxes_xyxy=image.ground_truth.boxes_xyxy + pixels)
    return replace(run, images=(*run.images[:3], replace(image, ground_truth=truth), *run.images[4:]))


def _other_vocabulary(run: Predictions) -> Predictions:
    return replace(run, vocabulary=Vocabulary((*VOCABULARY.objects, "cat", "cow"), VOCABULARY.predicates))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            lambda run: replace(run, provenance={**run.provenance, "task": "det"}),
            "`b.json` is Detection (nothing is given, and objects alone were asked for: no relationship is counted),"
            " `a.json` is SGDet",
            id="task",
        ),
        pytest.param(
            lambda run: replace(run, images=run.images[:20]),
            "`b.json` is of other images than `a.json`: 10 only in the first, 0 only in the other, 20 in both",
            id="images",
        ),
        pytest.param(
            _other_vocabulary,
            "`b.json` has another vocabulary than `a.json`: 0 objects only in the first, 2 only in the other"
            " (`cat`, `cow`)",
            id="vocabulary",
        ),
        pytest.param(
            lambda run: _with_boxes_moved(run, 1),
            "`b.json` is scored against other annotations than `a.json` in 1 of 30 images (`003`)",
            id="annotations",
        ),
    ],
)
def test_runs_that_do_not_go_together_are_one_line(change: Callable[[Predictions], Predictions], said: str) -> None:
    with pytest.raises(AnswersError) as refused:
        insist_on_same_images(PATHS, [make_predictions(), change(make_predictions(skill=0.4))])
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)
