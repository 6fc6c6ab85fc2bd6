"""`r1sgg demo --quick`: every step for real, and a page at the end."""

import json
import shlex
from pathlib import Path

import pytest

from r1sgg_cli.cli.app import app
from r1sgg_cli.errors import OutputError

pytestmark = pytest.mark.slow

STEPS = ["prepare", "tiny", *["infer", "gather", "eval"], "sft", *["infer", "gather", "eval"], "grpo"]
STEPS += ["infer", "gather", "eval"]


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(OutputError, match="holds something else"):
        app(["demo", "--quick", "--out", str(tmp_path)], standalone_mode=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("record", "made_by"),
    [
        ("The folder of a demo: `r1sgg demo --quick --seed 0` goes on in it.\n", "r1sgg demo --quick --seed 0"),
        ("mine", "something else"),
    ],
    ids=["another seed", "no record of ours"],
)
def test_a_demo_of_other_options_is_refused_in_one_line(
    record: str, made_by: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "demo.txt").write_text(record)
    with pytest.raises(OutputError, match=f"the demo of `{made_by}`, and this is `r1sgg demo --quick --seed 1`; give"):
        app(["demo", "--quick", "--seed", "1", "--out", str(tmp_path)], standalone_mode=False)
    assert capsys.readouterr().err == ""
    assert (tmp_path / "demo.txt").read_text() == record


def run_demo(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    app(["demo", "--quick", "--out", str(folder)], standalone_mode=False)
    return capsys.readouterr()


def test_the_demo_tells_the_whole_story(demo_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = run_demo(demo_folder, capsys)
    typed = [shlex.split(line[2:]) for line in err.splitlines() if line.startswith("$ r1sgg ")]
    assert [line[1] for line in typed] == STEPS
    for word in ("before SFT", "after SFT", "after GRPO", "failure rate", "AP@50", "R@all", "mR@all", "P@all"):
        assert word in out
    assert "paired bootstrap over 64 held-out images" in out
    page = (demo_folder / "index.html").read_text(encoding="utf-8")
    assert page.count("data:image/") >= 6
    metrics = json.loads((demo_folder / "answers" / "after-GRPO.metrics.json").read_text(encoding="utf-8"))
    assert metrics["num_images"] == 64
    assert metrics["provenance"]["command"].startswith("r1sgg infer ")
    losses = [json.loads(line) for line in (demo_folder / "sft" / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1]["loss"] < losses[0]["loss"] / 2


def test_the_same_command_again_trains_nothing_twice(demo_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (demo_folder / "grpo" / "model.safetensors").stat().st_mtime_ns
    _, err = run_demo(demo_folder, capsys)
    assert err.count("already trained") == 2
    assert "64 of 64 images are answered already" in err
    assert (demo_folder / "grpo" / "model.safetensors").stat().st_mtime_ns == before
