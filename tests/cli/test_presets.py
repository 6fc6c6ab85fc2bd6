"""`r1sgg presets`: the list, and each one explained."""

from pathlib import Path

import pytest

from r1sgg_cli.cli.app import app
from r1sgg_cli.config.layers import SHIPPED
from r1sgg_cli.config.presets import known_presets
from r1sgg_cli.errors import ConfigError

SHIPPED_PRESETS = known_presets([folder for folder in SHIPPED if folder.is_dir()])


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder and a home without presets of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")


def shown(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    app(["presets", *argv], standalone_mode=False)
    return capsys.readouterr().out


def test_the_list_names_every_shipped_preset_the_smallest_first(capsys: pytest.CaptureFixture[str]) -> None:
    output = shown(capsys)
    names = [line.split()[1] for line in output.splitlines() if line.startswith("│") and line.split()[1] != "│"]
    assert sorted(names) == SHIPPED_PRESETS
    assert (names[0], names[-1]) == ("cpu", "rtx4090-120x")
    assert max(map(len, output.splitlines())) <= 80


@pytest.mark.parametrize("name", SHIPPED_PRESETS)
def test_each_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its file, its fields, and each of the published recipes: as it would train, or why it would not."""
    output = shown(capsys, name)
    lines = output.splitlines()
    assert lines[0].endswith(f"presets/{name}.yaml")
    assert lines[1] == f"name: {name}"
    rows = [line.split("│")[1:3] for line in lines if "-Instruct │" in line]
    refused = [line for line in lines if line.startswith("not on it:")]
    told = {f"{stage.strip()} of {model.strip()}" for model, stage in rows}
    told |= {f"{stage} of Qwen2-VL-{size}-Instruct" for stage in ("sft", "grpo") for size in ("2B", "7B")} & {
        what for line in refused for what in line.removeprefix("not on it: ").split(": ")[0].split(" and ")
    }
    assert len(told) == 4
    assert len(refused) == len({line.split(": ", 2)[2] for line in refused})  # each reason once


def test_what_does_not_fit_names_a_preset_that_holds_it(capsys: pytest.CaptureFixture[str]) -> None:
    refused = [line for line in shown(capsys, "single-24gb").splitlines() if line.startswith("not on it:")]
    assert len(refused) == 4
    assert all(line.endswith("use `--preset a100-4x`") for line in refused)


def test_a_cpu_has_processes_and_no_gpus(capsys: pytest.CaptureFixture[str]) -> None:
    assert "GiB per process" in shown(capsys, "cpu")


def test_ones_own_file_of_a_shipped_name_is_shown_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a100-4x.yaml").write_text("slurm: {account: mine}\n", encoding="utf-8")
    lines = shown(capsys, "a100-4x").splitlines()
    assert [line.rpartition("/")[2] for line in lines[:2]] == ["a100-4x.yaml"] * 2
    assert "  account: mine" in lines
    Path("lab.yaml").write_text("extends: a100-4x\ndescription: our box\n", encoding="utf-8")
    assert "our box" in shown(capsys)


def test_a_misspelt_name_is_one_line_with_the_closest() -> None:
    with pytest.raises(ConfigError, match=r"no preset `a100-4`; did you mean `a100-4x`\?"):
        app(["presets", "a100-4"], standalone_mode=False)
