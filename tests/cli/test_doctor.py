"""`r1sgg doctor`: a table or JSON, exit code 1 for faults only, nothing heavy imported."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from r1sgg_cli.cli.doctor import _steps
from r1sgg_cli.launch.architectures import load_shape
from r1sgg_cli.launch.config_json import load_config
from tests.launch.programs import NO_DRIVER, put_program


def doctor(folder: Path, *argv: str, code: str = "from r1sgg_cli.__main__ import main; main()") -> tuple[int, str]:
    environ = {**os.environ, "PATH": str(folder), "COLUMNS": "200", "HF_HOME": str(folder / "hf")}
    done = subprocess.run(
        [sys.executable, "-c", code, "doctor", *argv], env=environ, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_notes_leave_the_exit_code_at_0(tmp_path: Path) -> None:
    code, output = doctor(tmp_path)
    assert code == 0, output
    assert "no sbatch" in output
    assert "hf auth login" in output


@pytest.mark.parametrize("argv", [(), ("--json",)], ids=["table", "json"])
def test_a_fault_exits_with_1(argv: tuple[str, ...], tmp_path: Path) -> None:
    put_program(tmp_path, "nvidia-smi", NO_DRIVER, code=9)
    code, output = doctor(tmp_path, *argv)
    assert code == 1
    assert "NVIDIA-SMI has failed" in output


def test_json_is_a_list_of_findings(tmp_path: Path) -> None:
    _, output = doctor(tmp_path, "--json")
    findings = json.loads(output)
    assert {tuple(finding) for finding in findings} == {("name", "state", "detail", "remedy")}
    assert {"Python", "trl", "GPUs", "vLLM", "Slurm", "hub cache"} <= {finding["name"] for finding in findings}


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from r1sgg_cli.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'transformers', 'trl', 'vllm', 'numpy') if name in sys.modules])"
    )
    _, output = doctor(tmp_path, code=code)
    assert output.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("model_type", "is_shared"), [("qwen2_vl", True), ("internvl", False)])
def test_grpo_is_measured_in_the_rows_that_its_trainer_makes(
    model_type: str, is_shared: bool, tiny_checkpoint: Callable[[str], Path]
) -> None:
    _, grpo, _ = _steps(load_shape(str(tiny_checkpoint(model_type))), "float32")
    assert (grpo.micro_batch, grpo.num_rows, grpo.answers_per_row) == ((2, 1, 2) if is_shared else (2, 2, 1))


@pytest.mark.slow
def test_the_memory_forecast_is_compared_with_the_fact(tmp_path: Path, tiny_checkpoint: Callable[[str], Path]) -> None:
    argv = ["doctor", "--measure", "--model", str(tiny_checkpoint("qwen2_vl")), "--json"]
    environ = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-m", "r1sgg_cli", *argv], env=environ, capture_output=True, check=True)
    rows = json.loads(done.stdout)
    assert [row["part"] for row in rows[:5]] == ["weights", "gradients", "optimizer", "comes and goes", "total"]
    assert len({row["step"] for row in rows}) == 3
    assert [row for row in rows if row["forecast"] != pytest.approx(row["fact"], rel=0.1)] == []


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--model", "m"], "add `--measure`"),
        (["--measure", "--model", "none/such/folder"], "none/such/folder"),
        (["--measure", "--model", "{large}"], "GiB by forecast"),
    ],
    ids=["model alone", "no folder", "too large"],
)
def test_what_cannot_be_measured_is_one_line(argv: list[str], message: str, tmp_path: Path) -> None:
    config, _ = load_config("Qwen/Qwen2-VL-7B-Instruct", fetch=False) or ({}, "")
    config = json.loads(json.dumps(config).replace('"num_hidden_layers": 28', '"num_hidden_layers": 100000'))
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    environ = {**os.environ, "PATH": str(tmp_path)}
    command = [sys.executable, "-m", "r1sgg_cli", "doctor", *(part.format(large=tmp_path) for part in argv)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
