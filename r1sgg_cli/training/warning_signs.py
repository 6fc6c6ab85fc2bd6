"""What a log says hours before a run turns out to be lost, each in one line with the way out.

A warning is said once, and again only after it has cleared. Thresholds stand beside their reasons in `RULES`.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from r1sgg_cli.training.counts import EMPTY, UNREADABLE

WINDOW_STEPS = 20
"""A step's shares are of a few hundred answers and differ by a tenth from step to step; the mean of 20 does not."""
NUM_EVALUATIONS = 2
"""An evaluation has to be confirmed by the next: on 200 images a share of 0.2 is known to ± 0.06."""
RECALL_FALL = 0.1
"""Of the best recall so far; at two evaluations in a row such a fall is seldom the chance of 200 images."""
RECALL_RECOVERED = 0.05


@dataclass(frozen=True, slots=True)
class Warned:
    """A row of `warnings.jsonl`."""

    step: int
    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A share in the logs that is too high: the mean of a window of steps, or each of the last evaluations."""

    kind: str
    metric: str
    seen_in: Literal["training", "evaluation"]
    from_share: float
    """Said from here."""
    cleared_below: float
    """Lower, so that a share on the threshold is not said over and over."""
    what: str
    """Goes on after "73 % of "."""
    way_out: str


RULES = (
    # A group of equal rewards has no gradient: with 0.7, answers are paid for of which 3 in 10 teach.
    Rule(
        "no_variance",
        "frac_reward_zero_std",
        "training",
        0.7,
        0.5,
        "groups had equal rewards and taught nothing",
        "raise `temperature` or `num_generations`, or take rewards that tell more answers apart",
    ),
    # An answer without its end has lost the items that come last, and in a think-and-answer form all of them.
    Rule(
        "cut_off_answers",
        "completions/clipped_ratio",
        "training",
        0.2,
        0.1,
        "answers were cut off",
        "raise `max_new_tokens`, or begin with a model that ends its answers (`r1sgg sft`)",
    ),
    # From a base model half of the answers fail at first, and within 20 steps far fewer, if anything is learned.
    Rule(
        "unreadable_answers",
        UNREADABLE,
        "training",
        0.5,
        0.3,
        "answers held no readable graph",
        "begin with a fine-tuned model (`r1sgg sft`), or reward the form (`rewards.format_reward`)",
    ),
    # Precision is easiest for who says nothing; of annotated images few have no relationship at all.
    Rule(
        "empty_graphs",
        EMPTY,
        "training",
        0.3,
        0.2,
        "answers named no object or no relationship",
        "reward recall (`edge_hard_reward`), which saying nothing does not earn",
    ),
    Rule(
        "evaluated_failures",
        "eval_failure_rate",
        "evaluation",
        0.2,
        0.1,
        "held-out images had no readable answer",
        "look at the answers (`r1sgg infer` on the last checkpoint); `max_new_tokens` may be too few",
    ),
    Rule(
        "evaluated_empty_graphs",
        "eval_empty_graphs",
        "evaluation",
        0.3,
        0.2,
        "held-out images were answered without an object or a relationship",
        "reward recall (`edge_hard_reward`), or train on images that have relationships",
    ),
    Rule(
        "evaluated_cut_off_answers",
        "eval_cut_off_answers",
        "evaluation",
        0.2,
        0.1,
        "held-out images had an answer that was cut off",
        "raise `max_answer_tokens` of `sft` or `max_new_tokens` of `grpo`",
    ),
)


@dataclass
class _Share:
    """One rule, and what has been logged of its metric."""

    rule: Rule
    rows: list[tuple[int, float]] = field(default_factory=list)
    is_said: bool = False

    def see(self, step: int, logs: Mapping[str, Any]) -> Iterator[Warned]:
        value = _number(logs, self.rule.metric)
        if value is None or (self.rule.seen_in == "evaluation" and step == 0):  # an untrained model may fail
            return
        self.rows.append((step, value))
        window = _window(self.rows) if self.rule.seen_in == "training" else self.rows[-NUM_EVALUATIONS:]
        if len(window) < 2:
            return
        values = [value for _, value in window]
        share = _mean(values) if self.rule.seen_in == "training" else min(values)
        if share >= self.rule.from_share and not self.is_said:
            self.is_said = True
            yield Warned(step, self.rule.kind, self._message(share, window))
        elif share < self.rule.cleared_below:
            self.is_said = False

    def _message(self, share: float, window: list[tuple[int, float]]) -> str:
        first, last = window[0][0], window[-1][0]
        when = f"in steps {first} to {last}" if self.rule.seen_in == "training" else f"at steps {first} and {last}"
        at_least = "" if self.rule.seen_in == "training" else "at least "
        return f"{at_least}{share:.0%} of {self.rule.what} {when}: {self.rule.way_out}"


def _window(rows: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """The rows of the last `WINDOW_STEPS` steps, two at least; none before so many steps have been taken.

    Where not every step is logged, a row is the mean since the one before.
    """
    last = rows[-1][0]
    if last - rows[0][0] < WINDOW_STEPS - 1:
        return []
    recent = [row for row in rows if row[0] > last - WINDOW_STEPS]
    return recent if len(recent) > 1 else rows[-2:]


@dataclass(frozen=True, slots=True)
class _Evaluated:
    step: int
    recall: float
    progress: float
    """The mean reward, or minus the mean loss, of the steps before."""


@dataclass
class _RecallFalls:
    """Evaluated recall falls while what is trained for gets better."""

    trained: list[tuple[int, float]] = field(default_factory=list)
    evaluated: list[_Evaluated] = field(default_factory=list)
    goal: str = "loss"
    is_said: bool = False

    def see(self, step: int, logs: Mapping[str, Any]) -> Iterator[Warned]:
        reward, loss, recall = (_number(logs, name) for name in ("reward", "loss", "eval_triplet_recall"))
        if reward is not None:  # GRPO's loss says nothing
            self.goal = "reward"
            self.trained.append((step, reward))
        elif loss is not None and self.goal == "loss":
            self.trained.append((step, -loss))
        if recall is None or not self.trained:
            return
        recent = _window(self.trained) or self.trained
        self.evaluated.append(_Evaluated(step, recall, _mean([value for _, value in recent])))
        best, now = max(self.evaluated, key=lambda one: one.recall), self.evaluated[-1]
        fell = all(one.recall <= (1 - RECALL_FALL) * best.recall for one in self.evaluated[-NUM_EVALUATIONS:])
        if fell and best.recall > 0 and now.progress > best.progress and not self.is_said:
            self.is_said = True
            yield Warned(step, "recall_falls", self._message(best, now))
        elif now.recall > (1 - RECALL_RECOVERED) * best.recall:
            self.is_said = False

    def _message(self, best: _Evaluated, now: _Evaluated) -> str:
        better = "rose" if self.goal == "reward" else "fell"
        return (
            f"evaluated triplet recall fell from {best.recall:.3f} at step {best.step} to {now.recall:.3f} at step "
            f"{now.step} while the {self.goal} {better} from {abs(best.progress):.3f} to {abs(now.progress):.3f}: "
            f"training no longer helps; stop, and use the model of step {best.step} "
            "(`evaluation.best_by=triplet_recall` keeps it)"
        )


class Watch:
    """Reads the rows of a log in order and says what is wrong."""

    def __init__(self) -> None:
        self._watched: tuple[_Share | _RecallFalls, ...] = (*(_Share(rule) for rule in RULES), _RecallFalls())

    def see(self, step: int, logs: Mapping[str, Any]) -> list[Warned]:
        """What is to be said after one more row."""
        return [warned for watched in self._watched for warned in watched.see(step, logs)]


def _number(logs: Mapping[str, Any], name: str) -> float | None:
    value = logs.get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
