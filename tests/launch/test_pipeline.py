"""An experiment's stages: their commands, what is left to do, and the whole chain in a real Slurm."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.config.experiment import PUBLISHED, Experiment, load_experiment
from r1sgg_cli.config.layers import validated
from r1sgg_cli.data.run_logs import load_metric_rows
from r1sgg_cli.errors import ConfigError, OutputError
from r1sgg_cli.launch.dispatch import load_submitted
from r1sgg_cli.launch.pipeline import experiment_stages, model_of, record_experiment, unfinished
from r1sgg_cli.launch.slurm import job_states
from r1sgg_cli.launch.status import status_of


def experiment(**values: Any) -> Experiment:
    usual: dict[str, Any] = {"out": "runs/e", "model": "m", "preset": "a100-4x", **PUBLISHED}
    return validated(Experiment, {**usual, **values})


def commands(experiment: Experiment) -> dict[str, str]:
    return {stage.name: " ".join(stage.command) for stage in experiment_stages(experiment)}


def test_each_stage_starts_from_what_the_one_before_it_leaves() -> None:
    whole = experiment(
        prepare={"source": "psg.json", "options": {"images": "coco", "strict": True, "keep_empty_rels": False}},
        sft={"recipe": "sft", "set": {"learning_rate": 1e-6}},
        grpo={"recipe": "grpo", "preset": "a100-16x"},
        test_dataset=None,
        test_split="test",
        infer={"predefined_categories": True, "num_tasks": 2},
    )
    assert commands(whole) == {
        "prepare": "prepare psg.json --out runs/e/data --images coco --strict",
        "sft": "sft --model m --dataset runs/e/data --out runs/e/sft --recipe sft --split train --seed 42 "
        "--preset a100-4x --set learning_rate=1e-06",
        "grpo": "grpo --model runs/e/sft --dataset runs/e/data --out runs/e/grpo --recipe grpo --split train --seed 42 "
        "--preset a100-16x",
        "infer": "infer runs/e/grpo runs/e/answers --dataset runs/e/data --predefined-cats --split test "
        "--max-new-tokens 2048",
        "gather": "gather runs/e/answers runs/e/preds.json",
        "eval": "eval runs/e/preds.json --out runs/e/metrics.json",
    }


@pytest.mark.parametrize(
    ("stages", "model"),
    [
        ({"grpo": None, "sft": {}}, "runs/e/sft"),
        ({"grpo": {}}, "runs/e/grpo"),
        ({"grpo": None}, "m"),
    ],
    ids=["after SFT", "after GRPO", "the base model alone"],
)
def test_answers_are_of_the_last_training(stages: dict[str, Any], model: str) -> None:
    assert model_of(experiment(**stages), "infer") == model


def test_what_is_left_begins_with_the_first_stage_that_is_not_finished(tmp_path: Path) -> None:
    one = experiment(out=str(tmp_path), sft={})
    stages = experiment_stages(one)
    assert [stage.name for stage in unfinished(stages)] == ["sft", "grpo", "infer", "gather", "eval"]
    for path in ("sft/r1sgg.json", "answers/complete.json", "preds.json"):  # older answers than what GRPO will leave
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    assert [stage.name for stage in unfinished(stages)] == ["grpo", "infer", "gather", "eval"]


def test_a_folder_keeps_one_experiment(tmp_path: Path) -> None:
    record_experiment(experiment(out=str(tmp_path / "e")))
    (tmp_path / "e" / "grpo" / "checkpoint-10").mkdir(parents=True)
    hardware = {"preset": "a100-16x", "slurm": {"account": "lab"}, "environment": {"modules": ["cuda"]}}
    record_experiment(experiment(out=str(tmp_path / "e"), **hardware))
    with pytest.raises(ConfigError, match=r"holds another experiment .*model: m there, other here"):
        record_experiment(experiment(out=str(tmp_path / "e"), model="other"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(OutputError, match="holds something else"):
        record_experiment(experiment(out=str(tmp_path / "mine")))


def test_a_stage_that_has_not_begun_may_be_mended(tmp_path: Path) -> None:
    """Hours of SFT are not lost to a setting of GRPO with which it could not start."""
    out = tmp_path / "e"
    record_experiment(experiment(out=str(out), sft={}, grpo={"set": {"learning_rate": 1}}))
    (out / "sft").mkdir()
    (out / "sft" / "r1sgg.json").touch()
    (out / "grpo" / "logs").mkdir(parents=True)
    mended = experiment(out=str(out), sft={}, grpo={"set": {"learning_rate": 1e-6}}, infer={"limit": 5})
    record_experiment(mended)
    assert load_experiment(out / "experiment.yaml") == mended
    with pytest.raises(ConfigError, match=r"holds another experiment \(sft.recipe: None there, sft-lora here\)"):
        record_experiment(experiment(out=str(out), sft={"recipe": "sft-lora"}))
    (out / "grpo" / "checkpoint-10").mkdir()
    with pytest.raises(ConfigError, match=r"holds another experiment \(grpo.set.learning_rate: .*\); give another"):
        record_experiment(experiment(out=str(out), sft={}, grpo={"set": {"learning_rate": 2e-6}}, infer={"limit": 5}))


@pytest.mark.parametrize(
    "changed",
    [{"vocabulary": "psg"}, {"split": "val"}, {"seed": 1}, {"images": "other"}, {"preset": "x"}, {"model": "x"}],
    ids=lambda changed: next(iter(changed)),
)
def test_what_was_prepared_is_of_the_options_on_record(changed: dict[str, Any], tmp_path: Path) -> None:
    """Also where an option is called as a field that only later stages read."""
    out, options = tmp_path / "e", {"vocabulary": "vg150", "split": "train", "seed": 0, "images": "photos"}
    values = {"out": str(out), "test_split": "test"}
    record_experiment(experiment(**values, prepare={"source": "vg150", "options": options}))
    (out / "data").mkdir()
    (out / "data" / "prepare.json").touch()
    with pytest.raises(ConfigError, match=f"holds another experiment .prepare.options.{next(iter(changed))}: "):
        record_experiment(experiment(**values, prepare={"source": "vg150", "options": options | changed}))
    trained_otherwise = {"split": "val", "vocabulary": "psg", "seed": 7, "grpo": {"recipe": "grpo", "preset": "cpu"}}
    record_experiment(experiment(**values, prepare={"source": "vg150", "options": options}, **trained_otherwise))


# ---- the whole chain, in a real Slurm

PRESET = """\
extends: cpu
description: two nodes with a process each
num_nodes: 2
slurm: {time_limit: 00:20:00, cpus_per_gpu: 1, memory_gib: 4, signal_seconds: 60}
"""
SFT = {"batch_size": 8, "max_steps": 8, "checkpoint_every": 3, "warmup": 1, "trainer.logging_steps": 1}
GRPO = {"prompts_per_step": 4, "num_generations": 2, "max_steps": 2, "max_new_tokens": 16, "checkpoint_every": 2}


def run(*argv: str) -> str:
    done = subprocess.run([sys.executable, "-m", "r1sgg_cli", *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def wait_for(condition: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.3)


@pytest.mark.slow
@pytest.mark.usefixtures("slurm")
def test_a_chain_of_jobs_leads_to_numbers_through_a_stop_and_a_requeue(
    tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SFT is told that its time is up: it saves, goes back to the queue, and ends with the losses of a whole run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two-nodes.yaml").write_text(PRESET, encoding="utf-8")
    values = {
        **{"out": "runs/e", "model": str(tiny_checkpoint("qwen2_vl")), "preset": "two-nodes"},
        **{"dataset": str(ten_scenes), "test_dataset": None, "test_split": "test"},
        "sft": {"recipe": "demo-sft", "set": SFT},
        "grpo": {"recipe": "demo-grpo", "set": GRPO},
        "infer": {"num_tasks": 2, "max_new_tokens": 16},
    }
    (tmp_path / "r1sgg.yaml").write_text(json.dumps(values), encoding="utf-8")
    run("submit", "--slurm", "--yes")
    out = tmp_path / "runs" / "e"
    jobs = {job.name: job.job_id for job in load_submitted(out)}
    assert list(jobs) == ["sft", "grpo", "infer", "gather", "eval"]
    metrics = out / "sft" / "metrics.jsonl"
    wait_for(lambda: metrics.exists() and len(metrics.read_text(encoding="utf-8").splitlines()) >= 2, 400)
    subprocess.run(["scancel", "--batch", "--signal=USR1", str(jobs["sft"])], check=True)
    wait_for(lambda: all(state.is_over for state in job_states(jobs.values()).values()), 1200)
    logs = "\n".join(path.read_text(encoding="utf-8") for path in out.glob("**/logs/*.out"))
    assert [row.state for row in status_of(out)] == ["finished"] * 5, logs
    assert job_states([jobs["sft"]])[jobs["sft"]].restarts == 1
    assert json.loads((out / "metrics.json").read_text(encoding="utf-8"))["num_images"] == 1
    assert "every stage is finished" in run("submit", "--slurm", "--yes")

    # The same recipe on one node with two processes, never stopped.
    argv = ["sft", "--model", values["model"], "--dataset", str(ten_scenes), "--recipe", "demo-sft", "--out", "whole"]
    argv += ["--preset", "cpu", "--set", "preset.processes_per_node=2"]
    for key, value in SFT.items():
        argv += ["--set", f"{key}={value}"]
    run(*map(str, argv))
    rows, expected = load_metric_rows(metrics), load_metric_rows(tmp_path / "whole" / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, 9))
    assert [row["loss"] for row in rows] == pytest.approx([row["loss"] for row in expected], abs=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("slurm")
def test_a_stage_that_fails_ends_the_chain_and_names_its_log(
    tiny_checkpoint: Callable[[str], Path], ten_scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.yaml").write_text("extends: cpu\nslurm: {memory_gib: 4, cpus_per_gpu: 2}\n", encoding="utf-8")
    values = {
        **{"out": "e", "model": str(tiny_checkpoint("qwen2_vl")), "preset": "own", "grpo": None},
        **{"dataset": str(ten_scenes), "test_split": "test", "infer": {}},
        "sft": {"recipe": "demo-sft", "set": {"long_answers": "drop", "max_answer_tokens": 1}},
    }
    (tmp_path / "r1sgg.yaml").write_text(json.dumps(values), encoding="utf-8")
    run("submit", "--slurm", "--yes")
    jobs = [job.job_id for job in load_submitted(tmp_path / "e")]
    wait_for(lambda: all(state.is_over for state in job_states(jobs).values()), 600)
    rows = {row.name: row for row in status_of(tmp_path / "e")}
    assert [rows[name].state for name in ("sft", "infer", "gather", "eval")] == ["failed", *["cancelled"] * 3]
    log = tmp_path / "e" / "sft" / "logs" / f"{jobs[0]}.out"
    assert rows["sft"].log == log
    text = log.read_text(encoding="utf-8")
    assert "are longer than 1 tokens" in text
    assert text.rstrip().splitlines()[-1].startswith("r1sgg: sft failed with code")
    assert os.environ["SLURM_CONF"]


def test_how_is_answered_and_gathered_is_said_as_the_commands_take_it() -> None:
    said = commands(
        experiment(
            infer={
                **{"engine": "vllm", "structured": True, "temperature": 0.7, "num_answers": 8},
                "gather": {"pick": "majority", "wordnet": True, "aliases": False},
            },
        )
    )
    assert said["infer"].endswith("--engine vllm --structured --temperature 0.7 --num-answers 8")
    assert said["gather"].endswith("preds.json --pick majority --wordnet --no-aliases")
