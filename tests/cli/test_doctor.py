"""`r1sgg doctor`: a table or JSON, exit code 1 for faults only, nothing heavy imported."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
