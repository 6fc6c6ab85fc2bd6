"""Pictures reach the trackers that a run has connected, under their names and with their step."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter
from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback, TrackioCallback, WandbCallback

from r1sgg_cli.training.trackers import connected, send_pictures

PICTURES = {"rollouts/1": Image.new("RGB", (3, 2)), "rollouts/2": Image.new("RGB", (2, 2))}


class Service:
    """What of wandb and of trackio is called, less the network."""

    def __init__(self) -> None:
        self.logged: list[dict[str, Any]] = []

    def Image(self, picture: Image.Image) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(size=picture.size)

    def log(self, values: dict[str, Any]) -> None:
        self.logged.append(values)


def callback_of(kind: type[TrainerCallback], **connection: Any) -> Any:
    """One as transformers leaves it at the beginning of a run; its own constructor wants the service installed."""
    callback: Any = object.__new__(kind)
    vars(callback).update(connection)
    return callback


@pytest.mark.parametrize(("kind", "name"), [(WandbCallback, "_wandb"), (TrackioCallback, "_trackio")])
def test_a_service_is_sent_them_with_the_step(kind: type[TrainerCallback], name: str) -> None:
    service = Service()
    send_pictures(connected([TrainerCallback(), callback_of(kind, **{name: service})]), PICTURES, 7)
    (values,) = service.logged
    assert values.pop("train/global_step") == 7
    assert {name: image.size for name, image in values.items()} == {"rollouts/1": (3, 2), "rollouts/2": (2, 2)}


def test_tensorboard_is_sent_them_with_the_step(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        send_pictures(connected([TensorBoardCallback(writer)]), PICTURES, 7)
    events = EventAccumulator(str(tmp_path)).Reload()
    seen = {tag: [(one.step, one.width, one.height) for one in events.Images(tag)] for tag in PICTURES}
    assert seen == {"rollouts/1": [(7, 3, 2)], "rollouts/2": [(7, 2, 2)]}


def test_one_that_is_off_or_belongs_to_another_process_is_not_connected() -> None:
    off = [TensorBoardCallback(), callback_of(WandbCallback, _wandb=None), callback_of(TrackioCallback, _trackio=None)]
    assert connected(off) == []
