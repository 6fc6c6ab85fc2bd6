"""What a running training tells of itself: seconds that add up, tokens that are counted, answers as TRL scored them."""

import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from statistics import mean
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import TrainerControl, TrainerState, TrainingArguments

from r1sgg_cli.cli.app import app
from r1sgg_cli.config.recipes import resolve_run
from r1sgg_cli.config.schema import Cards, GRPORun
from r1sgg_cli.data.rollouts import Rollout, lines_of_steps, parse_rollout
from r1sgg_cli.data.run_logs import load_metric_rows
from r1sgg_cli.launch.architectures import parse_shape
from r1sgg_cli.launch.flops import StepTokens, step_flops
from r1sgg_cli.training import callbacks, speed
from r1sgg_cli.training.phases import UPDATE, Phases
from r1sgg_cli.training.throughput import Throughput, count_tokens, speed_on_cards
from tests.launch.shapes import published_config

SECONDS = {UPDATE: 30.0, "sampling": 60.0, "other": 10.0}
TOKENS = StepTokens(total=24_000, image=8_000, answer=4_000, squared_lengths=24_000 * 1_500)
MODEL = "Qwen/Qwen2-VL-2B-Instruct"


def run_on(cards: Cards | None, **options: Any) -> GRPORun:
    given = {"model": MODEL, "dataset": "d", "out": Path("out"), "precision": "bf16", "world_size": 16, **options}
    return resolve_run(GRPORun, None, (), cards=cards, **given)


@pytest.mark.parametrize(
    ("cards", "tokens_per_s"),
    [(None, 240), (Cards(number=16), 240), (Cards(number=24, bf16_tflops=312), 160)],
    ids=["not described", "peak unknown", "a third of them serve rollouts"],
)
def test_tokens_are_shared_by_all_cards_and_the_whole_step(cards: Cards | None, tokens_per_s: float) -> None:
    figures = speed_on_cards(run_on(cards), TOKENS, SECONDS)
    assert figures["tokens_per_s_per_gpu"] == pytest.approx(tokens_per_s)
    assert ("mfu" in figures) == (cards is not None and cards.bf16_tflops is not None)


def test_mfu_is_the_share_of_what_the_cards_could_do() -> None:
    shape = parse_shape(published_config(MODEL), MODEL)
    flops = step_flops(shape, TOKENS, trains_weights=True, trains_vision=True)
    figures = speed_on_cards(run_on(Cards(number=16, bf16_tflops=312)), TOKENS, SECONDS)
    assert figures["mfu"] == pytest.approx(flops / (100 * 312e12))
    assert figures["mfu_update"] == pytest.approx(flops / (30 * 312e12))


def test_a_cpu_has_no_peak() -> None:
    throughput = Throughput(run_on(None), torch.device("cpu"))
    assert throughput.measured(SECONDS) == {}  # before the first step
    steps = [TOKENS, TOKENS, StepTokens(total=48_000, image=0, answer=9, squared_lengths=9)]
    for throughput.tokens in steps:
        throughput.on_step_end(TrainingArguments("out", use_cpu=True), TrainerState(), TrainerControl())
    assert throughput.measured(SECONDS) == {"tokens_per_s_per_process": 320.0}  # of three steps of 100 s
    assert throughput.measured(SECONDS) == {}


def test_padding_is_not_counted() -> None:
    ids = torch.tensor([[0, 7, 7, 5], [7, 4, 4, 4]])
    mask = torch.tensor([[0, 1, 1, 1], [1, 1, 0, 0]])
    is_answer = torch.tensor([[0, 0, 0, 1], [0, 1, 0, 0]])
    assert count_tokens(ids, mask, is_answer, image_token_id=7) == StepTokens(5, 3, 2, 9 + 4)


# A real run


@pytest.fixture(scope="module")
def run_folder(
    tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Five steps of two prompts with three answers each, all of which are kept in steps 1, 2, 4 and 5.

    Its clock ticks whenever it is looked at.
    """
    ticks = count(1)
    last = 0.0

    def tick() -> float:
        nonlocal last
        last = float(next(ticks))
        return last

    out = tmp_path_factory.mktemp("speed") / "run"
    settings = ("max_steps=5", "prompts_per_step=2", "num_generations=3", "max_new_tokens=16", "show_every=2")
    argv = ["grpo", "--model", str(tiny_checkpoint("qwen2_vl")), "--dataset", str(synthetic_dataset)]
    argv += ["--out", str(out), "--recipe", "demo-grpo", "--micro-batch", "3", "--report-to", "tensorboard"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "Phases", partial(Phases, tick))
        patch.setattr(callbacks, "time", SimpleNamespace(time=lambda: last))
        app([*argv, *(part for one in settings for part in ("--set", one))], standalone_mode=False)
    return out


@pytest.fixture(scope="module")
def rows(run_folder: Path) -> list[dict[str, Any]]:
    return load_metric_rows(run_folder / "metrics.jsonl")


@pytest.fixture(scope="module")
def kept(run_folder: Path) -> Mapping[int, list[Rollout]]:
    """By step."""
    by_step = defaultdict(list)
    for line in lines_of_steps(run_folder, 10):
        rollout = parse_rollout(line, run_folder)
        by_step[rollout.step].append(rollout)
    return by_step


@pytest.mark.slow
def test_the_phases_of_a_step_are_its_wall_time(rows: list[dict[str, Any]]) -> None:
    for before, row in pairwise(rows):
        phases = {key: seconds for key, seconds in row.items() if key.startswith("time/")}
        assert phases.keys() >= {"time/data", "time/sampling", "time/reward", "time/update", "time/other"}
        assert sum(phases.values()) == row["time"] - before["time"]


@pytest.mark.slow
def test_tokens_are_those_that_trl_counts(rows: list[dict[str, Any]]) -> None:
    for before, row in pairwise(rows):
        seconds = sum(value for key, value in row.items() if key.startswith("time/"))
        counted = row["num_tokens"] - before["num_tokens"]
        assert row["tokens_per_s_per_process"] * seconds == pytest.approx(counted)


@pytest.mark.slow
def test_kept_answers_have_the_rewards_and_lengths_that_are_logged(
    rows: list[dict[str, Any]], kept: Mapping[int, list[Rollout]]
) -> None:
    assert sorted(kept) == [1, 2, 4, 5]
    for step, groups in kept.items():
        answers = [answer for group in groups for answer in group.answers]
        logged = rows[step - 1]
        assert [len(group.answers) for group in groups] == [3, 3]
        assert mean(answer.reward or 0.0 for answer in answers) == pytest.approx(logged["reward"], abs=1e-6)
        assert mean(answer.num_tokens for answer in answers) == pytest.approx(logged["completions/mean_length"])
        for name in answers[0].rewards:
            values = [answer.rewards[name] for answer in answers if answer.rewards[name] is not None]
            assert mean(value for value in values if value is not None) == pytest.approx(
                logged[f"rewards/{name}/mean"], abs=1e-6
            )
        for group in groups:
            assert sum(answer.advantage for answer in group.answers) == pytest.approx(0, abs=1e-3)


@pytest.mark.slow
def test_the_page_and_tensorboard_show_what_was_kept(run_folder: Path, kept: Mapping[int, list[Rollout]]) -> None:
    html = (run_folder / "run.html").read_text(encoding="utf-8")
    for step, groups in kept.items():
        for group in groups:
            assert f"Step {step}: image {group.image_id}" in html
            assert (run_folder / group.image).is_file()
    (events,) = (run_folder / "runs").rglob("events.out.tfevents.*")
    accumulator = EventAccumulator(os.fspath(events), size_guidance={"images": 0})
    accumulator.Reload()
    assert accumulator.Tags()["images"] == ["rollouts/1", "rollouts/2"]
    shown = accumulator.Images("rollouts/1")
    assert [image.step for image in shown] == [1, 2, 4, 5]
    assert (shown[0].width, shown[0].height) > (900, 400)
    assert "time/sampling" in {tag.removeprefix("train/") for tag in accumulator.Tags()["scalars"]}
