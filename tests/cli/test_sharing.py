"""How the workers of `infer` are started, what is said before they are, and what becomes of those that die."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from r1sgg_cli.cli.app import app
from r1sgg_cli.cli.sharing import is_answered, is_worker, launch_inference
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.inference.answers_file import load_answers


@pytest.mark.parametrize(
    ("preset", "for_preset", "launcher", "expected"),
    [
        (None, (), "here", True),
        (None, (), None, False),
        (None, (), "torchrun", False),
        ("a100-4x", (), "here", False),
        (None, ("gpus_per_node=1",), "here", False),
    ],
    ids=["as a launcher starts it", "as somebody types it", "another launcher", "a preset", "a preset's value"],
)
def test_a_worker_is_told_to_answer_here_and_no_preset(
    preset: str | None, for_preset: tuple[str, ...], launcher: str | None, expected: bool
) -> None:
    assert is_worker(preset, for_preset, launcher) is expected  # type: ignore[arg-type]


ASKED: dict[str, Any] = {
    "dataset": "JosephZ/vg150_val_sgg_prompt",
    "split": None,
    "images": None,
    "limit": None,
    "max_new_tokens": 8,
    "batch_size": None,
    "push_to_hub": None,
}


@pytest.mark.parametrize(
    ("asked", "complete", "expected"),
    [
        ({}, '{"images": 5000}', True),
        ({}, '{"images": 10}', False),
        ({"limit": 10}, '{"images": 10}', True),
        ({"limit": 20}, '{"images": 10}', False),
        ({"limit": 9999}, '{"images": 5000}', True),
        ({"dataset": "own/set"}, '{"images": 5000}', False),
        ({"images": Path("photos")}, '{"images": 5000}', False),
        ({}, "", False),
        ({}, None, False),
    ],
    ids=["all", "a trial", "a trial again", "more", "above the split", "who knows", "pictures", "broken", "none"],
)
def test_workers_are_started_unless_all_that_is_asked_for_is_answered(
    asked: dict[str, Any], complete: str | None, expected: bool, tmp_path: Path
) -> None:
    if complete is not None:
        (tmp_path / "complete.json").write_text(complete, encoding="utf-8")
    assert is_answered(tmp_path, ASKED | asked) is expected


@pytest.mark.parametrize("dry_run", [True, False], ids=["dry", "for real"])
def test_answers_are_not_pushed_from_nodes_without_a_network(dry_run: bool, tmp_path: Path) -> None:
    asked, overrides = ASKED | {"push_to_hub": "me/answers"}, ["processes_per_node=2", "environment.offline=true"]
    with pytest.raises(ConfigError, match=r"^`--push-to-hub`: the nodes of `cpu` are offline; leave it out"):
        launch_inference("Qwen/Qwen2-VL-2B-Instruct", tmp_path, asked, "cpu", overrides, "torchrun", dry_run=dry_run)
    assert not list(tmp_path.iterdir())


def test_a_repository_that_the_hub_refuses_is_said_before_any_worker_starts(tmp_path: Path) -> None:
    asked = ASKED | {"push_to_hub": "me/answers"}  # tests have no network
    with pytest.raises(ConfigError, match="the hub does not take answers as `me/answers`"):
        launch_inference(
            "Qwen/Qwen2-VL-2B-Instruct", tmp_path, asked, "cpu", ["processes_per_node=2"], "torchrun", dry_run=False
        )
    assert not list(tmp_path.iterdir())


def test_one_picture_that_is_not_there_does_not_become_a_folder(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    done = CliRunner().invoke(app, ["infer", "model", str(tmp_path / "foto.jpg")])
    assert isinstance(done.exception, ConfigError)
    assert str(done.exception) == f"no picture `{tmp_path}/foto.jpg`; did you mean `{tmp_path}/photo.jpg`?"


@pytest.mark.parametrize(
    ("option", "value"), [("--set", "preset.num_nodes=1"), ("--limit", "3"), ("--push-to-hub", "me/answers")]
)
def test_what_says_nothing_about_one_picture_is_refused(option: str, value: str, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    done = CliRunner().invoke(app, ["infer", "model", str(tmp_path / "photo.jpg"), option, value])
    assert isinstance(done.exception, ConfigError)
    assert str(done.exception).startswith(f"`{option}` has no meaning for ")


@pytest.mark.slow
def test_a_worker_that_is_killed_leaves_all_to_the_other_and_the_command_succeeds(
    tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    argv = ["infer", str(tiny_checkpoint("qwen2_vl")), str(out), "--dataset", str(synthetic_dataset)]
    argv += ["--split", "test", "--limit", "12", "--max-new-tokens", "4"]
    argv += ["--preset", "cpu", "--set", "preset.processes_per_node=2", "--launcher", "torchrun"]
    with subprocess.Popen([sys.executable, "-m", "r1sgg_cli", *argv], stderr=subprocess.PIPE, text=True) as command:
        _second_worker(command).kill()
        _, said = command.communicate()
    assert command.returncode == 0, said
    assert f"worker 1 was killed by signal 9; `{out}/logs/worker-1.log` says why; 1 more go on with its images" in said
    loaded = load_answers(out)
    assert (len(loaded.answers), loaded.repeated) == (12, ())
    assert is_answered(out, ASKED | {"dataset": str(synthetic_dataset), "split": "test", "limit": 12})


def _second_worker(command: "subprocess.Popen[str]") -> psutil.Process:
    """The worker without the terminal, as soon as it is there: how claims are taken over has a test of the queue."""
    while command.poll() is None:
        started = psutil.Process(command.pid).children()
        workers = [one for one in started if "--launcher here" in " ".join(one.cmdline())]
        if len(workers) == 2:
            return max(workers, key=lambda one: one.pid)
        time.sleep(0.05)
    pytest.fail("the command ended before it had two workers")
