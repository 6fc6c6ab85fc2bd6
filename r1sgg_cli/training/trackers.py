"""Pictures for the trackers that a run reports to, through the connections that transformers' callbacks have opened."""

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image
from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback, TrackioCallback, WandbCallback

_TRACKERS = (TensorBoardCallback, WandbCallback, TrackioCallback)


def connected(callbacks: Sequence[TrainerCallback]) -> list[TrainerCallback]:
    """Those of a trainer's callbacks through which pictures can be sent; only the first process's are connected."""
    return [one for one in callbacks if isinstance(one, _TRACKERS) and _connection(one) is not None]


def _connection(tracker: TrainerCallback) -> Any:
    if isinstance(tracker, TensorBoardCallback):
        return tracker.tb_writer
    return tracker._wandb if isinstance(tracker, WandbCallback) else tracker._trackio  # None: WANDB_MODE=disabled


def send_pictures(trackers: Sequence[TrainerCallback], pictures: Mapping[str, Image.Image], step: int) -> None:
    """Show pictures of a step by their names, in each of the `connected` trackers."""
    for tracker in trackers:
        connection = _connection(tracker)
        if isinstance(tracker, TensorBoardCallback):
            for name, picture in pictures.items():
                connection.add_image(name, np.asarray(picture), step, dataformats="HWC")
        else:
            _send_to_module(connection, pictures, step)


def _send_to_module(tracker: ModuleType, pictures: Mapping[str, Image.Image], step: int) -> None:
    """wandb and trackio share these names, and the key by which transformers tells them the step."""
    images = {name: tracker.Image(picture) for name, picture in pictures.items()}
    tracker.log({**images, "train/global_step": step})
