"""`r1sgg worker`: what torchrun starts."""

import os
from pathlib import Path
from typing import Annotated

import typer


def worker(
    folder: Annotated[Path, typer.Argument(metavar="RUN_FOLDER", help="Has a launch.yaml.")],
) -> None:
    """Train what a run's folder says, as one of the processes that torchrun starts.

    `r1sgg sft` and `r1sgg grpo` write that folder and start the workers.

    Example: r1sgg worker runs/sft
    """
    from r1sgg_cli.cli.collector import paused
    from r1sgg_cli.cli.sight import sight
    from r1sgg_cli.config.record import at_server, load_launch
    from r1sgg_cli.config.schema import SFTRun

    with paused():
        from r1sgg_cli.training.processes import die_with_parent, one_voice

    if "TORCHELASTIC_RUN_ID" in os.environ:
        die_with_parent()  # a torchrun that is killed would leave its workers training
    with one_voice():
        run = at_server(load_launch(folder), os.environ)
        if isinstance(run, SFTRun):
            with paused():
                from r1sgg_cli.training.sft import train_sft
            train_sft(run, sight())
        else:
            with paused():
                from r1sgg_cli.training.grpo import train_grpo
            train_grpo(run, sight())
