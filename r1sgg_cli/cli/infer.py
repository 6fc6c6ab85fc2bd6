"""`r1sgg infer`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from r1sgg_cli.cli import options

Engine = Literal["vllm", "transformers"]


def infer(
    model: Annotated[str, typer.Argument(help=options.MODEL_HELP)],
    out: Annotated[Path, typer.Argument(help="Folder for the answers.")],
    dataset: options.DatasetOption = options.VG150_VAL,
    split: options.SplitOption = None,
    predefined: Annotated[
        bool | None,
        typer.Option(
            "--predefined-cats/--open-cats",
            help="Whether the prompt lists the categories; as in training when not given.",
        ),
    ] = None,
    think: Annotated[
        bool | None,
        typer.Option(
            "--grpo/--no-grpo", help="Ask for <think> and <answer>, as GRPO models are; as in training when not given."
        ),
    ] = None,
    vocabulary: options.VocabularyOption = None,
    max_pixels: Annotated[
        int | None, typer.Option(min=1, help="Resize images to at most this; as in training when not given.")
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 2048,
    engine: Annotated[
        Engine | None,
        typer.Option(help="Who writes the answers; vLLM where it is installed and there is a GPU, if not given."),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Images answered at once; if not given, 8 by transformers and 128 by vLLM on a GPU."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first images of the split.")] = None,
    part: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Only the I-th of N equal shares, from 0; others answer the rest beside it."),
    ] = None,
    preset: options.PresetOption = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="preset.KEY=VALUE", help="Override one of the preset's values. Repeatable."),
    ] = None,
    launcher: options.LauncherOption = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Write the model's answer for every image of a split.

    Answers are greedy and kept as they come; the same command continues with the images that have none yet. On several
    GPUs (`--preset`) each answers its share; in Slurm they are the tasks of an array.

    Example: r1sgg infer runs/grpo answers/grpo --dataset data/psg --split test --predefined-cats --grpo
    """
    from r1sgg_cli.cli.launching import split_overrides
    from r1sgg_cli.cli.sharing import chosen_part, launch_inference
    from r1sgg_cli.errors import ConfigError

    others, for_preset = split_overrides(overrides or ())
    if others:
        raise ConfigError(f"`--set {others[0]}`: `infer` has no recipe; only `preset.KEY=VALUE` can be set")
    asked: dict[str, Any] = {
        "dataset": dataset,
        "split": split,
        "predefined_categories": predefined,
        "think": think,
        "vocabulary": vocabulary,
        "max_pixels": max_pixels,
        "engine": engine,
        "batch_size": batch_size,
        "limit": limit,
    }
    share = chosen_part(part, launcher)
    launched = {**asked, "max_new_tokens": max_new_tokens}
    if launch_inference(model, out, launched, preset, for_preset, launcher, share=share, dry_run=dry_run):
        return
    from r1sgg_cli.inference.answers import Part
    from r1sgg_cli.inference.infer import infer as answer_all
    from r1sgg_cli.inference.request import InferRequest
    from r1sgg_cli.models.sampling import Sampling

    sampling = Sampling(max_new_tokens)
    answer_all(InferRequest(model, out, part=Part(*share) if share else None, sampling=sampling, **asked))
