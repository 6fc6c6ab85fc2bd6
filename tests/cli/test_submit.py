"""`r1sgg submit`: a whole experiment as jobs, or here; tests of the chain in a real Slurm are in tests/launch."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from r1sgg_cli.cli.app import app
from r1sgg_cli.errors import ConfigError, LaunchError
from r1sgg_cli.launch.dispatch import load_submitted
from tests.launch.programs import put_program, put_slurm

MODEL = "Qwen/Qwen2-VL-2B-Instruct"


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Slurm's stand-ins write how they were called; the test runs in the empty folder `work`."""
    put_slurm(tmp_path / "bin", tmp_path / "calls")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "calls"


@pytest.fixture
def submit(calls: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A function that runs `r1sgg submit` and gives what it prints, with single spaces."""

    def run(*argv: str) -> str:
        app(["submit", *argv], standalone_mode=False)
        return " ".join(capsys.readouterr().out.replace("│", " ").split())

    return run


def write_experiment(values: Mapping[str, Any], path: str = "r1sgg.yaml") -> None:
    Path(path).write_text(json.dumps(values), encoding="utf-8")


def listing(folder: Path = Path()) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


# ---- what is asked


@pytest.mark.parametrize("argv", [(), ("--slurm", "--local")], ids=["neither", "both"])
def test_where_it_runs_must_be_said(argv: tuple[str, ...], submit: Callable[..., str]) -> None:
    with pytest.raises(ConfigError, match="say where: `r1sgg submit --slurm` or `r1sgg submit --local`"):
        submit(*argv)


def test_without_a_file_it_is_the_papers_zero_2b_on_a100_16x(submit: Callable[..., str], calls: Path) -> None:
    shown = submit("--slurm", "--dry-run")
    assert "experiment in runs/r1-sgg-zero-2b" in shown
    assert f"plan: grpo of {MODEL}" in shown
    assert "a100-16x: 4 nodes × 4 A100 80 GB" in shown
    assert [f"/runs/r1-sgg-zero-2b/{folder}/job.sh" in shown for folder in ("grpo", "jobs/infer", "jobs/gather")] == [
        True
    ] * 3
    assert shown.count("#!/bin/bash") == 4
    assert "#SBATCH --array=0-3" in shown
    assert (listing(), calls.exists()) == ([], False)


def test_the_file_here_is_what_runs(submit: Callable[..., str]) -> None:
    stages: dict[str, Any] = {"sft": {}, "infer": {}}
    write_experiment({"out": "mine", "model": MODEL, "preset": "a100-4x", **stages, "slurm": {"account": "lab"}})
    shown = submit("--slurm", "--dry-run")
    assert f"plan: sft of {MODEL}" in shown
    assert shown.count("#SBATCH --account=lab") == 4
    assert listing() == ["r1sgg.yaml"]


def test_another_file_and_another_preset_can_be_named(submit: Callable[..., str]) -> None:
    write_experiment({"out": "mine", "sft": {"preset": "a100-4x"}, "infer": None}, "other.yaml")
    assert "h100-8x: 1 node × 8 H100" in submit("--slurm", "--config", "other.yaml", "--preset", "h100-8x", "--dry-run")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--slurm", "--config", "none.yaml"), "cannot read `none.yaml`"),
        (("--slurm", "--preset", "a100-61x"), r"no preset `a100-61x`; did you mean `a100-16x`\?"),
        (("--slurm", "eval"), "takes one of sft, grpo, infer with its options, not `eval`"),
        (("--local", "grpo"), "one stage here is a command of its own: `r1sgg grpo` with its options"),
        (("--slurm", "--preset", "cpu", "grpo"), "`--config` and `--preset` before `grpo` are of a whole experiment"),
        (("--slurm", "--preset", "single-24gb"), "grpo of all weights of a 2.2B model needs at least"),
    ],
    ids=["no file", "no preset", "no such stage", "a stage here", "an option before its stage", "does not fit"],
)
def test_a_mistake_is_one_line(argv: tuple[str, ...], said: str, submit: Callable[..., str], calls: Path) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        submit(*argv)
    assert "\n" not in str(raised.value)
    assert (listing(), calls.exists()) == ([], False)


def test_without_sbatch_it_says_where_to_go(submit: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nothing")
    write_experiment({"out": "mine", "model": MODEL, "preset": "a100-4x", "sft": {}})
    with pytest.raises(LaunchError, match="there is no `sbatch` on the PATH; run this on a cluster's login node"):
        submit("--slurm", "--yes")
    assert listing() == ["r1sgg.yaml"]


# ---- one stage


def test_one_stage_is_submitted_with_its_own_options(submit: Callable[..., str], calls: Path) -> None:
    argv = ("grpo", "--preset", "a100-4x", "--model", MODEL, "--set", "preset.slurm.account=x", "--out", "one")
    shown = submit("--slurm", *argv, "--dry-run")
    assert "a100-4x: 1 node × 4 A100 80 GB" in shown
    assert "#SBATCH --account=x" in shown
    assert shown.count("#!/bin/bash") == 1
    assert submit("--slurm", "--dry-run", *argv) == shown
    assert (listing(), calls.exists()) == ([], False)


def test_a_stages_own_usage_error_exits_with_2() -> None:
    done = CliRunner().invoke(app, ["submit", "--slurm", "grpo", "--modle", "x"])
    assert done.exit_code == 2
    assert "No such option: --modle" in done.output


# ---- a chain of jobs


def chain(tiny: Path, data: Path) -> dict[str, Any]:
    """SFT and answers of the tiny model."""
    of_data = {"dataset": str(data), "test_dataset": None, "test_split": "test"}
    return {"out": "e", "model": str(tiny), "preset": "cpu", **of_data, "sft": {"recipe": "demo-sft"}, "infer": {}}


def test_jobs_are_queued_each_after_the_one_before_it(
    submit: Callable[..., str], calls: Path, tiny_checkpoint: Callable[[str], Path], ten_scenes: Path
) -> None:
    write_experiment(chain(tiny_checkpoint("qwen2_vl"), ten_scenes))
    shown = submit("--slurm", "--yes")
    assert shown.endswith("sft: job 1 infer: job 2 gather: job 3 eval: job 4 `r1sgg status e` follows them")
    assert [job.name for job in load_submitted(Path("e"))] == ["sft", "infer", "gather", "eval"]
    assert "--dependency=afterok:3 " in calls.read_text(encoding="utf-8")
    assert (Path("e") / "sft" / "launch.yaml").is_file()
    with pytest.raises(LaunchError, match=r"job 1 \(sft\) of `e` is running already"):
        submit("--slurm", "--yes")


def test_a_chain_that_is_refused_half_way_leaves_no_job_and_can_be_submitted_again(
    submit: Callable[..., str], calls: Path, tmp_path: Path, tiny_checkpoint: Callable[[str], Path], ten_scenes: Path
) -> None:
    write_experiment({**chain(tiny_checkpoint("qwen2_vl"), ten_scenes), "out": "refused"})
    with pytest.raises(LaunchError, match="`sbatch` refused: invalid account"):
        submit("--slurm", "--yes")
    assert load_submitted(Path("refused")) == []
    put_program(tmp_path / "bin", "sbatch", "9")
    assert "eval: job 9" in submit("--slurm", "--yes")


def test_finished_stages_are_left_out(
    submit: Callable[..., str], tiny_checkpoint: Callable[[str], Path], ten_scenes: Path
) -> None:
    write_experiment(chain(tiny_checkpoint("qwen2_vl"), ten_scenes))
    for path in ("e/sft/r1sgg.json", "e/answers/complete.json"):
        Path(path).parent.mkdir(parents=True)
        Path(path).touch()
    shown = submit("--slurm", "--dry-run")
    assert shown.partition("#!/bin/bash")[0].count(" finished ") == 2
    assert shown.count("#!/bin/bash") == 2
    for path in ("e/preds.json", "e/metrics.json"):
        Path(path).touch()
    assert submit("--slurm", "--dry-run").endswith("every stage is finished")


# ---- here


def whole(tiny: Path) -> dict[str, Any]:
    """All six stages at their smallest."""
    sft = {"batch_size": 2, "max_steps": 2, "warmup": 0}
    grpo = {"prompts_per_step": 1, "num_generations": 2, "max_steps": 2, "max_new_tokens": 8}
    return {
        **{"out": "e", "model": str(tiny), "preset": "cpu", "test_dataset": None, "test_split": "test"},
        "prepare": {"source": "synthetic", "options": {"num_images": 6, "num_test": 3}},
        "sft": {"recipe": "demo-sft", "set": sft},
        "grpo": {"recipe": "demo-grpo", "set": grpo},
        "infer": {"max_new_tokens": 8, "limit": 2},
    }


def local(*argv: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "r1sgg_cli", "submit", "--local", *argv]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_dry_run_here_names_every_command_and_touches_nothing(
    submit: Callable[..., str], tiny_checkpoint: Callable[[str], Path]
) -> None:
    write_experiment(whole(tiny_checkpoint("qwen2_vl")))
    shown = submit("--local", "--dry-run")
    commands = [
        "r1sgg prepare synthetic --out e/data --num-images 6 --num-test 3",
        "r1sgg sft --model",
        "r1sgg grpo --model e/sft --dataset e/data --out e/grpo",
        "r1sgg infer e/grpo e/answers --dataset e/data",
        "r1sgg gather e/answers e/preds.json",
        "r1sgg eval e/preds.json --out e/metrics.json",
    ]
    assert shown.count("to do") == 6
    shown = shown.replace("to do ", "")
    assert [command for command in commands if command not in shown] == []
    assert "array of" not in shown
    assert listing() == ["r1sgg.yaml"]


@pytest.mark.slow
@pytest.mark.usefixtures("calls")
def test_here_every_stage_runs_and_the_same_command_continues_one_that_failed(
    tiny_checkpoint: Callable[[str], Path],
) -> None:
    values = whole(tiny_checkpoint("qwen2_vl"))
    grpo = values["grpo"]["set"]
    write_experiment({**values, "grpo": {**values["grpo"], "set": {**grpo, "similarity": "spacy:nosuch"}}})
    failed = local("--yes")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1] == (
        "error: stage `grpo` failed with exit code 1; its messages are in `e/grpo/logs/local.out`: "
        "mend the cause, and the same command continues"
    )
    assert "error: no spaCy model `nosuch`" in Path("e/grpo/logs/local.out").read_text(encoding="utf-8")
    trained = Path("e/sft/r1sgg.json").stat().st_mtime_ns

    write_experiment(values)
    done = local("--yes")
    assert done.returncode == 0, done.stderr
    assert "$ r1sgg grpo" in done.stderr
    assert "$ r1sgg sft" not in done.stderr
    assert Path("e/sft/r1sgg.json").stat().st_mtime_ns == trained
    assert json.loads(Path("e/metrics.json").read_text(encoding="utf-8"))["num_images"] == 2

    files = listing()
    again = local("--yes")
    assert (again.returncode, again.stderr.splitlines()[-1]) == (0, "every stage is finished")
    assert listing() == files
    status = subprocess.run(
        [sys.executable, "-m", "r1sgg_cli", "status", "e"], capture_output=True, text=True, check=False
    )
    assert status.stdout.count("finished") == 6
