"""Numbers of two runs on the same images."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from r1sgg_cli.metrics.comparison import Outcome, compare_means, compare_metrics, count_images
from r1sgg_cli.metrics.metric import Metric
from r1sgg_cli.metrics.resampling import resampled_weights

RECALL = Metric("triplet_recall", 0.0, "mean over images", section="recall")


def measured(values: np.ndarray, metric: Metric = RECALL, num_resamples: int = 500) -> Metric:
    """A mean over images with its resamples."""
    resampled = values @ weights_of(len(values), num_resamples) / len(values)
    return replace(metric, value=float(values.mean()), resampled=resampled)


@cache
def weights_of(num_images: int, num_resamples: int) -> np.ndarray:
    """How often each image is drawn in each resample."""
    (weights,) = resampled_weights(num_images, num_resamples)
    return weights


def test_pairing_sees_a_small_gain_that_the_spread_of_images_hides() -> None:
    values = np.random.default_rng(0).random(300)
    (number,) = compare_metrics([measured(values)], [measured(values + 0.02)], 100)
    assert tuple(number.interval) == pytest.approx((0.02, 0.02, 0.02))
    assert number.outcome == "better"


def test_means_over_images_are_compared_as_numbers_are() -> None:
    values = np.random.default_rng(0).random((2, 300))
    (number,) = compare_metrics(
        [measured(values[0], num_resamples=1_000)], [measured(values[1], num_resamples=1_000)], 300
    )
    assert compare_means(*values) == pytest.approx(number.interval)
    assert compare_means(values[0], values[0] + 0.02) == pytest.approx((0.02, 0.02, 0.02))


@pytest.mark.parametrize("values", [pytest.param([], id="no image"), pytest.param([np.nan], id="none that counts")])
def test_nothing_to_average_has_no_difference(values: list[float]) -> None:
    nothing = np.array(values, dtype=np.float64)
    assert np.isnan(compare_means(nothing, nothing)).all()


def test_values_of_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match="same images"):
        compare_means(np.zeros(3), np.zeros(4))


def test_runs_that_answer_alike_differ_by_nothing() -> None:
    values = np.random.default_rng(0).random(300)
    (number,) = compare_metrics([measured(values)], [measured(values)], 100)
    assert (tuple(number.interval), number.outcome) == ((0, 0, 0), "not shown")


@pytest.mark.parametrize(
    ("section", "gain", "outcome"),
    [
        ("recall", 0.1, "better"),
        ("recall", -0.1, "worse"),
        ("answers", 0.1, "worse"),
        ("answers", -0.1, "better"),
        ("sizes", 0.1, "differs"),
    ],
)
def test_fewer_failures_are_better_and_a_size_is_neither(section: str, gain: float, outcome: Outcome) -> None:
    metric = replace(RECALL, section=section)
    values = np.random.default_rng(0).random(100)
    (number,) = compare_metrics([measured(values, metric)], [measured(values + gain, metric)], 100)
    assert number.outcome == outcome


def test_only_numbers_that_both_have_resampled_are_compared() -> None:
    values = np.zeros(10)
    first = [measured(values), measured(values, replace(RECALL, k=20)), replace(RECALL, name="other")]
    second = [measured(values, replace(RECALL, k=20)), replace(RECALL, name="other")]
    assert [(number.metric.name, number.metric.k) for number in compare_metrics(first, second, 100)] == [
        ("triplet_recall", 20)
    ]


def test_a_cause_that_one_run_never_met_is_0_there() -> None:
    rate = replace(RECALL, name="failure_rate_no_json", section="answers")
    met = np.r_[np.ones(40), np.zeros(60)]
    known = measured(np.zeros(100), replace(rate, name="failure_rate_truncated"))
    (there,) = compare_metrics([known, measured(met, rate)], [known], 100)[1:]
    (back,) = compare_metrics([known], [known, measured(met, rate)], 100)[1:]
    assert (there.interval.difference, back.interval.difference) == pytest.approx((-0.4, 0.4))
    assert (there.outcome, back.outcome) == ("better", "worse")
    assert compare_metrics([measured(met, rate)], [measured(met)], 100) == (), "nothing is known of its causes"


@pytest.mark.parametrize(("num_images", "outcome"), [(1, "not shown"), (29, "not shown"), (30, "better")])
def test_of_few_images_nothing_is_shown(num_images: int, outcome: Outcome) -> None:
    values = np.zeros(num_images)
    (number,) = compare_metrics([measured(values)], [measured(values + 1)], num_images)
    assert (number.outcome, number.to_json()["verdict"]) == (outcome, outcome)


def test_a_number_without_a_value_has_no_difference() -> None:
    nothing = replace(RECALL, value=math.nan, resampled=np.full(500, np.nan))
    (number,) = compare_metrics([nothing], [measured(np.zeros(10))], 100)
    assert np.isnan(number.interval).all()
    assert number.outcome == "not shown"
    assert number.to_json()["interval"] is None


def test_other_resamples_are_refused() -> None:
    with pytest.raises(ValueError, match="the same resamples"):
        compare_metrics([measured(np.zeros(10))], [measured(np.zeros(10), num_resamples=20)], 100)


def test_images_are_won_lost_tied_or_not_counted() -> None:
    first, second = np.array([0.0, 1.0, 0.5, np.nan, 0.2]), np.array([0.5, 0.0, 0.5, np.nan, 0.3])
    assert count_images(first, second) == (2, 1, 1, 1)


def test_chance_is_rarely_taken_for_a_difference() -> None:
    """200 pairs of runs from the same distribution: a 95 % interval leaves out 0 in about 5 % of them."""
    generator = np.random.default_rng(0)
    wrong = 0
    for _ in range(200):
        hardness = generator.random(100)
        first, second = (np.mean(generator.random((3, 100)) < hardness, axis=0) for _ in range(2))
        (number,) = compare_metrics([measured(first)], [measured(second)], 100)
        wrong += number.outcome != "not shown"
    assert wrong <= 20


def test_a_real_difference_is_mostly_seen() -> None:
    generator = np.random.default_rng(0)
    seen = 0
    for _ in range(50):
        first = generator.binomial(3, 0.3, 300) / 3
        second = generator.binomial(3, 0.4, 300) / 3
        (number,) = compare_metrics([measured(first)], [measured(second)], 100)
        seen += number.outcome == "better"
    assert seen >= 45
