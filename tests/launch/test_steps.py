"""Steps as the trainers count them, hours with what they are based on."""

import json
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.config.layers import SHIPPED, validated
from r1sgg_cli.config.presets import load_preset
from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.errors import DataError
from r1sgg_cli.launch.steps import (
    expected_hours,
    insist_on_held_out,
    insist_on_split,
    num_evaluations,
    num_held_out,
    num_rows,
    num_steps,
)

FOLDERS = [folder for folder in SHIPPED if folder.is_dir()]
GIVEN = {"model": "m", "dataset": "d", "out": "o", "precision": "bf16"}


def sft(**recipe: Any) -> SFTRun:
    return validated(SFTRun, {**GIVEN, "recipe": recipe})


def grpo(engine: str = "colocated", **recipe: Any) -> GRPORun:
    return validated(GRPORun, {**GIVEN, "recipe": recipe, "rollouts": {"engine": engine}})


def test_rows_are_those_that_prepare_recorded(tmp_path: Path) -> None:
    (tmp_path / "prepare.json").write_text(json.dumps({"rows": {"train": 60, "test": 4}}), encoding="utf-8")
    assert (num_rows(str(tmp_path), None), num_rows(str(tmp_path), "test")) == (60, 4)
    assert num_rows(str(tmp_path), "val") is None
    assert num_rows("somebody/else", None) is None


@pytest.mark.parametrize(
    ("run", "rows", "expected"),
    [
        pytest.param(sft(), 56_224, 1_320, id="the paper's SFT on VG150: a smaller last batch in each of 3 epochs"),
        pytest.param(grpo(), 56_224, 1_757, id="the paper's GRPO on VG150"),
        pytest.param(grpo(), 46_563, 1_455, id="the paper's GRPO on PSG"),
        pytest.param(grpo(max_steps=7), 56_224, 7, id="as named"),
        pytest.param(sft(), None, None, id="nobody knows"),
    ],
)
def test_steps_follow_from_rows_batch_and_epochs(run: SFTRun | GRPORun, rows: int | None, expected: int | None) -> None:
    assert num_steps(run, rows) == expected


@pytest.mark.parametrize(
    ("run", "preset", "billions", "hours"),
    [
        pytest.param(grpo(), "a100-16x", 2.21, 12, id="GRPO 2B where it was published"),
        pytest.param(grpo(), "gh200-16x", 8.29, 16, id="GRPO 7B where it was published"),
        pytest.param(sft(), "a100-4x", 8.29, 10, id="SFT 7B where it was published"),
        pytest.param(sft(), "a100-16x", 8.29, 2.5, id="four times the cards, a quarter of the time"),
    ],
)
def test_hours_are_the_published_ones_where_they_were_published(
    run: SFTRun | GRPORun, preset: str, billions: float, hours: float
) -> None:
    expected = expected_hours(run, load_preset(preset, FOLDERS), int(billions * 1e9), num_steps(run, 56_224))
    assert expected is not None
    assert expected.hours == pytest.approx(hours, rel=0.01)
    assert "the published" in expected.basis


@pytest.mark.parametrize(
    ("run", "preset"),
    [(sft(), "cpu"), (grpo("transformers"), "a100-4x")],
    ids=["CPU", "GRPO with transformers' generation"],
)
def test_nothing_is_made_up_where_nothing_was_published(run: SFTRun | GRPORun, preset: str) -> None:
    assert expected_hours(run, load_preset(preset, FOLDERS), 2_210_000_000, 100) is None


def test_a_data_set_that_is_not_there_is_said_before_a_job_waits(tmp_path: Path) -> None:
    (tmp_path / "prepare.json").write_text(json.dumps({"rows": {"train": 60, "test": 4}}), encoding="utf-8")
    insist_on_split(str(tmp_path), "train")
    insist_on_split("somebody/else", "train")
    with pytest.raises(DataError, match="has no split `val`; it has `train`, `test`"):
        insist_on_split(str(tmp_path), "val")
    with pytest.raises(DataError, match="no folder"):
        insist_on_split(str(tmp_path / "nowhere"), "train")


def evaluated(dataset: Path, **evaluation: Any) -> SFTRun:
    return validated(SFTRun, {**GIVEN, "dataset": str(dataset), "recipe": {"evaluation": evaluation}})


def test_a_held_out_split_that_is_not_there_is_said_before_a_job_waits(tmp_path: Path) -> None:
    (tmp_path / "prepare.json").write_text(json.dumps({"rows": {"train": 60, "test": 4}}), encoding="utf-8")
    insist_on_held_out(evaluated(tmp_path))
    insist_on_held_out(sft())
    with pytest.raises(DataError, match="has no split `val`; it has `train`, `test`"):
        insist_on_held_out(evaluated(tmp_path, split="val"))
    with pytest.raises(DataError, match="no folder"):
        insist_on_held_out(evaluated(tmp_path / "nowhere"))


def test_evaluations_are_counted_with_the_one_before_the_first_step_and_the_one_after_the_last(tmp_path: Path) -> None:
    (tmp_path / "prepare.json").write_text(json.dumps({"rows": {"train": 60, "test": 4}}), encoding="utf-8")
    assert (num_held_out(sft()), num_evaluations(sft(), 300)) == (0, 0)
    assert (num_held_out(evaluated(tmp_path)), num_held_out(evaluated(tmp_path, num_images=3))) == (4, 3)
    assert num_evaluations(evaluated(tmp_path, every=100), 300) == 4
    assert num_evaluations(evaluated(tmp_path, every=100), 301) == 5
