"""Resamples of the images, numbers as sums over them, and intervals."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.stats import binomtest

from r1sgg_cli.metrics import resampling, statistic
from r1sgg_cli.metrics.resampling import interval_around, mirrored_interval, resampled_weights, wilson_interval
from r1sgg_cli.metrics.statistic import harmonic_mean, mean_of_ratios, mean_over_images, ratio, values_under


def _all(num_images: int, num_resamples: int) -> np.ndarray:
    return np.concatenate(list(resampled_weights(num_images, num_resamples)), axis=1)


def test_each_resample_draws_as_many_images_as_there_are() -> None:
    weights = _all(30, 200)
    assert weights.shape == (30, 200)
    assert set(weights.sum(axis=0).tolist()) == {30}
    assert weights.mean() == 1
    assert weights.var() == pytest.approx(29 / 30, abs=0.05)  # that of multinomial counts


def test_resamples_are_the_same_each_time_and_in_chunks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _all(30, 20)
    monkeypatch.setattr(resampling, "_CHUNK", 100)
    np.testing.assert_array_equal(_all(30, 20), whole)


def test_no_images_have_no_resamples() -> None:
    assert list(resampled_weights(0, 100)) == []


def test_the_interval_of_a_mean_is_the_percentile_interval() -> None:
    values = np.random.default_rng(1).random(400)
    (resampled,) = values_under([mean_over_images(values)], _all(400, 4_000))
    drawn = np.random.default_rng(2).choice(values, (10_000, 400)).mean(axis=1)
    assert interval_around(values.mean(), resampled) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.002)


def test_an_interval_lies_around_the_number_whatever_resampling_shifts() -> None:
    resampled = np.linspace(0.3, 0.5, 1001)
    assert interval_around(0.35, resampled) == pytest.approx((0.255, 0.445))
    assert interval_around(0.05, resampled, 0.0, 1.0) == pytest.approx((0.0, 0.145))
    assert interval_around(0.99, resampled, 0.0, 1.0) == pytest.approx((0.895, 1.0))


def test_the_mirrored_interval_lies_below_a_number_that_resampling_lifts() -> None:
    resampled = np.linspace(0.3, 0.5, 1001)
    assert mirrored_interval(0.35, resampled, 0.0, 1.0) == pytest.approx((0.205, 0.395))
    assert mirrored_interval(0.2, resampled, 0.0, 1.0) == pytest.approx((0.0, 0.095))
    assert mirrored_interval(0.98, 2 * resampled, 0.0, 1.0) == pytest.approx((0.97, 1.0))
    assert mirrored_interval(0.1, resampled, 0.0, 1.0) == (0.0, 0.0)
    assert mirrored_interval(np.nan, resampled, 0.0, 1.0) is None


def test_resamples_without_a_value_are_left_out() -> None:
    assert interval_around(0.5, np.array([np.nan, 0.5, 0.5])) == (0.5, 0.5)
    assert interval_around(np.nan, np.array([0.5])) is None
    assert interval_around(0.5, np.array([np.nan])) is None


@pytest.mark.parametrize(("num_failed", "num_images"), [(0, 2), (0, 40), (1, 40), (20, 40), (40, 40), (3, 26_446)])
def test_the_interval_of_a_rate_is_wilson_s(num_failed: int, num_images: int) -> None:
    expected = binomtest(num_failed, num_images).proportion_ci(0.95, "wilson")
    assert wilson_interval(num_failed / num_images, num_images) == pytest.approx((expected.low, expected.high))
    assert wilson_interval(np.nan, 0) is None


WEIGHTS = np.array([[1, 2, 0], [1, 0, 0], [1, 1, 3]], dtype=np.uint8)


def test_a_ratio_is_sum_by_sum_and_nan_over_nothing() -> None:
    (values,) = values_under([ratio(np.array([1.0, 3.0, 0.0]), np.array([2.0, 4.0, 0.0]))], WEIGHTS)
    np.testing.assert_allclose(values, [4 / 6, 1 / 2, np.nan])


def test_a_mean_of_ratios_leaves_out_rows_without_a_denominator_or_counts_them_as_zero() -> None:
    part, whole = csr_array([[1.0, 0, 0], [0, 1, 1.0]]), csr_array([[1.0, 0, 0], [0, 1, 2.0]])
    statistics = [mean_of_ratios(part, whole), mean_of_ratios(part, whole, 4)]
    present, padded = values_under(statistics, WEIGHTS)
    np.testing.assert_allclose(present, [(1 + 2 / 3) / 2, (1 + 1 / 2) / 2, 1 / 2])
    np.testing.assert_allclose(padded, [(1 + 2 / 3) / 4, (1 + 1 / 2) / 4, 1 / 8])


def test_a_harmonic_mean_is_that_of_each_resample() -> None:
    first, second = mean_over_images(np.array([0.5, 0.0, 0.5])), mean_over_images(np.array([0.25, 0.0, np.nan]))
    (values,) = values_under([harmonic_mean(first, second)], WEIGHTS[:, :2])
    a, b = np.array([1 / 3, 0.5]), np.array([0.125, 0.25])
    np.testing.assert_allclose(values, 2 * a * b / (a + b))


def test_sums_do_not_depend_on_how_many_resamples_are_added_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    statistics, weights = [mean_over_images(np.random.default_rng(0).random(30))], _all(30, 50)
    whole = values_under(statistics, weights)
    monkeypatch.setattr(statistic, "_CELLS", 90)
    np.testing.assert_allclose(values_under(statistics, weights), whole)
