"""`r1sgg sft`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from r1sgg_cli.cli import options

if TYPE_CHECKING:
    from collections.abc import Callable

    from r1sgg_cli.config.schema import SFTRun


def sft(
    model: options.ModelOption,
    dataset: options.DatasetOption = options.VG150_TRAIN,
    out: options.RunOption = Path("runs/sft"),
    recipe: options.RecipeOption = None,
    overrides: options.SetOption = None,
    split: options.SplitOption = "train",
    vocabulary: options.VocabularyOption = None,
    preset: options.PresetOption = None,
    launcher: options.LauncherOption = None,
    dry_run: options.DryRunOption = False,
    micro_batch: options.MicroBatchOption = None,
    precision: options.PrecisionOption = None,
    seed: options.SeedOption = 42,
    report_to: options.ReportOption = None,
) -> None:
    """Fine-tune a model on annotated scene graphs.

    The loss is on the answer and its end token only. The same command continues a run that was stopped, from its
    last complete checkpoint, with the losses of an uninterrupted run.

    Example: r1sgg sft --model Qwen/Qwen2-VL-2B-Instruct --dataset data/shapes --out runs/sft
    """
    from r1sgg_cli.cli.launching import launch_training
    from r1sgg_cli.config.schema import SFTRun

    launch_training(
        SFTRun,
        _trainer,
        recipe=recipe,
        overrides=overrides or (),
        preset=preset,
        launcher=launcher,
        dry_run=dry_run,
        micro_batch=micro_batch,
        precision=precision,
        model=model,
        dataset=dataset,
        split=split,
        vocabulary=vocabulary,
        out=out,
        seed=seed,
        report_to=report_to or [],
    )


def _trainer() -> Callable[[SFTRun], None]:
    """What trains in this process; TRL and torch are imported only for it."""
    from functools import partial

    from r1sgg_cli.cli.collector import paused
    from r1sgg_cli.cli.sight import sight

    with paused():
        from r1sgg_cli.training.sft import train_sft

    return partial(train_sft, sight=sight())
