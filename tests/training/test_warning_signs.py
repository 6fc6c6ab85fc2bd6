"""Early warnings: said once, of a window of steps, with the number and the way out; never of one noisy step."""

from collections.abc import Iterable
from typing import Any

import pytest

from r1sgg_cli.training.warning_signs import RULES, Rule, Warned, Watch

Rows = Iterable[tuple[int, dict[str, Any]]]


def warnings_of(rows: Rows) -> list[Warned]:
    watch = Watch()
    return [warned for step, logs in rows for warned in watch.see(step, logs)]


def training(metric: str, values: Iterable[float], every: int = 1) -> list[tuple[int, dict[str, Any]]]:
    return [(every * number, {metric: value}) for number, value in enumerate(values, start=1)]


def of(seen_in: str) -> list[Any]:
    return [pytest.param(rule, id=rule.kind) for rule in RULES if rule.seen_in == seen_in]


@pytest.mark.parametrize("rule", of("training"))
def test_a_share_that_stays_high_is_said_once_with_its_window(rule: Rule) -> None:
    said = warnings_of(training(rule.metric, [rule.from_share + 0.05] * 60))
    assert [(one.step, one.kind) for one in said] == [(20, rule.kind)]
    assert f"{rule.from_share + 0.05:.0%} of {rule.what} in steps 1 to 20: {rule.way_out}" == said[0].message


@pytest.mark.parametrize("rule", of("training"))
def test_one_noisy_step_is_not_said(rule: Rule) -> None:
    calm = [rule.cleared_below / 2] * 30
    assert not warnings_of(training(rule.metric, [1.0, *calm, 1.0, *calm]))


@pytest.mark.parametrize("rule", of("evaluation"))
def test_an_evaluation_is_confirmed_by_the_next_and_the_untrained_model_does_not_count(rule: Rule) -> None:
    high, low = rule.from_share + 0.05, 0.0
    rows = [(step, {rule.metric: value}) for step, value in ((0, 1.0), (50, high), (100, low), (150, high), (200, 0.9))]
    said = warnings_of(rows)
    assert [(one.step, one.kind) for one in said] == [(200, rule.kind)]
    assert f"at least {high:.0%} of {rule.what} at steps 150 and 200: " in said[0].message


def test_a_warning_is_said_again_only_after_it_has_cleared() -> None:
    metric = "completions/clipped_ratio"
    on_the_threshold = [0.3] * 20 + [0.19, 0.21] * 20
    assert len(warnings_of(training(metric, on_the_threshold))) == 1
    assert len(warnings_of(training(metric, [0.3] * 20 + [0.0] * 40 + [0.3] * 20))) == 2


def test_where_not_every_step_is_logged_a_row_stands_for_the_steps_since_the_one_before() -> None:
    said = warnings_of(training("frac_reward_zero_std", [0.8] * 5, every=10))
    assert [one.step for one in said] == [30]
    assert "in steps 20 to 30" in said[0].message
    said = warnings_of(training("frac_reward_zero_std", [0.8, 0.8, 0.8], every=100))
    assert [one.step for one in said] == [200]
    assert "in steps 100 to 200" in said[0].message


@pytest.mark.parametrize("value", [None, float("nan"), "0.9"], ids=["null", "NaN", "text"])
def test_what_is_no_number_is_passed_over(value: Any) -> None:
    assert not warnings_of((step, {"frac_reward_zero_std": value}) for step in range(1, 50))


def trained_and_evaluated(goal: str, values: Iterable[float], recalls: Iterable[float]) -> Rows:
    """Twenty steps at each of `values`, then an evaluation."""
    for number, (value, recall) in enumerate(zip(values, recalls, strict=True)):
        for step in range(20 * number + 1, 20 * number + 21):
            yield step, {goal: value, "loss": 0.0} if goal == "reward" else {goal: value}
        yield 20 * number + 20, {"eval_triplet_recall": recall}


@pytest.mark.parametrize(
    ("goal", "values", "recalls", "said_at"),
    [
        ("reward", [1.0, 1.2, 1.4, 1.6], [0.30, 0.31, 0.25, 0.24], [80]),
        ("reward", [1.0, 1.2, 1.4, 1.6, 1.7], [0.30, 0.31, 0.25, 0.32, 0.25], []),
        ("reward", [1.0, 1.2, 1.1, 0.9], [0.30, 0.31, 0.25, 0.24], []),
        ("reward", [1.0, 1.2, 1.4, 1.6], [0.30, 0.31, 0.295, 0.29], []),
        ("reward", [1.0, 1.2, 1.4], [0.0, 0.0, 0.0], []),
        ("loss", [1.0, 0.8, 0.7, 0.5], [0.30, 0.31, 0.25, 0.24], [80]),
        ("loss", [1.0, 0.8, 0.9, 1.1], [0.30, 0.31, 0.25, 0.24], []),
        ("reward", [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6], [0.30, 0.2, 0.2, 0.2, 0.30, 0.2, 0.2], [60, 140]),
    ],
    ids=[
        *("reward rises while recall falls", "recall falls once", "reward falls too", "within what is chance"),
        *("there never was a recall", "overfitting", "diverging", "again, after it had recovered"),
    ],
)
def test_recall_that_falls_while_training_gets_better_at_its_goal(
    goal: str, values: list[float], recalls: list[float], said_at: list[int]
) -> None:
    said = warnings_of(trained_and_evaluated(goal, values, recalls))
    assert [(one.step, one.kind) for one in said] == [(step, "recall_falls") for step in said_at]


def test_falling_recall_names_both_numbers_and_the_model_to_use() -> None:
    said = warnings_of(trained_and_evaluated("reward", [1.0, 1.2, 1.4, 1.6], [0.30, 0.31, 0.25, 0.24]))
    assert said[0].message == (
        "evaluated triplet recall fell from 0.310 at step 40 to 0.240 at step 80 while the reward rose from 1.200 to "
        "1.600: training no longer helps; stop, and use the model of step 40 "
        "(`evaluation.best_by=triplet_recall` keeps it)"
    )
