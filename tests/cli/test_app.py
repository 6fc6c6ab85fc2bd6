"""The command as a user meets it: help, one-line errors, exit codes, and a bug's traceback."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from r1sgg_cli import __version__
from r1sgg_cli.__main__ import main
from r1sgg_cli.cli.app import app

COMMANDS = (
    "demo",
    "prepare",
    "view",
    "sft",
    "grpo",
    "infer",
    "serve",
    "gather",
    "eval",
    "score",
    "tiny",
    "doctor",
    "presets",
    "init",
    "submit",
    "status",
    "cancel",
)


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    stderr: str


Command = Callable[..., Done]


@pytest.fixture
def r1sgg(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """A function that runs the entry point in this process."""

    def run(*argv: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["r1sgg", *map(str, argv)])
        with pytest.raises(SystemExit) as left:
            main()
        return Done(int(left.value.code or 0), capsys.readouterr().err)

    return run


def test_help_lists_every_command() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    assert [name for name in COMMANDS if name not in shown] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_each_help_ends_with_an_example(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
    assert f"Example: r1sgg {command}" in shown


def test_version_is_one_line() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"r1sgg {__version__}\n"


def test_a_usage_error_exits_with_2(r1sgg: Command) -> None:
    done = r1sgg("eval")
    assert done.code == 2
    assert "Missing argument" in done.stderr


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["eval", "{tmp}/none.json"], "cannot read"),
        (["gather", "{tmp}", "{tmp}/preds.json"], "r1sgg infer"),
        (["infer", "{tmp}", "{tmp}/out"], "is no checkpoint"),
        (["infer", "{bert}", "{tmp}/out"], "supported are Qwen2-VL"),
        (["infer", "{model}", "{tmp}/out", "--dataset", "{tmp}"], "holds no data set"),
        (["infer", "{model}", "{tmp}/out", "--dataset", "{data}", "--split", "val"], "has no split `val`"),
        (["infer", "{model}", "/proc/none/out", "--dataset", "{data}", "--split", "test"], "cannot write"),
        (["sft", "--model", "{model}", "--dataset", "{data}", "--set", "lr=1", "--out", "{tmp}/r"], "no option `lr`"),
        (["prepare", "{tmp}/psg.json", "--out", "{tmp}/d", "--images", "{tmp}"], "psg.json"),
    ],
    ids=["no file", "no answers", "no checkpoint", "family", "no data", "no split", "unwritable", "option", "no psg"],
)
def test_a_users_mistake_is_one_line_and_exit_code_1(
    argv: list[str],
    message: str,
    r1sgg: Command,
    tmp_path: Path,
    tiny_checkpoint: Callable[[str], Path],
    synthetic_dataset: Path,
) -> None:
    bert = tmp_path / "bert"
    bert.mkdir()
    (bert / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    places = {"tmp": tmp_path, "bert": bert, "model": tiny_checkpoint("qwen2_vl"), "data": synthetic_dataset}
    done = r1sgg(*(part.format(**places) for part in argv))
    assert done.code == 1, done.stderr
    assert message in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert "Traceback" not in done.stderr


def test_a_data_set_with_a_wrong_column_says_which_and_what_is_expected(r1sgg: Command, tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    DatasetDict({"train": Dataset.from_dict({"image_id": ["1"], "objects": ["[]"]})}).save_to_disk(tmp_path / "data")
    done = r1sgg("tiny", tmp_path / "tiny", "--dataset", tmp_path / "data")
    assert done.code == 1
    assert "has no column `image` (an image); it has `image_id`, `objects`" in done.stderr


def test_a_message_that_quotes_a_files_odd_letters_is_one_line_all_the_same(r1sgg: Command, tmp_path: Path) -> None:
    (tmp_path / "r1sgg.yaml").write_text('model: "a\\nb\\e[31m"\nout: [1]\nseed: "x\\ny"\n')
    done = r1sgg("submit", "--local", "--dry-run", "--config", tmp_path / "r1sgg.yaml")
    assert done.code == 1
    assert len(done.stderr.splitlines()) == 1
    (tmp_path / "preds\n\x1b[31m.json").write_text("{")
    done = r1sgg("eval", tmp_path / "preds\n\x1b[31m.json")
    assert "preds\\n\\x1b[31m.json` cannot be read: it is not JSON" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    code = (
        "import sys; from r1sgg_cli.cli import app as module; from r1sgg_cli import __main__\n"
        "def broken() -> None: raise ZeroDivisionError('a bug')\n"
        "module.app.command('broken')(broken)\n"
        "sys.argv = ['r1sgg', 'broken']; __main__.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ZeroDivisionError: a bug" in done.stderr
    assert "Traceback" in done.stderr


@pytest.mark.slow
def test_a_disk_that_fills_up_is_one_line_and_the_same_command_continues(
    r1sgg: Command,
    tmp_path: Path,
    tiny_checkpoint: Callable[[str], Path],
    synthetic_dataset: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=9m", "tmpfs", small], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    argv = ["sft", "--model", tiny_checkpoint("qwen2_vl"), "--dataset", synthetic_dataset, "--out", small / "run"]
    argv += ["--recipe", "demo-sft", "--micro-batch", "4", "--set", "batch_size=4", "--set", "max_steps=2"]
    argv += ["--set", "checkpoint_every=1"]
    try:
        done = r1sgg(*argv)
        assert done.code == 1, done.stderr
        assert "no space left" in done.stderr
        assert "Traceback" not in done.stderr
        subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
        app([str(part) for part in argv], standalone_mode=False)
        assert "continuing from" in capsys.readouterr().err
        assert (small / "run" / "r1sgg.json").is_file()
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)


@pytest.mark.parametrize("argv", [["gather", "answers", ""], ["eval", "p.json", "--out", ""], ["sft", "--model="]])
def test_an_empty_argument_is_one_line(argv: list[str], r1sgg: Command) -> None:
    done = r1sgg(*argv)
    assert done.code == 1
    assert done.stderr == "error: an argument is empty: is a shell variable not set? Give each option its value\n"
