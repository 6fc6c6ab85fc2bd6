"""Which of a run's logged numbers are drawn together, and in which units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from r1sgg_cli.report.curves import Curve, Series

STEP = "optimizer step"
PHASES = ("data", "sampling", "sync", "logprobs", "reward", "update", "evaluation", "checkpoint", "other")
"""In the order of a step."""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LoggedCurve:
    """Series that share a unit, by the key under which each is logged."""

    title: str
    unit: str
    keys: Mapping[str, str]
    """Logged key → name."""


TRAINING = (
    LoggedCurve("Groups without variance", "share of groups", {"frac_reward_zero_std": "all rewards equal"}),
    LoggedCurve(
        "Answer length",
        "tokens",
        {"completions/mean_length": "mean", "completions/max_length": "longest", "completions/min_length": "shortest"},
    ),
    LoggedCurve(
        "Answers gone wrong",
        "share of answers",
        {
            "completions/clipped_ratio": "cut off at the token limit",
            "answers/unreadable": "no graph can be read",
            "answers/empty": "no object or no relationship",
        },
    ),
    LoggedCurve("Loss", "loss", {"loss": "loss"}),
    LoggedCurve("Tokens predicted right", "share of answer tokens", {"mean_token_accuracy": "likeliest token"}),
    LoggedCurve("Entropy", "nats per answer token", {"entropy": "entropy"}),
    LoggedCurve("Divergence from the reference", "nats per answer token", {"kl": "KL"}),
    LoggedCurve(
        "Clipped probability ratios",
        "share of answer tokens",
        {"clip_ratio/low_mean": "below", "clip_ratio/high_mean": "above"},
    ),
    LoggedCurve(
        "Engine against trainer",
        "difference of log-probabilities (nats)",
        {"sampling/sampling_logp_difference/mean": "mean", "sampling/sampling_logp_difference/max": "largest"},
    ),
    LoggedCurve(
        "Importance ratio of the engine",
        "ratio",
        {"sampling/importance_sampling_ratio/mean": "mean", "sampling/importance_sampling_ratio/min": "least"},
    ),
    LoggedCurve("Gradient norm", "norm before clipping", {"grad_norm": "norm"}),
    LoggedCurve("Learning rate", "learning rate", {"learning_rate": "rate"}),
)
EVALUATED = LoggedCurve(
    "Held-out images",
    "share",
    {
        "eval_triplet_recall": "triplet recall",
        "eval_mean_recall": "mean recall",
        "eval_object_recall": "object recall",
        "eval_failure_rate": "failure rate",
        "eval_empty_graphs": "empty graphs",
        "eval_cut_off_answers": "answers cut off",
    },
)
SPEED = (
    LoggedCurve(
        "Throughput",
        "tokens per second",
        {"tokens_per_s_per_gpu": "for each GPU", "tokens_per_s_per_process": "for each process"},
    ),
    LoggedCurve(
        "Use of the GPUs", "share of their peak", {"mfu": "MFU, whole step", "mfu_update": "MFU, update alone"}
    ),
    LoggedCurve("Memory", "GiB", {"memory/peak_gib": "peak of the first process"}),
)


def training_curves(rows: Sequence[Row]) -> list[Curve]:
    """How the run learns: rewards first, held-out images next, where there are any."""
    rewards = {key: key.split("/")[1] for row in rows for key in row if _is_reward(key)}
    total = {"reward": "weighted sum"} if len(rewards) > 1 else {}
    return _drawn((LoggedCurve("Reward", "mean per answer", {**total, **rewards}), EVALUATED, *TRAINING), rows)


def speed_curves(rows: Sequence[Row]) -> list[Curve]:
    """How fast the run is."""
    return _drawn(SPEED, rows)


def _is_reward(key: str) -> bool:
    return key.startswith("rewards/") and key.endswith("/mean")


def _drawn(curves: Sequence[LoggedCurve], rows: Sequence[Row]) -> list[Curve]:
    """Those of which something was logged."""
    drawn = []
    for curve in curves:
        series = (Series(name, _points(rows, key)) for key, name in curve.keys.items())
        logged = tuple(one for one in series if any(isfinite(value) for _, value in one.points))
        if logged:
            drawn.append(Curve(curve.title, STEP, curve.unit, logged))
    return drawn


def _points(rows: Sequence[Row], key: str) -> tuple[tuple[float, float], ...]:
    return tuple((float(row["step"]), float(row[key])) for row in rows if row.get(key) is not None)
