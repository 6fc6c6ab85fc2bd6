"""Bootstrap intervals."""

import numpy as np
import pytest

from r1sgg_cli.metrics.significance import bootstrap_mean, paired_bootstrap


def test_interval_of_a_mean_is_that_of_the_normal_approximation() -> None:
    values = np.random.default_rng(1).normal(0.3, 0.2, 400)
    mean, low, high = bootstrap_mean(values)
    margin = 1.96 * values.std() / 20
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx((mean - margin, mean + margin), abs=0.002)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(1).random(50)
    assert bootstrap_mean(values, seed=3) == bootstrap_mean(values, seed=3)
    assert bootstrap_mean(values, seed=3) != bootstrap_mean(values, seed=4)


def test_images_that_do_not_count_change_nothing() -> None:
    values = np.random.default_rng(1).random(50)
    assert bootstrap_mean(np.append(values, np.nan)) == bootstrap_mean(values)


@pytest.mark.parametrize("values", [pytest.param([], id="no image"), pytest.param([np.nan], id="none that counts")])
def test_nothing_to_average_is_nan(values: list[float]) -> None:
    assert np.isnan(bootstrap_mean(np.array(values, dtype=np.float64))).all()


def test_pairing_sees_a_small_gain_that_the_spread_of_images_hides() -> None:
    before = np.random.default_rng(1).random(300)
    after = before + 0.02
    difference, low, high = paired_bootstrap(before, after)
    assert (difference, low, high) == pytest.approx((0.02, 0.02, 0.02))


def test_no_difference_has_zero_in_its_interval() -> None:
    generator = np.random.default_rng(1)
    _, low, high = paired_bootstrap(generator.random(300), generator.random(300))
    assert low < 0 < high


def test_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match="same images"):
        paired_bootstrap(np.zeros(3), np.zeros(4))


def test_one_image_has_an_interval_without_width() -> None:
    assert bootstrap_mean(np.array([0.5])) == (0.5, 0.5, 0.5)
