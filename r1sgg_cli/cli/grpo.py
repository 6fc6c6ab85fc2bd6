"""`r1sgg grpo`."""

from pathlib import Path

from r1sgg_cli.cli import options


def grpo(
    model: options.ModelOption,
    dataset: options.DatasetOption = options.VG150_TRAIN,
    out: options.RunOption = Path("runs/grpo"),
    recipe: options.RecipeOption = None,
    overrides: options.SetOption = None,
    split: options.SplitOption = "train",
    vocabulary: options.VocabularyOption = None,
    micro_batch: options.MicroBatchOption = 4,
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
    from r1sgg_cli.config.recipes import resolve_run
    from r1sgg_cli.config.schema import GRPORun
    from r1sgg_cli.training.grpo import train_grpo
    from r1sgg_cli.training.worker import default_precision

    run = resolve_run(
        GRPORun,
        recipe,
        overrides or (),
        model=model,
        dataset=dataset,
        split=split,
        vocabulary=vocabulary,
        out=out,
        seed=seed,
        micro_batch=micro_batch,
        precision=precision or default_precision(),
        report_to=report_to or [],
    )
    train_grpo(run)
