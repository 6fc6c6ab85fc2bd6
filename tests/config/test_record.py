"""A run's record: the same run goes on, another one is refused."""

from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.config.recipes import resolve_run
from r1sgg_cli.config.record import (
    LAUNCH_FILE,
    at_server,
    insist_on_same_run,
    load_launch,
    record_run,
    save_launch,
    why_no_model,
)
from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.config.yaml import load_yaml
from r1sgg_cli.errors import ConfigError, ModelError, OutputError
from r1sgg_cli.models.families import family_of


def sft_run(out: Path, *overrides: str, **options: Any) -> SFTRun:
    return resolve_run(SFTRun, None, overrides, model="m", dataset="d", out=out, precision="float32", **options)


INPUTS = {"model": "aa", "dataset": None}


def test_a_run_that_has_begun_is_the_same_run_or_refused(tmp_path: Path) -> None:
    run = sft_run(tmp_path)
    record_run(run, tmp_path, INPUTS)
    (tmp_path / "checkpoint-1").mkdir()
    record_run(run, tmp_path, INPUTS)
    record_run(
        sft_run(tmp_path, micro_batch=2, report_to=["wandb"]), tmp_path, INPUTS
    )  # changes nothing that is learned
    other = sft_run(tmp_path, "learning_rate=1e-4")
    with pytest.raises(ConfigError, match=r"holds another run \(recipe.learning_rate: 1e-05 there, 0.0001 here\)"):
        record_run(other, tmp_path, INPUTS)
    with pytest.raises(ConfigError, match=r"inputs.model: aa there, bb here"):
        record_run(run, tmp_path, {**INPUTS, "model": "bb"})


def test_what_differs_is_one_line_however_much_it_is(tmp_path: Path) -> None:
    run = sft_run(tmp_path)
    record_run(run, tmp_path, INPUTS)
    (tmp_path / "checkpoint-1").mkdir()
    given: dict[str, Any] = {"model": "m", "dataset": "d", "out": tmp_path, "precision": "float32"}
    with pytest.raises(ConfigError, match=r"holds a run of `r1sgg sft`, and this is `r1sgg grpo`; give a new --out"):
        record_run(resolve_run(GRPORun, None, (), **given), tmp_path, INPUTS)
    changed = (
        "learning_rate=1",
        "num_epochs=1",
        "warmup=0",
        "weight_decay=1",
        "adam_beta2=0.9",
        "max_steps=1",
        "think=1",
    )
    with pytest.raises(ConfigError, match=r"; and 2 more: `.*run\.yaml` has all\); give a new"):
        record_run(sft_run(tmp_path, *changed), tmp_path, INPUTS)


def test_an_unfinished_training_is_no_model_and_its_last_checkpoint_is_named(tmp_path: Path) -> None:
    assert why_no_model(tmp_path) is None
    record_run(sft_run(tmp_path), tmp_path, INPUTS)
    assert why_no_model(tmp_path) == (
        f"`{tmp_path}` holds a training that is not finished; continue it with its own command"
    )
    for step in (9, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
    with pytest.raises(ModelError, match=f"not finished; .*, or name `{tmp_path}/checkpoint-10`$"):
        family_of(str(tmp_path))


def test_a_run_without_a_checkpoint_may_still_be_corrected(tmp_path: Path) -> None:
    record_run(sft_run(tmp_path), tmp_path, INPUTS)
    record_run(sft_run(tmp_path, "learning_rate=1e-4"), tmp_path, INPUTS)
    assert "learning_rate: 0.0001" in (tmp_path / "run.yaml").read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot write"):
        record_run(sft_run(tmp_path / "file" / "run"), tmp_path / "file" / "run", INPUTS)


def test_a_job_says_where_its_rollout_server_is(tmp_path: Path) -> None:
    options: dict[str, Any] = {"model": "m", "dataset": "d", "out": tmp_path, "precision": "float32"}
    run = resolve_run(GRPORun, None, (), **options, rollouts={"engine": "server"})
    placed = at_server(run, {"R1SGG_SERVER_URL": "http://n1:8000"})
    assert isinstance(placed, GRPORun)
    assert placed.rollouts.server_url == "http://n1:8000"
    elsewhere = resolve_run(GRPORun, None, (), **options)
    assert at_server(elsewhere, {"R1SGG_SERVER_URL": "http://n1:8000"}) == elsewhere


@pytest.mark.parametrize("kind", [SFTRun, GRPORun])
def test_a_worker_reads_the_run_that_was_launched(kind: type[SFTRun] | type[GRPORun], tmp_path: Path) -> None:
    given = {"model": "m", "dataset": "d", "precision": "bf16", "world_size": 4, "sharding": "zero3"}
    run = resolve_run(kind, None, ("lora={rank: 8}",), **given, out=tmp_path, stop_file=tmp_path / "stop")
    save_launch(run, tmp_path, "a100-4x")
    assert load_launch(tmp_path) == run
    assert load_yaml(tmp_path / LAUNCH_FILE)["preset"] == "a100-4x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no `launch.yaml` in"),
        ("preset: a100-4x", "holds no run whose `stage` is sft or grpo"),
        ("run: {stage: infer}", "holds no run whose `stage` is sft or grpo"),
        ("run: {stage: sft, model: m, dataset: d, out: o, precision: fp4}", "precision: Input should be 'bf16'"),
        ("run: [", "is not valid YAML"),
    ],
    ids=["no file", "no run", "another stage", "no such precision", "no YAML"],
)
def test_a_launch_that_cannot_be_read_is_one_line(text: str | None, message: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / LAUNCH_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_launch(tmp_path)


def test_before_it_is_queued_a_run_is_compared_without_what_it_reads(tmp_path: Path) -> None:
    run = sft_run(tmp_path)
    assert not insist_on_same_run(run, tmp_path)
    record_run(run, tmp_path, INPUTS)
    (tmp_path / "checkpoint-1").mkdir()
    assert insist_on_same_run(run, tmp_path)
    with pytest.raises(ConfigError, match=r"another run \(recipe.learning_rate"):
        insist_on_same_run(sft_run(tmp_path, "learning_rate=1e-4"), tmp_path)
