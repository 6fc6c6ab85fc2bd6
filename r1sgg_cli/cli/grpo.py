"""`r1sgg grpo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from r1sgg_cli.cli import options

if TYPE_CHECKING:
    from collections.abc import Callable

    from r1sgg_cli.config.schema import GRPORun


def grpo(
    model: options.ModelOption,
    dataset: options.DatasetOption = options.VG150_TRAIN,
    out: options.RunOption = Path("runs/grpo"),
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
    """Train a model with GRPO on rewards that score the scene graph.

    Answers are sampled, parsed and rewarded in groups. `--set rewards.format_reward=1 --set rewards.edge_reward=1`
    names all the rewards that count, with their weights. The same command continues a run that was stopped, from its
    last complete checkpoint, with the losses of an uninterrupted run.

    Example: r1sgg grpo --model runs/sft --dataset data/shapes --out runs/grpo --set learning_rate=6e-7
    """
    from r1sgg_cli.cli.launching import launch_training
    from r1sgg_cli.config.schema import GRPORun

    launch_training(
        GRPORun,
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


def _trainer() -> Callable[[GRPORun], None]:
    """What trains in this process; TRL and torch are imported only for it."""
    from functools import partial

    from r1sgg_cli.cli.collector import paused
    from r1sgg_cli.cli.sight import sight

    with paused():
        from r1sgg_cli.training.grpo import train_grpo

    return partial(train_grpo, sight=sight())
