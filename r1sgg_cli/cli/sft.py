"""`r1sgg sft`."""

from pathlib import Path

from r1sgg_cli.cli import options


def sft(
    model: options.ModelOption,
    dataset: options.DatasetOption = options.VG150_TRAIN,
    out: options.RunOption = Path("runs/sft"),
    recipe: options.RecipeOption = None,
    overrides: options.SetOption = None,
    split: options.SplitOption = "train",
    vocabulary: options.VocabularyOption = None,
    micro_batch: options.MicroBatchOption = 4,
    precision: options.PrecisionOption = None,
    seed: options.SeedOption = 42,
    report_to: options.ReportOption = None,
) -> None:
    """Fine-tune a model on annotated scene graphs.

    The loss is on the answer and its end token only. The same command continues a run that was stopped, from its
    last complete checkpoint, with the losses of an uninterrupted run.

    Example: r1sgg sft --model Qwen/Qwen2-VL-2B-Instruct --dataset data/shapes --out runs/sft
    """
    from r1sgg_cli.config.recipes import resolve_run
    from r1sgg_cli.config.schema import SFTRun
    from r1sgg_cli.training.sft import train_sft
    from r1sgg_cli.training.worker import default_precision

    run = resolve_run(
        SFTRun,
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
    train_sft(run)
