"""The headline of a report and why answers failed."""

import pytest

from r1sgg_cli.data.predictions import ImagePrediction
from r1sgg_cli.report.report_numbers import failure_causes, headline_numbers, repairs
from r1sgg_cli.report.stages import Stage, evaluate_predictions
from tests.report.conftest import make_graph, make_stage

GRAPH = make_graph(["cat"], [[0, 0, 9, 9]], [])


def image_of(failure: str | None, **defects: int) -> ImagePrediction:
    return ImagePrediction("a", (100, 100), GRAPH, None if failure else GRAPH, failure, defects, "")


def test_every_number_says_its_value_how_it_is_counted_and_its_interval(stages: list[Stage]) -> None:
    evaluation = evaluate_predictions(stages[2].predictions, num_resamples=200)
    numbers = headline_numbers(evaluation)
    assert [(number.name, number.symbol) for number in numbers][:6] == [
        ("failure rate", ""),
        ("box AP@50", ""),
        ("box AP", ""),
        ("object F1", ""),
        ("triplet recall", "ng-R@all"),
        ("graph constrained recall", "R@50"),
    ]
    assert [number.better for number in numbers][:2] == ["lower", "higher"]
    recall, metric = numbers[4], evaluation.metric("triplet_recall")
    assert metric.interval is not None
    assert recall.value == f"{100 * metric.value:.1f}\u202f%"
    assert recall.interval == f"{100 * metric.interval[0]:.1f} to {100 * metric.interval[1]:.1f}\u202f%"
    assert recall.point is not None
    assert recall.low <= recall.point <= recall.high
    assert recall.counted == metric.counted
    assert all(number.interval for number in numbers if number.point is not None)


def test_numbers_of_a_section_have_one_scale_that_fits_the_largest(stages: list[Stage]) -> None:
    evaluation = evaluate_predictions(stages[0].predictions, num_resamples=200)
    numbers = headline_numbers(evaluation)
    assert numbers[0].scale_end == 100  # most answers of this stage fail
    ends: dict[str, set[int]] = {}
    for number, metric in zip(numbers, evaluation.headline, strict=True):
        ends.setdefault(metric.section, set()).add(number.scale_end)
        assert number.point == pytest.approx(100 * 100 * metric.value / number.scale_end, abs=0.01)
        assert number.high <= 100
    assert all(len(section) == 1 for section in ends.values())
    assert min(number.scale_end for number in numbers) < 10  # beside which small numbers can be told apart


def test_a_number_of_nothing_is_a_dash() -> None:
    numbers = {number.name: number for number in headline_numbers(make_stage("a", [image_of(None)]).evaluation)}
    recall = numbers["triplet recall"]
    assert (recall.value, recall.point, recall.interval) == ("–", None, "")


def test_causes_are_counted_the_most_frequent_first() -> None:
    images = [image_of(kind) for kind in ("truncated", "no_json", "no_json", None)]
    assert [(c.kind, c.count, c.share, c.length) for c in failure_causes(images)] == [
        ("no_json", 2, "50 %", 100.0),
        ("truncated", 1, "25 %", 50.0),
    ]
    assert failure_causes([image_of(None)]) == ()


def test_what_was_repaired_is_counted_by_images_and_by_times() -> None:
    bars = repairs([image_of(None, prose=1), image_of(None, prose=4, bad_box=2), image_of(None, bad_box=0)])
    assert [(b.kind, b.count, b.phrase) for b in bars] == [("prose", 2, "5 times"), ("bad_box", 1, "2 times")]
