"""A run that cannot be shown trains on, and says so; its page takes a small part of its time."""

from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from rich.console import Console
from torch.utils.tensorboard import SummaryWriter
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import TensorBoardCallback

from r1sgg_cli.data.rollouts import ROLLOUTS_FILE, Rollout
from r1sgg_cli.errors import OutputError
from r1sgg_cli.training.samples import KeepsRollouts
from r1sgg_cli.training.showing import SHARE_OF_TIME, ShowsRun, Sight
from tests.data.test_rollouts import rollout


class Clock:
    """Tells the time that others say has passed."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class Pages:
    """Counts the pages that it writes, each of which takes a while."""

    def __init__(self, error: Exception | None = None, seconds: float = 0.0) -> None:
        self.number = 0
        self.error = error
        self.seconds = seconds
        self.clock = Clock()

    def write(self, folder: Path) -> None:
        self.number += 1
        self.clock.seconds += self.seconds
        if self.error:
            raise self.error


class Pictures:
    """Counts the pictures that it draws."""

    def __init__(self, error: Exception | None = None) -> None:
        self.number = 0
        self.error = error

    def draw(self, rollout: Rollout, image: Image.Image) -> Image.Image:
        self.number += 1
        if self.error:
            raise self.error
        return Image.new("RGB", (1, 1))


class Keeping(KeepsRollouts):
    """A trainer that has kept a group and has these callbacks."""

    def __init__(self, callbacks: Sequence[TrainerCallback]) -> None:
        self.kept = [(rollout(step=1), Image.new("RGB", (4, 4)))]
        self.callback_handler = SimpleNamespace(callbacks=callbacks)


def shows(
    pages: Pages, folder: Path, pictures: Pictures | None = None, callbacks: Sequence[TrainerCallback] = ()
) -> tuple[ShowsRun, StringIO]:
    said = StringIO()
    sight = Sight(pages.write, (pictures or Pictures()).draw)
    trainer: Any = Keeping(callbacks)
    return ShowsRun(trainer, folder, sight, Console(file=said, width=200), pages.clock), said


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
    pages = Pages(seconds=0.5)
    callback, _ = shows(pages, tmp_path)
    for seconds, number in ((0, 1), (0.5 / SHARE_OF_TIME - 0.1, 1), (0.2, 2), (0, 2)):
        pages.clock.seconds += seconds
        call(callback, "on_log", tmp_path)
        assert pages.number == number
    call(callback, "on_train_end", tmp_path)
    assert pages.number == 3


def test_a_picture_that_cannot_be_drawn_is_said_and_training_goes_on(tmp_path: Path) -> None:
    callback, said = shows(Pages(), tmp_path, Pictures(OSError("no font")), [tensorboard(tmp_path)])
    call(callback, "on_step_end", tmp_path)
    assert "not shown: no font" in said.getvalue()
    assert callback.trainer.kept == []
    assert len((tmp_path / ROLLOUTS_FILE).read_text(encoding="utf-8").splitlines()) == 1


@pytest.mark.parametrize("has_tracker", [True, False])
def test_pictures_are_drawn_for_a_tracker_alone(has_tracker: bool, tmp_path: Path) -> None:
    pictures = Pictures()
    callback, said = shows(Pages(), tmp_path, pictures, [tensorboard(tmp_path)] if has_tracker else [])
    call(callback, "on_step_end", tmp_path)
    assert (pictures.number, said.getvalue()) == (int(has_tracker), "")


def tensorboard(folder: Path) -> TensorBoardCallback:
    return TensorBoardCallback(SummaryWriter(str(folder / "events")))


def test_rollouts_of_steps_that_are_repeated_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / ROLLOUTS_FILE
    path.write_text('{"step": 1}\n{"step": 10}\n{"step": 20}\n{"st', encoding="utf-8")
    callback, _ = shows(Pages(), tmp_path)
    arguments = TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    callback.on_train_begin(arguments, TrainerState(global_step=10), TrainerControl())
    assert path.read_text(encoding="utf-8") == '{"step": 1}\n{"step": 10}\n'
