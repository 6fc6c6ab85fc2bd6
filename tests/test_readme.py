"""What the README shows can be typed."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from r1sgg_cli.cli.app import app
from r1sgg_cli.config.presets import known_presets
from tests.launch.jobs import FOLDERS

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
PUBLISHED = re.findall(r"^\| (`[^|]+\.sh`) \| `(r1sgg [^`]+)` \|$", README, re.MULTILINE)


def test_every_published_script_is_named() -> None:
    named = {script for scripts, _ in PUBLISHED for script in re.findall(r"`([^`]+)`", scripts)}
    sft = {"2B_sgg", "2B_sgg_predefined", "7B_sgg", "7B_sgg_lora", "7B_sgg_predefined"}
    grpo = {f"train_{gpu}{rest}" for gpu in ("a100", "gh200") for rest in ("", "_SFT", "_close", "_2B", "_2B_SFT")}
    grpo |= {"train_a100_2B_close", "train_a100_2B_close_SFT", "train_gh200_2B_close", "train_gh200_close_SFT"}
    grpo |= {"train_a100_tp", "train_fsdp", "train_fused", "train_zero3"}
    expected = {f"sft/{name}.sh" for name in sft} | {f"grpo/{name}.sh" for name in grpo}
    expected |= {"sft_local/2B_sgg.sh", "sft_local/2B_sgg_predefined.sh", "run_sft_sgg.sh", "run_sft_sgg_fsdp.sh"}
    assert named == {*expected, "inference/run_sgg_inference.sh"}


@pytest.mark.parametrize(("scripts", "command"), PUBLISHED, ids=[scripts.strip("`") for scripts, _ in PUBLISHED])
def test_each_published_scripts_command_has_a_plan(
    scripts: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    argv = shlex.split(command)[1:]
    size = "2B" if "2B" in scripts else "7B"  # of the fine-tuned model that is not here
    argv = [f"Qwen/Qwen2-VL-{size}-Instruct" if part == "runs/sft" else part for part in argv]
    done = CliRunner().invoke(app, [*argv, "--dry-run"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, (done.output, done.exception)
    assert "plan: " in done.output
    assert list(tmp_path.iterdir()) == []


def test_the_presets_that_are_shipped_are_in_the_table() -> None:
    table = README.split("## Hardware")[1].split("## Data")[0]
    rows = "\n".join(line for line in table.splitlines() if line.startswith("| `"))
    assert [name for name in known_presets(FOLDERS) if f"`{name}`" not in rows] == []
