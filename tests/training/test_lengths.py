"""Answers are counted with the checkpoint's own tokenizer; long ones are shortened, dropped or kept, and it is said."""

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from rich.console import Console
from transformers import AutoProcessor

from r1sgg_cli.config.schema import LongAnswers, Task
from r1sgg_cli.data.prompts import Prompting
from r1sgg_cli.data.rows import FEATURES, load_rows
from r1sgg_cli.errors import ConfigError, DataError
from r1sgg_cli.models.families import FAMILIES
from r1sgg_cli.models.images import PixelLimits
from r1sgg_cli.training.examples import POSITION, AnswerLimit, ExampleMaker
from r1sgg_cli.training.lengths import count_answers, rows_to_train_on
from r1sgg_cli.training.schedule import Epoch, Schedule
from tests.data.annotated import encoded

SGG: dict[Task, float] = {"sgg": 1.0}
QUIET = Console(quiet=True)


@pytest.fixture
def tokenizer(tiny_checkpoint: Callable[[str], Path]) -> Any:
    return AutoProcessor.from_pretrained(tiny_checkpoint("qwen2_vl")).tokenizer


@pytest.fixture
def rows(synthetic_dataset: Path) -> Dataset:
    return load_rows(str(synthetic_dataset), "train").select(range(40)).add_column(POSITION, list(range(40)))


@pytest.fixture
def maker() -> ExampleMaker:
    return ExampleMaker(FAMILIES["qwen2_vl"], PixelLimits(20, 400, 10_000), Prompting(True, False), None)


def answer_of(example: dict[str, Any]) -> str:
    return str(example["completion"][0]["content"][0]["text"])


def kept(
    rows: Dataset, maker: ExampleMaker, policy: LongAnswers, limit: AnswerLimit, tasks: dict[Task, float] = SGG
) -> tuple[Dataset, str]:
    """The rows that are left and what was said, on one line."""
    said = io.StringIO()
    left, _ = rows_to_train_on(rows, maker, tasks, policy, limit, Console(file=said, width=300))
    return left, said.getvalue().strip()


def test_what_is_counted_is_what_is_taught(rows: Dataset, maker: ExampleMaker, tokenizer: Any) -> None:
    limit = AnswerLimit(tokenizer, 2048)
    counted = count_answers(rows, maker, SGG, limit, QUIET).num_tokens
    taught = [answer_of(maker.sft_example(row)) + tokenizer.eos_token for row in rows]
    assert counted.tolist() == [len(tokenizer(text).input_ids) for text in taught]


def test_one_line_says_how_many_are_too_long(rows: Dataset, maker: ExampleMaker, tokenizer: Any) -> None:
    counted = count_answers(rows, maker, SGG, AnswerLimit(tokenizer, 9), QUIET).num_tokens
    limit = AnswerLimit(tokenizer, int(np.median(counted)))
    num_long = int((counted > limit.num_tokens).sum())
    assert 0 < num_long < 40
    start = f"answers: {num_long} of 40 are longer than {limit.num_tokens} tokens, "
    start += f"the longest has {counted.max()}; they are "
    for policy, end in (("keep", "kept"), ("drop", f"dropped, {40 - num_long} are left"), ("shorten", "shortened to")):
        left, said = kept(rows, maker, policy, limit)  # type: ignore[arg-type]
        assert said.startswith(start + end)
        assert "\n" not in said
        assert len(left) == (40 - num_long if policy == "drop" else 40)
    assert kept(rows, maker, "shorten", AnswerLimit(tokenizer, 2048))[1] == (
        f"answers: 0 of 40 are longer than 2048 tokens, the longest has {counted.max()}"
    )


@pytest.mark.parametrize("task", ["sgg", "det", "cls"])
def test_shortened_answers_fit_and_are_parts_of_the_whole(
    rows: Dataset, maker: ExampleMaker, tokenizer: Any, task: Task
) -> None:
    for row in rows:
        whole = maker.target(row, row["image"].size, task)
        length = AnswerLimit(tokenizer, 0).lengths([maker.answer(whole)])[0]
        for num_tokens in range(max(length - 25, 0), length + 2):
            limit = AnswerLimit(tokenizer, num_tokens)
            short = maker.shortened(whole, limit)
            assert limit.lengths([maker.answer(short)])[0] <= num_tokens or not short.graph.triplets
            assert set(short.graph.ids) <= set(whole.graph.ids)
            assert (short.graph is whole.graph) == (num_tokens >= length)
            left = short.graph.triplets if task == "cls" else short.graph.ids
            assert bool(left) == maker.can_be_shortened(whole, limit)


def test_a_row_of_which_not_one_item_fits_is_dropped(rows: Dataset, maker: ExampleMaker, tokenizer: Any) -> None:
    hopeless = count_answers(rows, maker, SGG, AnswerLimit(tokenizer, 26), QUIET).hopeless
    assert 0 < hopeless.sum() < 40
    left, said = kept(rows, maker, "shorten", AnswerLimit(tokenizer, 26))
    assert len(left) == 40 - hopeless.sum()
    assert f"{40 - len(left)} of which not one item fits are dropped" in said


@pytest.mark.parametrize("policy", ["drop", "shorten"])
def test_nothing_left_is_one_line(rows: Dataset, maker: ExampleMaker, tokenizer: Any, policy: LongAnswers) -> None:
    with pytest.raises(ConfigError, match="no answer is left: all 40 are longer than 5 tokens; raise that limit"):
        rows_to_train_on(rows, maker, SGG, policy, AnswerLimit(tokenizer, 5), QUIET)


def test_a_split_without_rows_is_said(rows: Dataset, maker: ExampleMaker, tokenizer: Any) -> None:
    with pytest.raises(DataError, match="no row to train on: the split is empty"):
        rows_to_train_on(rows.select([]), maker, SGG, "shorten", AnswerLimit(tokenizer, 2048), QUIET)


@pytest.mark.parametrize(
    ("num_bare", "num_tokens", "said"),
    [
        pytest.param(40, 2048, "no answer is left: all 40 rows have no relationship, and nothing but `cls`", id="bare"),
        pytest.param(0, 3, "no answer is left: all 40 are longer than 3 tokens; raise that limit", id="too long"),
        pytest.param(30, 10, "10 of 40 are longer than 10 tokens: raise .*; the other rows have no rel", id="both"),
    ],
)
def test_why_nothing_is_left_to_classify_is_said(
    rows: Dataset, maker: ExampleMaker, tokenizer: Any, num_bare: int, num_tokens: int, said: str
) -> None:
    links = ["[]" if number < num_bare else text for number, text in enumerate(rows["relationships"])]
    rows = rows.remove_columns("relationships").add_column("relationships", links)
    tasks: dict[Task, float] = {"cls": 1.0}
    maker = replace(maker, schedule=Schedule(tasks, shuffle=False, num_rows=40, seed=0, epoch=Epoch()))
    with pytest.raises(ConfigError, match=said):
        rows_to_train_on(rows, maker, tasks, "drop", AnswerLimit(tokenizer, num_tokens), QUIET)


def test_a_row_counts_by_its_longest_task(rows: Dataset, maker: ExampleMaker, tokenizer: Any) -> None:
    limit = AnswerLimit(tokenizer, 2048)
    counted = {
        tasks: count_answers(rows, maker, dict.fromkeys(tasks, 1.0), limit, QUIET).num_tokens
        for tasks in ((("sgg", "det", "cls")), ("sgg",), ("det",), ("det", "cls"))
    }
    assert (counted["sgg", "det", "cls"] == counted["sgg",]).all()
    assert (counted["det",] < counted["sgg",]).all()
    assert (counted["det", "cls"] >= counted["det",]).all()


@pytest.mark.parametrize(
    ("tasks", "instead", "fate"),
    [
        pytest.param({"cls": 1.0, "sgg": 1.0}, "sgg", "they are asked as `sgg`", id="whole graphs are in the mix"),
        pytest.param({"cls": 1.0, "det": 1.0}, "det", "they are asked as `det`", id="objects are in the mix"),
        pytest.param({"cls": 1.0}, None, "they are dropped", id="nothing else is"),
    ],
)
def test_rows_without_relationships_are_asked_for_something_else_or_dropped(
    rows: Dataset, maker: ExampleMaker, tokenizer: Any, tasks: dict[Task, float], instead: Task | None, fate: str
) -> None:
    bare = [number % 4 == 0 for number in range(40)]
    links = ["[]" if is_bare else text for is_bare, text in zip(bare, rows["relationships"], strict=True)]
    rows = rows.remove_columns("relationships").add_column("relationships", links)
    maker = replace(maker, schedule=Schedule(tasks, shuffle=False, num_rows=40, seed=0, epoch=Epoch()))
    left, said = kept(rows, maker, "keep", AnswerLimit(tokenizer, 2048), tasks)
    assert f"{sum(bare)} of 40 rows have no relationship: {fate}, never as `cls`" in said
    assert len(left) == (40 if instead else 40 - sum(bare))
    if instead:
        asked = [maker.target(row, (100, 100), "cls").task for row in left]
        assert asked == [instead if is_bare else "cls" for is_bare in bare]


def one_row(image: bytes, objects: str = "[]", path: str | None = None) -> Dataset:
    row = {"image_id": "7", "image": {"bytes": image or None, "path": path}, "prompt_open": "", "prompt_close": ""}
    values = {**row, "objects": objects, "relationships": "[]"}
    return Dataset.from_list([values], features=FEATURES).add_column(POSITION, [0])


def test_an_image_in_a_file_of_its_own_is_read_there(maker: ExampleMaker, tokenizer: Any, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded((60, 40)))
    box = json.dumps([{"id": "man.1", "bbox": [0, 0, 59, 39]}])
    rows = one_row(b"", box, str(tmp_path / "a.jpg"))
    assert count_answers(rows, maker, SGG, AnswerLimit(tokenizer, 2048), QUIET).num_tokens[0] > 10


@pytest.mark.parametrize(
    ("image", "said"),
    [
        pytest.param({"bytes": b"no image", "path": None}, "image 7 cannot be read", id="no image"),
        pytest.param(None, "image 7: column `image` is null", id="null"),
    ],
)
def test_an_image_that_is_none_is_named(maker: ExampleMaker, tokenizer: Any, image: Any, said: str) -> None:
    row = {"image_id": "7", "image": image, "prompt_open": "", "prompt_close": "", "objects": "[]"}
    rows = Dataset.from_list([{**row, "relationships": "[]"}], features=FEATURES).add_column(POSITION, [0])
    with pytest.raises(DataError, match=said):
        count_answers(rows, maker, SGG, AnswerLimit(tokenizer, 2048), QUIET)


def test_a_box_outside_its_image_stops_a_run_before_it_starts(maker: ExampleMaker, tokenizer: Any) -> None:
    objects = json.dumps([{"id": "man.1", "bbox": [500, 0, 600, 39]}])
    with pytest.raises(DataError, match=re.escape("image 7: box [500, 0, 600, 39] of `man.1` lies outside")):
        count_answers(one_row(encoded((60, 40), kind="PNG"), objects), maker, SGG, AnswerLimit(tokenizer, 9), QUIET)
