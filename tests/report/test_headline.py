"""The words above the table follow from the numbers."""

import math
from dataclasses import replace

import pytest

from r1sgg_cli.data.predictions import ImagePrediction
from r1sgg_cli.report.comparison import compare_stages
from r1sgg_cli.report.headline import UNCLEAR, findings, format_difference, format_value, headline_rows
from r1sgg_cli.report.stages import HEADLINE, RECALL, Gain, Measure, Stage, evaluate_predictions, recall_gain
from tests.report.conftest import make_graph, make_stage

COUNT = HEADLINE[-1]


@pytest.fixture
def gain(stages: list[Stage]) -> Gain:
    return recall_gain(stages, "after SFT", "after GRPO")


@pytest.mark.parametrize(
    ("value", "measure", "expected"),
    [
        pytest.param(0.3194, RECALL, "31.9\u202f%", id="fraction"),
        pytest.param(2.694, COUNT, "2.69", id="count"),
        pytest.param(math.nan, RECALL, "–", id="undefined"),
    ],
)
def test_a_value_is_shown_in_its_unit(value: float, measure: Measure, expected: str) -> None:
    assert format_value(value, measure) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(0.112, "+11.2", id="more"),
        pytest.param(-0.05, "−5.0", id="less"),
        pytest.param(-0.0001, "0.0", id="rounds to nothing"),
    ],
)
def test_a_difference_carries_its_sign_unless_it_rounds_to_zero(value: float, expected: str) -> None:
    assert format_difference(value, RECALL) == expected


def test_the_gain_is_the_difference_of_the_two_recalls(stages: list[Stage], gain: Gain) -> None:
    before, after = (stage.evaluation.value("triplet_recall") for stage in stages[1:])
    assert gain.difference == pytest.approx(after - before)
    assert gain.low < gain.difference < gain.high
    assert gain.num_images == 40


def test_the_verdict_names_what_got_worse(stages: list[Stage], gain: Gain) -> None:
    said = findings(stages, gain)
    assert "rose from" in said.claim
    assert "does not contain 0" in said.interval
    assert said.price.startswith("What got worse (after SFT → after GRPO): triplet precision ")


def test_an_interval_around_zero_is_called_unclear(stages: list[Stage], gain: Gain) -> None:
    assert UNCLEAR in findings(stages, replace(gain, low=-0.02)).interval


def test_the_gain_is_that_of_a_comparison(stages: list[Stage], gain: Gain) -> None:
    before, after = (Stage(s.name, s.predictions, evaluate_predictions(s.predictions, 1_000)) for s in stages[1:])
    numbers = {(n.metric.name, n.metric.k): n for n in compare_stages([before, after])[0].numbers}
    interval = numbers["triplet_recall", None].interval
    assert (gain.difference, gain.low, gain.high) == pytest.approx(tuple(interval), abs=1e-12)


def test_few_images_show_no_gain(stages: list[Stage], gain: Gain) -> None:
    said = findings(stages, replace(gain, num_images=29)).interval
    assert said.endswith("Only 29 images: intervals of so few are too narrow to rely on.")


def test_a_fall_is_called_a_fall(stages: list[Stage], gain: Gain) -> None:
    backwards = recall_gain(stages, "after GRPO", "after SFT")
    said = findings(stages, backwards)
    assert "fell from" in said.claim
    assert said.bar is not None
    assert said.bar.low < said.bar.point < said.bar.high < said.bar.zero


def test_equal_stages_did_not_move_and_nothing_got_worse(stages: list[Stage]) -> None:
    said = findings(stages, recall_gain(stages, "after SFT", "after SFT"))
    assert "did not move" in said.claim
    assert UNCLEAR in said.interval
    assert said.price.startswith("No number of the table got worse")


def test_recall_without_annotated_relationships_is_not_defined() -> None:
    truth = make_graph(["red circle"], [[0, 0, 40, 40]], [])
    images = [ImagePrediction("a", (100, 100), truth, truth, None, {}, "{}")]
    stages = [make_stage("before", images), make_stage("after", images)]
    said = findings(stages, recall_gain(stages, "before", "after"))
    assert said.claim.startswith("Triplet recall is not defined")
    assert said.bar is None


def test_the_table_judges_each_change_by_the_direction_of_its_measure(stages: list[Stage], gain: Gain) -> None:
    rows = {row.measure.name: row for row in headline_rows(stages, gain)}
    assert rows["failure rate"].change.text.startswith("−")
    assert rows["failure rate"].change.outcome == "better"
    assert rows["triplet precision"].change.outcome == "worse"
    assert rows["relationships per image"].change.outcome == ""
    assert all(len(row.values) == 3 and row.counted for row in rows.values())
