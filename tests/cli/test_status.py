"""`r1sgg status` and `r1sgg cancel` as they are read."""

import json
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.cli.app import app
from r1sgg_cli.config.yaml import dump_yaml
from r1sgg_cli.errors import LaunchError
from r1sgg_cli.launch.dispatch import Submitted, record_submitted
from tests.launch.programs import put_slurm


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Slurm's stand-ins write how they were called; the test runs in a new folder."""
    put_slurm(tmp_path / "bin", tmp_path / "calls")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "calls"


def put_experiment(out: Path) -> Path:
    """An experiment whose SFT is at step 2 of 100, four seconds each."""
    (out / "sft").mkdir(parents=True)
    values: dict[str, Any] = {"out": str(out), "model": "m", "sft": {}, "infer": None}
    (out / "experiment.yaml").write_text(dump_yaml(values), encoding="utf-8")
    rows = [{"step": step, "max_steps": 100, "time": 4 * step, "loss": 1 / step} for step in (1, 2)]
    (out / "sft" / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    record_submitted(out, [Submitted(7, "sft", 0.0)])
    return out


def shown(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """What a command prints, with single spaces."""
    app([*argv], standalone_mode=False)
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= 80
    return " ".join(output.replace("│", " ").split())


@pytest.mark.usefixtures("calls")
def test_a_line_says_state_job_step_loss_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    put_experiment(Path("runs/e"))
    assert "e/sft running 7 2 of 100 loss 0.500 0:06:32" in shown(capsys, "status", "runs/e")


@pytest.mark.usefixtures("calls")
def test_without_a_folder_all_of_runs_are_shown_each_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("first", "second"):
        put_experiment(Path("runs") / name)
    (Path("runs") / "alone").mkdir()
    (Path("runs") / "alone" / "launch.yaml").touch()
    output = shown(capsys, "status")
    assert [name in output for name in ("first/sft", "second/sft", "alone not started")] == [True] * 3


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize("argv", [(), ("--watch",)], ids=["once", "watched"])
def test_a_damaged_run_hides_no_other(
    argv: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE", "COMPLETED")
    for name in ("bad-jobs", "bad-experiment", "sound"):
        put_experiment(Path("runs") / name)
    Path("runs/bad-jobs/jobs.json").write_text("[{", encoding="utf-8")
    Path("runs/bad-experiment/experiment.yaml").write_text("model: [", encoding="utf-8")
    output = shown(capsys, "status", *argv)
    assert "sound/sft stopped" in output
    assert output.count("unreadable") == 2
    with pytest.raises(LaunchError, match=r"jobs\.json` is broken"):
        app(["status", "runs/bad-jobs"], standalone_mode=False)


@pytest.mark.usefixtures("calls")
def test_the_folder_one_stands_in_has_a_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(put_experiment(Path("runs/e")))
    assert "e/sft running 7 2 of 100" in shown(capsys, "status", ".")


@pytest.mark.usefixtures("calls")
def test_no_runs_is_said_and_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "status") == "no runs in runs/; `r1sgg status FOLDER` looks elsewhere"


@pytest.mark.usefixtures("calls")
def test_watching_ends_once_all_is_over(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE", "FAILED")
    put_experiment(Path("runs/e"))
    assert shown(capsys, "status", "runs/e", "--watch").endswith("e/sft: look into runs/e/sft/logs")


@pytest.mark.usefixtures("calls")
def test_long_names_and_logs_are_shown_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE", "FAILED")
    out = put_experiment(Path("runs/qwen2-vl-2b-vg150-predefined-categories-of-the-second-kind"))
    app(["status", str(out)], standalone_mode=False)
    table, _, logs = capsys.readouterr().out.rpartition("┘")
    cells = "".join(line.split("│")[1].strip() for line in table.splitlines() if line.startswith("│"))
    assert cells == f"{out.name}/sft"
    assert logs.replace("\n", "") == f"{out.name}/sft: look into {out}/sft/logs"


def test_cancel_takes_out_what_is_queued(calls: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_experiment(Path("runs/e"))
    assert shown(capsys, "cancel", "runs/e") == "cancelled: sft (7)"
    assert calls.read_text(encoding="utf-8") == "scancel 7\n"


def test_cancel_leaves_what_is_over(
    calls: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE", "COMPLETED")
    put_experiment(Path("runs/e"))
    assert shown(capsys, "cancel", "runs/e") == "no job of runs/e is in the queue"
    assert not calls.exists()


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize("command", ["status", "cancel"])
def test_a_misspelt_folder_is_one_line(command: str) -> None:
    with pytest.raises(LaunchError, match=r"`runs/f` holds no run and no experiment; `r1sgg status` without") as raised:
        app([command, "runs/f"], standalone_mode=False)
    assert "\n" not in str(raised.value)
