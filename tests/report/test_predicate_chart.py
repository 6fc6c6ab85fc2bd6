"""Recall over frequency: points inside the frame, names that cover nothing, zero beside the logarithm."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from r1sgg_cli.metrics.predicates import PredicateCount
from r1sgg_cli.report.overlay import text_width
from r1sgg_cli.report.predicate_chart import (
    BOTTOM,
    FONT_SIZE,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    PredicateChart,
    lay_out_predicates,
)


def count_of(name: str, annotated: int, training: int | None, recall: float = 0.5) -> PredicateCount:
    return PredicateCount(name, recall, annotated, 0, 1, training, None if training is None else "head")


def chart_of(*counts: PredicateCount) -> PredicateChart:
    chart = lay_out_predicates([counts])
    assert chart is not None
    return chart


def test_frequencies_are_those_of_training_where_they_are_known() -> None:
    chart = chart_of(count_of("riding", 1, 4_260), count_of("on", 4, 109_355), count_of("eating", 0, 565, math.nan))
    assert [(p.predicate, p.frequency, p.annotated) for p in chart.points] == [("on", 109_355, 4), ("riding", 4_260, 1)]
    assert chart.has_training
    assert "training split" in chart.x_label
    assert (chart.points[0].title, chart.points[0].group) == (
        "on: recall 50.0 %; 4 annotated here, 109,355 on the axis",
        "head",
    )


def test_without_them_the_splits_own_stand_on_the_axis_which_says_so() -> None:
    chart = chart_of(count_of("riding", 1, None), count_of("on", 4, None))
    assert [(p.predicate, p.frequency) for p in chart.points] == [("on", 4), ("riding", 1)]
    assert not chart.has_training
    assert chart.x_label == "times annotated in these images (log scale)"


def test_what_training_never_showed_has_a_column_of_its_own() -> None:
    chart = chart_of(count_of("on", 2, 30), count_of("flying in", 1, 0))
    (on_x, _), (never_x, _) = (point.positions[0] for point in chart.points)
    assert never_x < on_x
    assert (chart.x_ticks[0].text, chart.x_ticks[0].position) == ("0", never_x)
    assert all(tick.position > never_x for tick in chart.x_ticks[1:])


def test_equal_ratios_are_equal_distances() -> None:
    chart = chart_of(*(count_of(str(power), 1, 10**power) for power in (1, 2, 3)))
    x = [point.positions[0][0] for point in chart.points]
    assert x[0] - x[1] == pytest.approx(x[1] - x[2], abs=0.1)


def test_two_runs_are_two_places_of_one_predicate() -> None:
    chart = lay_out_predicates([[count_of("on", 2, None, 0.2)], [count_of("on", 2, None, 0.6)]])
    assert chart is not None
    (point,) = chart.points
    (before_x, before_y), (after_x, after_y) = point.positions
    assert before_x == after_x
    assert after_y < before_y
    assert point.recalls == ("20.0 %", "60.0 %")


def test_without_an_annotated_relationship_there_is_no_chart() -> None:
    assert lay_out_predicates([[count_of("on", 0, 3, math.nan)]]) is None


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text("abcdefgh ", min_size=1, max_size=14).map(str.strip).filter(bool),
        st.tuples(st.integers(1, 6), st.integers(0, 200_000), st.floats(0, 1)),
        min_size=1,
        max_size=40,
    )
)
def test_points_stay_inside_and_names_cover_neither_names_nor_the_frame(
    made: dict[str, tuple[int, int, float]],
) -> None:
    chart = chart_of(*(count_of(name, *values) for name, values in made.items()))
    placed = []
    for point in chart.points:
        x, y = point.positions[0]
        assert LEFT <= x <= WIDTH - RIGHT
        assert TOP <= y <= HEIGHT - BOTTOM
        if point.label_xy:
            left, baseline = point.label_xy
            placed.append((left, baseline, left + text_width(point.label, FONT_SIZE)))
    for i, (left, baseline, right) in enumerate(placed):
        assert left >= LEFT - 0.1
        assert right <= WIDTH + 0.1
        for other_left, other_baseline, other_right in placed[:i]:
            apart = right <= other_left + 0.2 or other_right <= left + 0.2
            assert apart or math.fabs(baseline - other_baseline) >= 12.8


def test_a_recall_of_nothing_lies_above_the_axis_and_its_name_off_it() -> None:
    chart = chart_of(*(count_of(f"on{power}", 1, 10**power, 0.0) for power in (1, 2, 3)))
    axis = HEIGHT - BOTTOM
    for point in chart.points:
        assert point.positions[0][1] + point.radius < axis
        assert point.label_xy is not None
        assert point.label_xy[1] + 3 < axis
    assert chart.y_ticks[0].position == chart.points[0].positions[0][1]


def test_predicates_under_one_dot_share_a_label_that_counts_them() -> None:
    chart = chart_of(
        count_of("on", 4, 100, 0), count_of("by", 3, 100, 0), count_of("at", 3, 99, 0), count_of("in", 3, 9)
    )
    assert [(p.predicate, p.label, p.label_xy is None) for p in chart.points] == [
        ("on", "on +2", False),
        ("by", "by", True),
        ("at", "at", True),
        ("in", "in", False),
    ]
