"""`metrics.jsonl`: one line per logged step, also after a kill and a resume."""

import json
import time
from pathlib import Path
from typing import Any

from transformers import TrainerControl, TrainerState, TrainingArguments

from r1sgg_cli.data.run_logs import load_metric_rows
from r1sgg_cli.training.callbacks import MetricsLog


def call(log: MetricsLog, event: str, step: int, folder: Path, **given: Any) -> None:
    state = TrainerState(global_step=step, max_steps=9, is_world_process_zero=True)
    arguments = TrainingArguments(output_dir=str(folder), use_cpu=True)
    getattr(log, event)(arguments, state, TrainerControl(), **given)


def test_each_log_is_a_line(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    call(log, "on_train_begin", 0, tmp_path)
    call(log, "on_log", 1, tmp_path, logs={"loss": 2.0})
    call(log, "on_log", 2, tmp_path, logs={"loss": 1.0})
    rows = load_metric_rows(log.path)
    assert [(row["step"], row["max_steps"], row["loss"]) for row in rows] == [(1, 9, 2.0), (2, 9, 1.0)]
    assert rows[0]["time"] <= rows[1]["time"] <= time.time()


def test_the_last_step_is_logged_whatever_the_interval(tmp_path: Path) -> None:
    log, arguments = MetricsLog(tmp_path / "metrics.jsonl"), TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    asked = []
    for step in (8, 9):
        control = TrainerControl()
        log.on_step_end(arguments, TrainerState(global_step=step, max_steps=9), control)
        asked.append(control.should_log)
    assert asked == [False, True]


def test_a_resumed_run_drops_the_steps_that_it_repeats_and_half_a_line(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    rows = [{"step": step, "loss": 1.0 / step} for step in range(1, 6)]
    log.path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 6, "lo', encoding="utf-8")
    call(log, "on_train_begin", 3, tmp_path)
    call(log, "on_log", 4, tmp_path, logs={"loss": 9.0})
    kept = load_metric_rows(log.path)
    assert kept[:3] == rows[:3]
    assert [(row["step"], row["loss"]) for row in kept[3:]] == [(4, 9.0)]
