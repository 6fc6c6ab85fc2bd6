"""Two runs on the same images, from predictions to sentences."""

import math
import re
from dataclasses import replace

import pytest

from r1sgg_cli.data.predictions import Predictions
from r1sgg_cli.metrics.comparison import DifferenceInterval, ImageCounts, NumberDifference
from r1sgg_cli.metrics.metric import Metric
from r1sgg_cli.metrics.predicate_comparison import PredicateDifference
from r1sgg_cli.report.comparison import OTHER_TRAINING, Comparison, compare_stages
from r1sgg_cli.report.comparison_words import sentences
from r1sgg_cli.report.stages import Stage, evaluate_predictions
from r1sgg_cli.scene_graph.training_names import TrainingNames, named_triplets

from .evaluated import make_predictions


def number(name: str, low: float, high: float, section: str = "recall") -> NumberDifference:
    metric = Metric(name, 0.3, "mean over images", section=section)
    return NumberDifference(
        metric=metric, other=metric, interval=DifferenceInterval((low + high) / 2, low, high), num_images=100
    )


def stage(name: str, predictions: Predictions) -> Stage:
    return Stage(name, predictions, evaluate_predictions(predictions, 200))


def predicate(name: str, gain: float, p_value: float) -> PredicateDifference:
    return PredicateDifference(name, 9, 9, (3, 5), (0.3, 0.3 + gain), 4, 1, p_value, p_value, 100)


IMAGES = ImageCounts(40, 30, 20, 10)


def compared(*numbers: NumberDifference, predicates: tuple[PredicateDifference, ...] = ()) -> Comparison:
    return Comparison(
        first="sft",
        other="grpo",
        num_images=sum(IMAGES),
        numbers=numbers,
        headline=numbers,
        predicates=predicates,
        images=IMAGES,
        protocols=("A hit: …",),
    )


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (
            *(0.012, 0.030),
            "grpo finds 2.10 points more of the annotated relationships than sft (95 % interval 1.20 to 3.00): "
            "significant.",
        ),
        (
            *(-0.030, -0.012),
            "grpo finds 2.10 points fewer of the annotated relationships than sft (95 % interval 1.20 to 3.00): "
            "significant.",
        ),
        (
            *(-0.01, 0.02),
            "Whether grpo finds more of the annotated relationships than sft or fewer is not shown: +0.50 points "
            "(95 % interval −1.00 to +2.00).",
        ),
        (0.0, 0.0, "Image by image, grpo finds as many of the annotated relationships as sft."),
        (math.nan, math.nan, "No image has an annotated relationship: recall cannot be compared."),
    ],
    ids=["more", "fewer", "not shown", "alike", "nothing"],
)
def test_recall_is_said_first(low: float, high: float, said: str) -> None:
    assert sentences(compared(number("triplet_recall", low, high)))[0] == said


def test_other_numbers_are_sorted_by_what_they_show() -> None:
    numbers = (
        number("box_ap50", 0.01, 0.02),
        number("failure_rate", 0.01, 0.03, "answers"),
        number("mean_recall", -0.01, 0.02),
    )
    assert sentences(compared(*numbers))[:3] == (
        "Significantly better in grpo: box AP@50 (+1.50).",
        "Significantly worse in grpo: failure rate (+2.00).",
        "Not shown to differ: mean recall (+0.50).",
    )


def test_predicates_and_images_are_counted() -> None:
    predicates = (predicate("on", 0.2, 0.001), predicate("near", -0.1, 0.03), predicate("has", 0.1, 0.06))
    said = sentences(compared(predicates=predicates))
    assert said == (
        "Of 3 annotated predicates grpo finds 1 more often (on) and 1 less often (near); of the other 1 nothing is "
        "shown.",
        "grpo finds a larger share of the annotated relationships than sft in 40 images, a smaller one in 30, the "
        "same in 20; 10 without an annotated relationship do not count.",
    )
    unclear = sentences(compared(predicates=predicates[2:]))
    assert unclear[0] == "No predicate of 1 is shown to be found more or less often."


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (
            ImageCounts(5, 4, 3, 0),
            ["Only 12 images: intervals of so few are too narrow to rely on. Nothing is called better or worse."],
        ),
        (
            ImageCounts(5, 4, 90, 0),
            ["Only 9 images tell the runs apart: intervals of so few are too narrow to rely on."],
        ),
        (ImageCounts(0, 0, 90, 0), []),
    ],
    ids=["few images", "few that differ", "alike"],
)
def test_few_images_are_warned_of(images: ImageCounts, said: list[str]) -> None:
    comparison = replace(compared(), images=images, num_images=sum(images))
    assert list(sentences(comparison)[2:]) == said


def test_what_is_significant_on_few_images_says_so_itself() -> None:
    comparison = replace(compared(number("triplet_recall", 0.012, 0.030)), images=ImageCounts(9, 0, 91, 0))
    said = sentences(comparison)
    assert said[0].endswith(
        ": significant, but only 9 images tell the runs apart: intervals of so few are too narrow to rely on."
    )
    assert not any(sentence.startswith("Only") for sentence in said)


def test_a_better_run_is_shown_to_be_better_and_the_order_of_runs_turns_the_sign() -> None:
    worse = stage("sft", make_predictions(60, skill=0.3))
    better = stage("grpo", make_predictions(60, skill=0.9))
    (there,), (back,) = compare_stages([worse, better]), compare_stages([better, worse])
    recalls = [next(n for n in each.numbers if n.metric.name == "triplet_recall") for each in (there, back)]
    assert [recall.outcome for recall in recalls] == ["better", "worse"]
    assert recalls[0].interval.difference == pytest.approx(-recalls[1].interval.difference)
    assert recalls[0].interval.low == pytest.approx(-recalls[1].interval.high)
    assert (there.images.won, there.images.lost) == (back.images.lost, back.images.won)
    assert re.match(r"grpo finds \d+\.\d\d points more .* significant[.,]", sentences(there)[0])


def test_a_run_against_itself_differs_in_nothing() -> None:
    run = stage("a", make_predictions(40))
    (same,) = compare_stages([run, replace(run, name="b")])
    assert {number.outcome for number in same.numbers} == {"not shown"}
    assert {each.change for each in same.predicates} == {"not shown"}
    assert (same.images.won, same.images.lost) == (0, 0)


def _scored(run: Predictions, share: float = 1.0) -> Predictions:
    """The same answers, ranked backwards by scores."""
    images = [
        image
        if image.prediction is None or number >= share * len(run.images)
        else replace(
            image,
            object_scores=tuple(place / 10 for place in range(len(image.prediction.names))),
            triplet_scores=tuple(place / 10 for place in range(len(image.prediction.triplets))),
        )
        for number, image in enumerate(run.images)
    ]
    return replace(run, images=tuple(images))


def test_what_nothing_but_the_ranking_tells_apart_is_not_compared() -> None:
    run = make_predictions(40)
    plain, scored, partly = (stage(n, r) for n, r in (("a", run), ("b", _scored(run)), ("c", _scored(run, 0.5))))
    for other in (scored, partly):
        (comparison,) = compare_stages([plain, other])
        compared_ones = {(number.metric.name, number.metric.k) for number in comparison.numbers}
        assert ("triplet_recall", None) in compared_ones
        assert not compared_ones & {("box_ap", None), ("box_ar", None), ("triplet_recall", 20)}
        assert not any("graph_constrained" in name for name, _ in compared_ones)
        boxes, relationships = comparison.left_out[:2]
        assert boxes.startswith(
            "AP and AR: boxes are ranked by different things (a: all scores 1, ties by image order;"
        )
        assert relationships.startswith("numbers at K and under the graph constraint: relationships are ranked by diff")
        assert "(a: in the order of the answer; " in relationships
        assert [line[:3] for line in comparison.protocols] == ["a: ", f"{other.name}: "]
    (alike,) = compare_stages([scored, replace(scored, name="d")])
    assert "box_ap" in {number.metric.name for number in alike.numbers}
    assert alike.protocols == (scored.evaluation.protocol,)


def test_runs_that_listed_objects_alone_are_compared_by_objects() -> None:
    runs = [make_predictions(40, skill=skill) for skill in (0.3, 0.9)]
    asked = [replace(run, provenance={**run.provenance, "task": "det"}) for run in runs]
    (comparison,) = compare_stages([stage(name, run) for name, run in zip("ab", asked, strict=True)])
    assert not any("triplet" in number.metric.name for number in comparison.numbers)
    assert comparison.predicates == ()
    assert comparison.images.won > comparison.images.lost
    assert "b finds a larger share of the annotated objects than a in " in " ".join(sentences(comparison))


def test_each_run_is_compared_with_the_first() -> None:
    runs = [stage(name, make_predictions(20, seed=seed)) for seed, name in enumerate("abc")]
    assert [(each.first, each.other) for each in compare_stages(runs)] == [("a", "b"), ("a", "c")]


def test_zero_shot_recall_is_compared_where_both_know_the_same_training() -> None:
    run = make_predictions(20)
    unseen = TrainingNames({"on": 9}, named_triplets(image.ground_truth for image in run.images))
    seen = TrainingNames({"on": 9}, frozenset())
    runs = [stage(name, replace(run, training=each)) for name, each in (("a", unseen), ("b", unseen), ("c", seen))]
    same, other = compare_stages(runs)
    assert "zero_shot_recall" in {number.metric.name for number in same.numbers}
    assert "zero_shot_recall" not in {number.metric.name for number in other.numbers}
    assert (same.left_out, other.left_out) == (runs[0].evaluation.left_out, (OTHER_TRAINING,))
