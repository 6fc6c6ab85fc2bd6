"""How long a data set's answers are, counted before the first step, and what is done about those over the limit.

An answer is counted as the first epoch writes it, in the longest form that the run's tasks have for its row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from r1sgg_cli.config.schema import LongAnswers, Task
from r1sgg_cli.data.rows import sized_rows
from r1sgg_cli.errors import ConfigError, DataError
from r1sgg_cli.models.images import num_image_tokens
from r1sgg_cli.training.examples import NUM_TOKENS, AnswerLimit, ExampleMaker, Target

_BATCH = 500


@dataclass(frozen=True, slots=True)
class AnswerLengths:
    """What was counted, one entry of each array per row."""

    num_tokens: NDArray[np.int64]
    image_tokens: NDArray[np.int64]
    related: NDArray[np.bool_]
    """Whether the row has relationships."""
    hopeless: NDArray[np.bool_]
    """Whether not one item is left of an answer that is shortened to the limit."""


def rows_to_train_on(
    rows: Dataset,
    maker: ExampleMaker,
    tasks: Mapping[Task, float],
    policy: LongAnswers,
    limit: AnswerLimit,
    console: Console,
) -> tuple[Dataset, bool]:
    """The rows less those that are dropped, and whether one of them is too long; says how many are, and their fate.

    `rows` have their `POSITION`, and get their `NUM_TOKENS`. Raises `DataError` if there are none, `ConfigError` if
    none is left.
    """
    if not len(rows):
        raise DataError("there is no row to train on: the split is empty; name another with `--split`")
    lengths = count_answers(rows, maker, tasks, limit, console)
    too_long = lengths.num_tokens > limit.num_tokens
    dropped = {"drop": too_long, "shorten": lengths.hopeless, "keep": np.zeros_like(too_long)}[policy]
    num_dropped = int(dropped.sum())
    console.print(_said(lengths, policy, limit.num_tokens, num_dropped), highlight=False)
    if "cls" in tasks and not lengths.related.all():
        num_bare = int((~lengths.related).sum())
        others = [f"`{task}`" for task in tasks if task != "cls"]
        if not others:
            dropped |= ~lengths.related
        fate = f"they are asked as {' or '.join(others)}" if others else "they are dropped"
        console.print(f"{num_bare} of {len(rows)} rows have no relationship: {fate}, never as `cls`")
    if dropped.all():
        raise ConfigError(f"no answer is left: {_nothing_left(len(rows), num_dropped, limit.num_tokens)}")
    taught = lengths.num_tokens if policy == "keep" else np.minimum(lengths.num_tokens, limit.num_tokens)
    rows = rows.add_column(NUM_TOKENS, lengths.image_tokens + taught)
    return (rows.select(np.flatnonzero(~dropped)) if dropped.any() else rows), bool(too_long[~dropped].any())


def _nothing_left(num_rows: int, num_too_long: int, limit: int) -> str:
    """Why not, and the way out; the rows that are not too long have no relationship to ask for."""
    bare = "no relationship, and nothing but `cls` is asked: add a task, as `--set tasks.sgg=1` does"
    if not num_too_long:
        return f"all {num_rows} rows have {bare}"
    raised = "raise that limit (`max_answer_tokens` of `sft`, `max_new_tokens` of `grpo`), or `--set long_answers=keep`"
    if num_too_long == num_rows:
        return f"all {num_rows} are longer than {limit} tokens; {raised}"
    return f"{num_too_long} of {num_rows} are longer than {limit} tokens: {raised}; the other rows have {bare}"


def _said(lengths: AnswerLengths, policy: LongAnswers, limit: int, num_dropped: int) -> str:
    num_rows, num_long = len(lengths.num_tokens), int((lengths.num_tokens > limit).sum())
    counted = f"answers: {num_long} of {num_rows} are longer than {limit} tokens, the longest has "
    counted += str(lengths.num_tokens.max(initial=0))
    if not num_long:
        return counted
    if policy == "keep":
        return f"{counted}; they are kept, though a model that stops at {limit} tokens cannot finish them"
    if policy == "drop":
        return f"{counted}; they are dropped, {num_rows - num_dropped} are left"
    rest = f", {num_dropped} of which not one item fits are dropped" if num_dropped else ""
    return f"{counted}; they are shortened to the items that fit{rest}"


def count_answers(
    rows: Dataset,
    maker: ExampleMaker,
    tasks: Mapping[Task, float],
    limit: AnswerLimit,
    console: Console,
) -> AnswerLengths:
    """Count every row's answer, whole. Images are not decoded. Raises `DataError` on a bad row."""
    num_tokens: list[int] = []
    image_tokens: list[int] = []
    related: list[bool] = []
    hopeless: list[bool] = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("counting answers", total=len(rows))
        sized = sized_rows(rows)
        while batch := list(islice(sized, _BATCH)):
            targets = [_longest_forms(maker, row, image_wh, tasks) for row, image_wh in batch]
            flat = iter(limit.lengths([maker.answer(target) for forms in targets for target in forms]))
            for forms in targets:
                lengths = [next(flat) for _ in forms]
                num_tokens.append(max(lengths))
                image_tokens.append(num_image_tokens(forms[0].resized_wh, maker.limits))
                related.append(bool(forms[0].graph.triplets))
                long = [t for t, n in zip(forms, lengths, strict=True) if n > limit.num_tokens]
                hopeless.append(not all(maker.can_be_shortened(target, limit) for target in long))
            progress.advance(task, len(targets))
    flags = np.array(related, dtype=bool), np.array(hopeless, dtype=bool)
    return AnswerLengths(np.array(num_tokens), np.array(image_tokens), *flags)


def _longest_forms(
    maker: ExampleMaker, row: Mapping[str, Any], image_wh: tuple[int, int], tasks: Mapping[Task, float]
) -> list[Target]:
    """What a row may be asked for in some epoch, less what is a part of another."""
    forms = [maker.target(row, image_wh, task) for task in tasks]
    whole = [form for form in forms if form.task == "sgg"]
    return whole[:1] or forms
