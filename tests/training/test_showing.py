"""A run that cannot be shown trains on, and says so; its page takes a small part of its time."""

import time
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from rich.console import Console
from transformers import TrainerControl, TrainerState, TrainingArguments

from r1sgg_cli.data.rollouts import ROLLOUTS_FILE
from r1sgg_cli.errors import OutputError
from r1sgg_cli.training.showing import SHARE_OF_TIME, ShowsRun, Sight


class Pages:
    """Counts the pages that it writes, each of which takes a while."""

    def __init__(self, error: Exception | None = None, seconds: float = 0.0) -> None:
        self.number = 0
        self.error = error
        self.seconds = seconds

    def write(self, folder: Path) -> None:
        self.number += 1
        time.sleep(self.seconds)
        if self.error:
            raise self.error


def shows(pages: Pages, folder: Path) -> tuple[ShowsRun, StringIO]:
    said = StringIO()
    sight = Sight(pages.write, lambda rollout, image: Image.new("RGB", (1, 1)))
    trainer: Any = SimpleNamespace(callback_handler=SimpleNamespace(callbacks=[]))
    return ShowsRun(trainer, folder, sight, Console(file=said, width=200)), said


def call(callback: ShowsRun, event: str, folder: Path) -> None:
    arguments = TrainingArguments(output_dir=str(folder), use_cpu=True)
    getattr(callback, event)(arguments, TrainerState(), TrainerControl())


@pytest.mark.parametrize(
    "error", [OutputError("cannot write `run.html`"), PermissionError(13, "cannot write")], ids=["ours", "the system's"]
)
def test_a_page_that_cannot_be_written_is_said_once_and_training_goes_on(error: Exception, tmp_path: Path) -> None:
    pages = Pages(error)
    callback, said = shows(pages, tmp_path)
    for _ in range(3):
        callback.page_is_due = 0.0
        call(callback, "on_log", tmp_path)
    assert pages.number == 3
    assert said.getvalue().count("not shown:") == 1
    assert "cannot write" in said.getvalue()


def test_a_bug_in_drawing_is_no_mistake_of_the_users_and_is_not_swallowed(tmp_path: Path) -> None:
    callback, _ = shows(Pages(ZeroDivisionError()), tmp_path)
    with pytest.raises(ZeroDivisionError):
        call(callback, "on_log", tmp_path)


def test_the_page_is_written_again_only_when_that_takes_a_small_part_of_the_time(tmp_path: Path) -> None:
    pages = Pages(seconds=0.05)
    callback, _ = shows(pages, tmp_path)
    for _ in range(5):
        call(callback, "on_log", tmp_path)
    assert pages.number == 1
    assert callback.page_is_due - time.monotonic() > 0.9 * 0.05 / SHARE_OF_TIME - 1
    call(callback, "on_train_end", tmp_path)
    assert pages.number == 2


def test_rollouts_of_steps_that_are_repeated_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / ROLLOUTS_FILE
    path.write_text('{"step": 1}\n{"step": 10}\n{"step": 20}\n{"st', encoding="utf-8")
    callback, _ = shows(Pages(), tmp_path)
    arguments = TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    callback.on_train_begin(arguments, TrainerState(global_step=10), TrainerControl())
    assert path.read_text(encoding="utf-8") == '{"step": 1}\n{"step": 10}\n'
