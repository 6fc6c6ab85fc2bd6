"""How far runs are, from folders as they are written and a queue that says what it is told to."""

import json
import os
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.config.experiment import load_experiment
from r1sgg_cli.config.record import LAUNCH_FILE, LAUNCHER_FILES
from r1sgg_cli.config.yaml import dump_yaml
from r1sgg_cli.data.rows import DESCRIPTION_FILE
from r1sgg_cli.data.run_logs import METRICS_FILE
from r1sgg_cli.errors import LaunchError
from r1sgg_cli.files import locked
from r1sgg_cli.inference import queue, run_record
from r1sgg_cli.inference.answers_file import worker_file
from r1sgg_cli.inference.ground_truth import GROUND_TRUTH_FILE
from r1sgg_cli.launch import dispatch, job, pipeline, slurm, status, steps
from r1sgg_cli.launch.dispatch import Submitted, record_submitted
from r1sgg_cli.launch.status import StageStatus, is_over, known_runs, read_progress, status_of
from r1sgg_cli.models.asking import ASKING_FILE
from tests.launch.programs import put_program


def write_metrics(folder: Path, rows: list[dict[str, Any]], rest: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "metrics.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + rest, encoding="utf-8")
    return path


def logged(step: int, time: float, **values: float) -> dict[str, Any]:
    return {"step": step, "max_steps": 100, "time": time, **values}


def put_queue(folder: Path, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    """A `scontrol` that says the same of every job."""
    put_program(folder, "scontrol", f"JobId=7 JobName=x UserId=ana(1) {says}")
    monkeypatch.setenv("PATH", str(folder))


def put_run(folder: Path, *, job_id: int | None = None) -> Path:
    """A run that was launched, and submitted where it has a job."""
    folder.mkdir(parents=True)
    (folder / "launch.yaml").touch()
    if job_id is not None:
        record_submitted(folder, [Submitted(job_id, "grpo", 0.0)])
    return folder


def only(rows: list[StageStatus]) -> StageStatus:
    (row,) = rows
    return row


def test_what_others_write_is_called_as_they_call_it() -> None:
    """`launch` may not import them: another name would be a stage that never looks finished, or never begun."""
    named = (pipeline.MODEL_FINISHED, pipeline.ANSWERS_RECORD, pipeline.ANSWERED, steps.PREPARED)
    assert named == (ASKING_FILE, run_record.RUN_FILE, run_record.COMPLETE_FILE, DESCRIPTION_FILE)
    assert (status.METRICS, status.GROUND_TRUTH, status.QUEUE) == (METRICS_FILE, GROUND_TRUTH_FILE, queue.QUEUE)
    assert f"*{queue._SUFFIX}" == status.WORKER_LOCKS
    assert fnmatch(worker_file("n1-0"), pipeline.ANSWERS)
    assert set(LAUNCHER_FILES) == {LAUNCH_FILE, slurm.SCRIPT, dispatch.JOBS_FILE, job.LOGS}


# ---- progress


@pytest.mark.parametrize(
    ("rows", "rest", "expected"),
    [
        ([logged(1, 10, loss=2.5)], "", (1, ("loss", 2.5), None)),
        ([logged(1, 10, loss=2.5), logged(2, 14, loss=2.0)], "", (2, ("loss", 2.0), 4 * 98)),
        ([logged(1, 10, loss=0.1, reward=0.5), logged(3, 20, loss=0.1, reward=0.75)], "", (3, ("reward", 0.75), 485)),
        ([logged(1, 10, loss=2.5)], '{"step": 2, "max_st', (1, ("loss", 2.5), None)),
        ([logged(99, 10, loss=1.0), logged(100, 12, loss=1.0)], "", (100, ("loss", 1.0), 0)),
        ([logged(1, 0), logged(2, 4), logged(3, 8), logged(4, 90_000), logged(5, 90_004)], "", (5, None, 4 * 95)),
    ],
    ids=["one step", "two steps", "a reward", "half a line", "the last step", "in the queue in between"],
)
def test_progress_is_the_last_whole_row_and_the_pace_of_the_last_steps(
    rows: list[dict[str, Any]], rest: str, expected: tuple[int, Any, Any], tmp_path: Path
) -> None:
    progress = read_progress(write_metrics(tmp_path, rows, rest))
    assert progress is not None
    assert (progress.step, progress.watched, progress.seconds_left) == expected
    assert progress.max_steps == 100


def test_only_the_last_steps_tell_the_time_left(tmp_path: Path) -> None:
    """A run that became faster ends sooner than its first steps made believe."""
    rows = [logged(step, 100 * step) for step in range(1, 31)] + [logged(step, 3000 + step) for step in range(31, 61)]
    progress = read_progress(write_metrics(tmp_path, rows))
    assert progress is not None
    assert progress.seconds_left == 40


def test_a_clock_that_jumps_tells_no_time_left(tmp_path: Path) -> None:
    progress = read_progress(write_metrics(tmp_path, [logged(1, 0), logged(2, 2**52)]))
    assert progress is not None
    assert progress.seconds_left is None


@pytest.mark.parametrize(
    ("rest"),
    [
        *("", '{"step": 1', '{"step": 1, "lo{"step": 2}\n', "[]\n", '{"step": "x"}\n', '{"step": true}\n'),
        *('{"step": 1, "time": null}\n', '{"step": 1, "time": NaN}\n', '{"step": 1, "max_steps": "x"}\n'),
        *("[" * 100_000 + "\n", f'{{"step": {10**400}}}\n'),
    ],
    ids=[
        *("empty", "half a line", "two lines in one", "no row", "a word for a step", "a truth for a step"),
        *("no time", "no number for a time", "a word for steps", "lists in lists", "a step without end"),
    ],
)
def test_before_the_first_whole_row_there_is_no_progress(rest: str, tmp_path: Path) -> None:
    assert read_progress(tmp_path / "none.jsonl") is None
    assert read_progress(write_metrics(tmp_path, [], rest)) is None


def test_a_row_that_is_damaged_is_passed_over(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"step": "x"}, logged(1, 10), {"step": 2, "time": None}, logged(2, 12)]
    progress = read_progress(write_metrics(tmp_path, rows))
    assert progress is not None
    assert (progress.step, progress.seconds_left) == (2, 2 * 98)


# ---- one run


def test_a_run_that_nothing_works_on_has_stopped(tmp_path: Path) -> None:
    run = put_run(tmp_path / "run")
    assert only(status_of(run)).state == "not started"
    write_metrics(run, [logged(1, 0, loss=1.0)])
    assert only(status_of(run)).state == "stopped"
    (run / "r1sgg.json").touch()
    assert only(status_of(run)).state == "finished"


def test_a_run_of_this_machine_is_running_while_its_process_holds_the_folder(tmp_path: Path) -> None:
    run = put_run(tmp_path / "run")
    with locked(run):
        row = only(status_of(run))
    assert (row.state, row.note) == ("running", "on this machine")
    assert not is_over(row.state)
    assert only(status_of(run)).state == "not started"


@pytest.mark.parametrize(
    ("says", "state", "note"),
    [
        ("JobState=PENDING Reason=Priority", "pending", "Priority"),
        ("JobState=RUNNING Reason=None", "running", ""),
        ("JobState=FAILED Reason=NonZeroExitCode", "failed", ""),
        ("JobState=TIMEOUT Reason=TimeLimit", "failed", ""),
        ("JobState=COMPLETED Reason=None", "stopped", ""),
        ("JobState=CANCELLED Reason=None", "cancelled", ""),
    ],
    ids=["pending", "running", "failed", "timeout", "completed without a model", "cancelled"],
)
def test_the_queues_word_becomes_a_state(
    says: str, state: str, note: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = put_run(tmp_path / "run", job_id=7)
    (run / "logs").mkdir()
    (run / "logs" / "7.out").touch()
    put_queue(tmp_path / "bin", monkeypatch, says)
    row = only(status_of(run))
    assert (row.name, row.job_id, row.state, row.note) == ("run", 7, state, note)
    assert row.log == (run / "logs" / "7.out" if state in ("failed", "stopped") else None)
    assert is_over(state) is (state not in ("pending", "running"))


def test_a_job_that_the_queue_forgot_has_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = put_run(tmp_path / "run", job_id=7)
    put_program(tmp_path / "bin", "scontrol", error="slurm_load_jobs error: Invalid job id specified\n", code=1)
    put_program(tmp_path / "bin", "sacct", "Slurm accounting storage is disabled")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    row = only(status_of(run))
    assert (row.state, row.note) == ("stopped", "the queue no longer knows its job")


def test_a_run_that_goes_on_here_after_its_job_failed_is_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = put_run(tmp_path / "run", job_id=7)
    put_queue(tmp_path / "bin", monkeypatch, "JobState=FAILED Reason=None")
    with locked(run):
        assert only(status_of(run)).state == "running"


def test_answers_count_their_images(tmp_path: Path) -> None:
    (tmp_path / "run.json").touch()
    (tmp_path / "ground_truth.jsonl").write_text("{}\n" * 12, encoding="utf-8")
    (tmp_path / "answers-n1-0.jsonl").write_text('{}\n{}\n{"image', encoding="utf-8")
    (tmp_path / "answers-n2-0.jsonl").write_text("{}\n", encoding="utf-8")
    row = only(status_of(tmp_path))
    assert (row.state, row.note) == ("stopped", "3 of 12 images")
    with locked(tmp_path, shared=True), locked(tmp_path / "queue", "n1-0.lock"):
        row = only(status_of(tmp_path))
        assert (row.state, row.note) == ("running", "3 of 12 images; 1 worker; on this machine")
    (tmp_path / "complete.json").touch()
    assert only(status_of(tmp_path)).state == "finished"


def test_a_folder_that_holds_neither_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="holds no run and no experiment; `r1sgg status` without a folder") as raised:
        status_of(tmp_path)
    assert "\n" not in str(raised.value)


# ---- an experiment


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """The folder of an experiment with SFT and GRPO."""
    out = tmp_path / "e"
    values = {"out": str(out), "model": "m", "sft": {}, "grpo": {}, "infer": {}}
    out.mkdir()
    (out / "experiment.yaml").write_text(dump_yaml(values), encoding="utf-8")
    assert load_experiment(out / "experiment.yaml").stages == ("sft", "grpo", "infer", "gather", "eval")
    return out


def test_an_experiments_stages_are_each_where_they_are(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_metrics(experiment / "sft", [logged(100, 0, loss=0.5)])
    (experiment / "sft" / "r1sgg.json").touch()
    write_metrics(experiment / "grpo", [logged(1, 0, reward=0.5), logged(2, 10, reward=0.6)])
    names = ("sft", "grpo", "infer", "gather", "eval")
    record_submitted(experiment, [Submitted(number, name, 0.0) for number, name in enumerate(names, start=1)])
    put_queue(tmp_path / "bin", monkeypatch, "JobState=RUNNING Reason=None")
    rows = {row.name: row for row in status_of(experiment)}
    assert [row.state for row in rows.values()] == ["finished", *["running"] * 4]
    assert rows["sft"].progress is not None
    assert rows["grpo"].progress is not None
    assert rows["grpo"].progress.seconds_left == 980
    assert [row.job_id for row in rows.values()] == [None, 2, 3, 4, 5]


def test_the_last_job_of_a_stage_counts(experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record_submitted(experiment, [Submitted(1, "sft", 0.0), Submitted(2, "sft", 1.0)])
    put_queue(tmp_path / "bin", monkeypatch, "JobState=FAILED Reason=None")
    row = status_of(experiment)[0]
    assert (row.job_id, row.log) == (2, experiment / "sft" / "logs")


def test_an_experiment_that_was_never_submitted_asks_no_queue(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert {row.state for row in status_of(experiment)} == {"not started"}


def test_runs_are_listed_the_last_one_first(tmp_path: Path) -> None:
    put_run(tmp_path / "old")
    put_run(tmp_path / "new")
    (tmp_path / "other").mkdir()
    os.utime(tmp_path / "old", (1, 1))
    assert [path.name for path in known_runs(tmp_path)] == ["new", "old"]
    assert known_runs(tmp_path / "none") == []
