"""Charts are laid out inside their frame, whatever the values."""

import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from r1sgg_cli.report.curves import (
    BOTTOM,
    HEIGHT,
    LEFT,
    MAX_HOVER_STEPS,
    MAX_POINTS,
    MAX_TABLE_ROWS,
    RIGHT,
    TOP,
    WIDTH,
    Curve,
    Series,
    extremes,
    format_number,
    lay_out,
    nice_ticks,
    running_mean,
    thinned,
)


def curve_of(*values: float) -> Curve:
    return Curve("loss", "step", "nats", (Series("a", tuple((float(i), v) for i, v in enumerate(values))),))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        pytest.param(0, 10, [0, 2, 4, 6, 8, 10], id="exact"),
        pytest.param(0, 0.93, [0, 0.2, 0.4, 0.6, 0.8, 1.0], id="fraction"),
        pytest.param(-0.5, 0.5, [-0.6, -0.4, -0.2, 0, 0.2, 0.4, 0.6], id="around zero"),
        pytest.param(0, 0, [-0.6, -0.4, -0.2, 0, 0.2, 0.4, 0.6], id="no width at zero"),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert nice_ticks(low, high) == pytest.approx(expected)


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
def test_ticks_enclose_the_range_and_are_few(low: float, width: float) -> None:
    ticks = nice_ticks(low, low + width)
    slack = 1e-6 * (ticks[1] - ticks[0])
    assert ticks[0] <= low + slack
    assert ticks[-1] >= low + width - slack
    assert 2 <= len(ticks) <= 8


@given(st.lists(st.floats(-1e12, 1e12) | st.just(math.nan) | st.just(math.inf), min_size=1, max_size=60))
@example([0.0, 5e-324])
def test_lines_stay_inside_the_plot(values: list[float]) -> None:
    chart = lay_out(curve_of(*values))
    if chart is None:
        assert not any(math.isfinite(v) for v in values)
        return
    path = chart.lines[0].smooth_path
    for x, y in re.findall(r"[ML]([-\d.e+]+) ([-\d.e+]+)", path):
        assert LEFT - 0.1 <= float(x) <= WIDTH - RIGHT + 0.1
        assert TOP - 0.1 <= float(y) <= HEIGHT - BOTTOM + 0.1


def test_a_curve_without_finite_values_has_no_chart() -> None:
    assert lay_out(curve_of(math.nan, math.inf)) is None


def test_a_value_that_is_not_finite_leaves_a_gap() -> None:
    chart = lay_out(curve_of(1, 2, math.nan, 3, 4))
    assert chart is not None
    assert chart.lines[0].smooth_path.count("M") == 2


def test_the_axis_starts_at_zero_unless_that_would_flatten_the_line() -> None:
    from_zero, tight = lay_out(curve_of(0.5, 3)), lay_out(curve_of(95, 100))
    assert from_zero is not None
    assert tight is not None
    assert from_zero.y_ticks[0].text == "0"
    assert tight.y_ticks[0].text == "95"


def test_the_running_mean_is_centred_and_keeps_gaps() -> None:
    points = [(0.0, 1.0), (1.0, math.nan), (2.0, 3.0), (3.0, 5.0)]
    means = [y for _, y in running_mean(points, 3)]
    assert means[0] == 1
    assert math.isnan(means[1])
    assert means[2:] == [4, 4]


def test_a_long_run_is_thinned_for_hovering_and_for_the_table() -> None:
    chart = lay_out(curve_of(*range(2000)))
    assert chart is not None
    assert len(chart.hover) == MAX_HOVER_STEPS
    assert len(chart.table) == MAX_TABLE_ROWS
    assert (chart.table[0][0], chart.table[-1][0]) == ("0", "1999")
    assert chart.hover[0].text == "step 0\na: 0"


def test_a_long_run_is_drawn_in_few_points_and_keeps_its_spikes() -> None:
    values = [1.0] * 10_000
    values[1234] = 50.0
    chart = lay_out(curve_of(*values))
    assert chart is not None
    (line,) = chart.lines
    for path in (line.raw_path, line.smooth_path):
        assert path.count("L") < MAX_POINTS
    assert min(float(y) for _, y in re.findall(r"[ML]([-\d.e+]+) ([-\d.e+]+)", line.raw_path)) < TOP + 20


@pytest.mark.parametrize(
    ("values", "limit", "kept"),
    [
        ([1, 2, 3], 4, [1, 2, 3]),
        ([1, 5, 2, 2, 0, 3, 4, 4], 4, [1, 5, 0, 4]),
        ([math.nan, math.nan, 1, math.nan], 2, [1]),
    ],
    ids=["all", "lowest and highest, in order", "what is there"],
)
def test_extremes_of_each_stretch_are_kept(values: list[float], limit: int, kept: list[float]) -> None:
    assert [y for _, y in extremes(list(enumerate(values)), limit)] == kept


def test_a_value_that_is_always_zero_is_drawn_at_the_bottom() -> None:
    chart = lay_out(curve_of(0, 0, 0))
    assert chart is not None
    assert [tick.text for tick in chart.y_ticks] == ["0", "1"]


def test_series_of_different_steps_share_one_axis() -> None:
    curve = Curve("r", "step", "reward", (Series("a", ((1, 1.0), (3, 2.0))), Series("b", ((2, 5.0),))))
    chart = lay_out(curve)
    assert chart is not None
    assert chart.table == (("1", "1", "–"), ("2", "–", "5"), ("3", "2", "–"))


def test_thinning_keeps_both_ends() -> None:
    assert thinned([0, 1, 2, 3, 4, 5, 6], 3) == [0, 3, 6]
    assert thinned([0, 1], 3) == [0, 1]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (12000, "12000"),
        (0.25, "0.25"),
        (6e-7, "6e−7"),
        (3.5e-4, "3.5e−4"),
        (1e-3, "0.001"),
        (-1.5, "−1.5"),
        (math.nan, "–"),
        (1 / 3, "0.333"),
    ],
)
def test_numbers_are_short(value: float, expected: str) -> None:
    assert format_number(value) == expected
