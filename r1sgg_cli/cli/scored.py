"""What `r1sgg score` prints of rewards: what they are worth on answers that are there, and on answers that cheat."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from r1sgg_cli.rewards.workbench import Adversary, Scored, Summary

TOTAL = "weighted sum"
ROOMY = 120
"""Columns of a terminal from which all numbers have space around them."""
UNTRIED = (
    "no degenerate answer was tried: of the images that were answered none has what its task asks for annotated, or no "
    "reward applies to those that have"
)
LENGTH = "length_penalty_reward"
AGAINST = {
    "box spam": "object_f1_reward",
    "duplicates": "object_f1_reward",
    "predicate spam": "edge_f1_reward",
    "one more predicate": "edge_f1_reward",
    "several guesses": "edge_f1_reward",
}
"""Kind of answer that pays → the reward that takes its profit; of others the penalty on length."""


def print_scored(scored: Scored, weights: Mapping[str, float], console: Console) -> None:
    """One line for each reward and one for their weighted sum; then how the rewards go together."""
    from r1sgg_cli.rewards.workbench import READING, summarise

    num_answers, num_groups = len(scored.values), len(set(scored.group.tolist()))
    table = Table(title=f"{num_answers} answers in {num_groups} groups", title_justify="left", caption_justify="left")
    table.add_column("reward", overflow="fold")
    _fit(table, console)
    for name in ("weight", "mean", "sd", "zero", "none", "sd in\na group", "groups\nequal", "ms CPU\neach"):
        table.add_column(name, justify="right", no_wrap=True)
    for column, name in enumerate(scored.names):
        summary = summarise(scored.values[:, column], scored.group)
        milliseconds = f"{scored.seconds[name] / num_answers * 1000:.3f}"
        table.add_row(escape(name), f"{weights[name]:g}", *_cells(summary), milliseconds)
    all_seconds = sum(scored.seconds.values()) / num_answers * 1000
    table.add_row(
        TOTAL, "", *_cells(summarise(scored.total(weights), scored.group)), f"{all_seconds:.3f}", style="bold"
    )
    reading = scored.seconds[READING] / num_answers * 1000
    table.caption = (
        f"values without their weight; of each answer {reading:.3f} ms to read it, once for all rewards; the first "
        "reward that needs the objects matched pays for that"
    )
    console.print(table)
    if len(scored.names) > 1:
        _print_correlations(scored, console)


def _cells(summary: Summary) -> list[str]:
    shares = (_share(summary.zeros), _share(summary.absent))
    return [_number(summary.mean), _number(summary.deviation), *shares, _number(summary.within), _share(summary.flat)]


def _print_correlations(scored: Scored, console: Console) -> None:
    from r1sgg_cli.rewards.workbench import correlations

    table = Table(title="correlation of the rewards", title_justify="left")
    table.add_column("", overflow="fold")
    _fit(table, console)
    for name in scored.names:
        table.add_column(escape(_short(name)), justify="right")
    for name, row in zip(scored.names, correlations(scored.values).tolist(), strict=True):
        table.add_row(escape(name), *(_number(value) for value in row))
    console.print(table)


def _fit(table: Table, console: Console) -> None:
    """Leave out the space around numbers where a terminal is too narrow to show all of their digits with it."""
    if console.width < ROOMY:
        table.padding = (0, 0)


def print_adversaries(rows: Sequence[Adversary], names: Sequence[str], console: Console) -> None:
    """What each kind of answer earns, and whether any pays."""
    from r1sgg_cli.rewards.adversaries import KINDS

    if not rows:
        console.print(UNTRIED, soft_wrap=True)
        return
    table = Table(title="what answers earn that should not pay", title_justify="left", caption_justify="left")
    table.add_column("answer", overflow="fold")
    _fit(table, console)
    for name in names:
        table.add_column(escape(_short(name)), justify="right")
    table.add_column(TOTAL, justify="right", style="bold")
    for row in rows:
        table.add_row(row.kind, *(_number(value) for value in row.rewards), _number(row.total))
    table.caption = "; ".join(f"{row.kind}: {KINDS[row.kind]}" for row in rows)
    console.print(table)
    console.print(escape(verdict(rows, names)), soft_wrap=True, highlight=False)


def is_tried(rows: Sequence[Adversary]) -> bool:
    """Whether there are degenerate answers, and a reward that says what the truth beside them is worth."""
    return bool(rows) and not math.isnan(rows[0].total)


def verdict(rows: Sequence[Adversary], names: Sequence[str]) -> str:
    """One sentence: which degenerate answers earn as much as what they are compared with, or that none does.

    `names` are the rewards that were tried: of those against what pays, it names others.
    """
    others = [row for row in rows if not row.is_yardstick]
    if not is_tried(rows):
        return UNTRIED
    paying = [row for row in others if row.pays]
    if not paying:
        closest = min(others, key=lambda row: math.inf if math.isnan(row.lead) else row.lead)
        return (
            f"each degenerate answer earns less than what it is compared with; the closest, `{closest.kind}`, earns "
            f"{closest.lead:.2f} less than {_yardstick(closest)}"
        )
    said = ", ".join(f"`{row.kind}` {_lead(row)}" for row in paying)
    against = dict.fromkeys(f"`{AGAINST.get(row.kind, LENGTH)}`" for row in paying)
    missing = [name for name in against if name.strip("`") not in names]
    remedy = f"add {', '.join(missing)}" if missing else f"give more weight to {', '.join(against)}"
    return f"it pays to cheat: {said}; {remedy}, against what is superfluous"


def _lead(row: Adversary) -> str:
    from r1sgg_cli.rewards.workbench import MARGIN

    if -row.lead > MARGIN * abs(row.total):
        return f"earns {-row.lead:.2f} more than {_yardstick(row)}"
    return f"earns as much as {_yardstick(row)}"


def _yardstick(row: Adversary) -> str:
    from r1sgg_cli.rewards.adversaries import COMPARED_WITH

    return COMPARED_WITH.get(row.kind, "the honest answer")


def _short(name: str) -> str:
    """A name that takes little width: a word a line."""
    return name.removesuffix("_reward").replace("_", "\n")


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{round(value, 3) + 0.0:.3f}"  # no −0.000


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0%}"
