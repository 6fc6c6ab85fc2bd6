"""Tasks and orders: exact shares, other ones in each epoch, the same ones after a resume."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader
from transformers import TrainerControl, TrainerState, TrainingArguments

from r1sgg_cli.config.schema import Task
from r1sgg_cli.data.prompts import Prompting
from r1sgg_cli.data.rows import load_rows
from r1sgg_cli.models.families import FAMILIES
from r1sgg_cli.models.images import PixelLimits
from r1sgg_cli.training.examples import POSITION, ExampleMaker, lazy_examples
from r1sgg_cli.training.schedule import Epoch, Schedule, TellEpoch, tasks_of_epoch

MIX: tuple[tuple[Task, float], ...] = (("sgg", 2.0), ("det", 1.0), ("cls", 1.0))


@given(
    weights=st.lists(st.floats(0.01, 100), min_size=3, max_size=3), num_rows=st.integers(0, 500), seed=st.integers(0, 9)
)
def test_each_task_has_its_share_of_the_rows(weights: list[float], num_rows: int, seed: int) -> None:
    mix = tuple((task, weight) for (task, _), weight in zip(MIX, weights, strict=True))
    dealt = Counter(tasks_of_epoch(mix, num_rows, seed, epoch=0))
    assert dealt.total() == num_rows
    for task, weight in mix:
        assert dealt[task] == pytest.approx(num_rows * weight / sum(weights), abs=1)


def test_tasks_follow_from_seed_and_epoch() -> None:
    dealt = {(seed, epoch): tasks_of_epoch(MIX, 100, seed, epoch) for seed in (1, 2) for epoch in (0, 1)}
    assert len(set(dealt.values())) == 4
    tasks_of_epoch.cache_clear()
    assert tasks_of_epoch(MIX, 100, 1, 1) == dealt[1, 1]


def test_one_task_is_every_rows() -> None:
    assert set(tasks_of_epoch((("det", 0.1),), 7, 0, 0)) == {"det"}


@pytest.mark.parametrize(
    ("finished", "number"), [(None, 0), (0.4, 0), (1, 1), (1.999, 1), (2.0, 2)], ids=lambda value: str(value)
)
def test_the_epoch_is_told_as_the_trainer_counts(finished: float | None, number: int, tmp_path: Path) -> None:
    epoch = Epoch()
    state, arguments = TrainerState(epoch=finished), TrainingArguments(str(tmp_path), use_cpu=True)
    TellEpoch(epoch).on_epoch_begin(arguments, state, TrainerControl())
    assert epoch.number == number


@pytest.fixture
def maker() -> ExampleMaker:
    schedule = Schedule(dict(MIX), shuffle=True, num_rows=10, seed=7, epoch=Epoch())
    limits = PixelLimits(20, 400, 10_000)
    return ExampleMaker(FAMILIES["qwen2_vl"], limits, Prompting(True, False), None, schedule=schedule)


def written(example: dict[str, Any]) -> str:
    return str(example["prompt"][1]["content"][1]["text"] + example["completion"][0]["content"][0]["text"])


def test_every_epoch_has_another_order_and_the_same_one_when_it_comes_again(
    maker: ExampleMaker, ten_scenes: Path
) -> None:
    """In the published code it never changes: its cache is keyed by the address of an object."""
    assert maker.schedule is not None
    rows = load_rows(str(ten_scenes), "train").add_column(POSITION, list(range(10)))
    examples = lazy_examples(rows, maker.sft_example)
    seen = []
    for number in (0, 1, 2, 1):
        maker.schedule.epoch.number = number
        seen.append([written(example) for example in examples])
    assert seen[1] == seen[3]
    assert all(sum(a != b for a, b in zip(seen[i], seen[j], strict=True)) > 5 for i, j in ((0, 1), (1, 2), (0, 2)))


@pytest.mark.parametrize("persistent", [False, True], ids=["workers anew in each epoch", "workers that stay"])
def test_worker_processes_hear_of_the_epoch(maker: ExampleMaker, ten_scenes: Path, persistent: bool) -> None:
    assert maker.schedule is not None
    rows = load_rows(str(ten_scenes), "train").add_column(POSITION, list(range(10)))
    examples: Any = lazy_examples(rows, maker.sft_example)
    loader = DataLoader(
        examples, batch_size=5, num_workers=2, persistent_workers=persistent, collate_fn=lambda batch: batch
    )
    for number in (0, 1):
        maker.schedule.epoch.number = number
        assert [written(row) for batch in loader for row in batch] == [written(row) for row in examples]


def test_a_rows_position_survives_that_other_rows_are_dropped(maker: ExampleMaker, ten_scenes: Path) -> None:
    rows = load_rows(str(ten_scenes), "train").add_column(POSITION, list(range(10)))
    everything = [written(row) for row in lazy_examples(rows, maker.sft_example)]
    some = [written(row) for row in lazy_examples(rows.select([2, 5]), maker.sft_example)]
    assert some == [everything[2], everything[5]]


def test_shuffled_ids_are_numbered_from_one(maker: ExampleMaker, ten_scenes: Path) -> None:
    rows = load_rows(str(ten_scenes), "train").add_column(POSITION, list(range(10)))
    for example in lazy_examples(rows, maker.grpo_example):
        numbers = [item["id"].rpartition(".")[2] for item in json.loads(example["objects"])]
        assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
