"""Pictures for the trackers that a run reports to, through the connections that transformers' callbacks have opened."""

from collections.abc import Mapping, Sequence
from types import ModuleType

import numpy as np
from PIL import Image
from transformers import TrainerCallback
from transformers.integrations import TensorBoardCallback, TrackioCallback, WandbCallback


def send_pictures(trackers: Sequence[TrainerCallback], pictures: Mapping[str, Image.Image], step: int) -> None:
    """Show pictures of a step by their names, in each tracker that is among a trainer's callbacks.

    Only the first process's callbacks are connected.
    """
    for tracker in trackers:
        if isinstance(tracker, TensorBoardCallback):
            for name, picture in pictures.items():
                tracker.tb_writer.add_image(name, np.asarray(picture), step, dataformats="HWC")
        elif isinstance(tracker, WandbCallback) and tracker._wandb is not None:  # None: WANDB_MODE=disabled
            _send_to_module(tracker._wandb, pictures, step)
        elif isinstance(tracker, TrackioCallback):
            _send_to_module(tracker._trackio, pictures, step)


def _send_to_module(tracker: ModuleType, pictures: Mapping[str, Image.Image], step: int) -> None:
    """wandb and trackio share these names, and the key by which transformers tells them the step."""
    images = {name: tracker.Image(picture) for name, picture in pictures.items()}
    tracker.log({**images, "train/global_step": step})
