"""`r1sgg infer`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from r1sgg_cli.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from r1sgg_cli.inference.request import InferRequest

Engine = Literal["vllm", "transformers"]
_HOW = "How it is answered"
_OF_MANY = (
    "dataset",
    "split",
    "images",
    "limit",
    "num_answers",
    "push_to_hub",
    "preset",
    "launcher",
    "dry_run",
)
"""Options that say nothing about one picture."""
_PLANNED = ("dataset", "split", "images", "limit", "max_new_tokens", "batch_size")
"""What a plan is made of, said or not."""


def infer(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help=options.MODEL_HELP)],
    out: Annotated[Path, typer.Argument(help="Folder for the answers; or a picture, whose graph is then shown.")],
    dataset: options.DatasetOption = options.VG150_VAL,
    split: options.SplitOption = None,
    images: Annotated[
        Path | None, typer.Option("--images", help="A folder of pictures in place of a data set; no ground truth.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first images.")] = None,
    task: Annotated[
        Literal["sgg", "det", "cls"],
        typer.Option(
            help="Whole graphs; objects only; or relationships between the annotated objects.",
            rich_help_panel=options.WHAT_IS_ASKED,
        ),
    ] = "sgg",
    predefined: options.PredefinedOption = None,
    think: options.ThinkOption = None,
    vocabulary: options.VocabularyOption = None,
    max_pixels: options.MaxPixelsOption = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.", rich_help_panel=_HOW)] = 2048,
    temperature: Annotated[
        float, typer.Option(min=0, help="0: greedy, the likeliest token each time.", rich_help_panel=_HOW)
    ] = 0.0,
    top_p: Annotated[
        float, typer.Option(min=0, max=1, help="Sample from the likeliest tokens of this mass.", rich_help_panel=_HOW)
    ] = 1.0,
    top_k: Annotated[
        int, typer.Option(min=0, help="Sample from so many likeliest tokens; 0: all.", rich_help_panel=_HOW)
    ] = 0,
    num_answers: Annotated[
        int, typer.Option(min=1, help="Answers per image; `gather` chooses or votes.", rich_help_panel=_HOW)
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of sampling; each image has its own.", rich_help_panel=_HOW)] = 0,
    engine: Annotated[
        Engine | None,
        typer.Option(
            help="Who writes the answers; vLLM where it is installed and there is a GPU, if not given.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Images answered at once; if not given, 8 by transformers and 128 by vLLM on a GPU.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    structured: Annotated[
        bool,
        typer.Option(
            "--structured/--free",
            help="Let the model write nothing but scene graphs in form; needs vLLM.",
            rich_help_panel=_HOW,
        ),
    ] = False,
    push_to_hub: Annotated[
        str | None,
        typer.Option(metavar="OWNER/NAME", help="Upload the finished answers as a private data set of the hub."),
    ] = None,
    preset: options.PresetOption = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="preset.KEY=VALUE", help="Override one of the preset's values. Repeatable."),
    ] = None,
    launcher: options.LauncherOption = None,
    dry_run: options.DryRunOption = False,
) -> None:
    """Write the model's answer for every image of a split, of a folder of pictures, or of one picture.

    Answers are greedy unless a temperature is given, and kept as they come; the same command continues with the images
    that have none yet. On several GPUs (`--preset`) each takes the next few images as it has room; in Slurm they are
    the tasks of an array. The same command on another machine that sees the folder joins them, and what one that dies
    leaves is answered by the others.

    With `--images photos/` the pictures of a folder are answered, and `r1sgg infer MODEL photo.jpg` shows the graph of
    one, boxes and all.

    Example: r1sgg infer runs/grpo answers/grpo --dataset data/psg --split test --predefined-cats --grpo
    """
    from r1sgg_cli.cli.launching import split_overrides
    from r1sgg_cli.cli.sharing import is_worker, launch_inference
    from r1sgg_cli.errors import ConfigError

    others, for_preset = split_overrides(overrides or ())
    if others:
        raise ConfigError(f"`--set {others[0]}`: `infer` has no recipe; only `preset.KEY=VALUE` can be set")
    asked: dict[str, Any] = {
        "dataset": dataset,
        "split": split,
        "images": images,
        "predefined_categories": predefined,
        "think": think,
        "vocabulary": vocabulary,
        "max_pixels": max_pixels,
        "task": task,
        "engine": engine,
        "structured": structured,
        "batch_size": batch_size,
        "limit": limit,
    }
    sampling: dict[str, Any] = {
        "max_new_tokens": max_new_tokens,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "num_answers": num_answers,
        "seed": seed,
    }
    if out.is_file():
        _insist_without(ctx, out, _OF_MANY)
        from r1sgg_cli.cli.one_picture import show_picture

        show_picture(_request(model, out, asked, sampling), out)
        return
    if images is not None:
        _insist_without(ctx, images, ("dataset", "split"))
    said = {name: value for name, value in (asked | sampling).items() if name in _PLANNED or _is_given(ctx, name)}
    launched = {**said, "predefined_categories": predefined, "push_to_hub": push_to_hub}
    if is_worker(preset, for_preset, launcher):
        if dry_run:
            typer.echo("it would answer in this process")
            return
    elif launch_inference(model, out, launched, preset, for_preset, launcher, dry_run=dry_run):
        return
    _answer(_request(model, out, asked, sampling), push_to_hub)


def _is_given(ctx: typer.Context, name: str) -> bool:
    """Whether a parameter stands in the command, or is left to its default."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _request(model: str, out: Path, asked: dict[str, Any], sampling: dict[str, Any]) -> InferRequest:
    from r1sgg_cli.inference.request import InferRequest
    from r1sgg_cli.models.sampling import Sampling

    return InferRequest(model, out, sampling=Sampling(**sampling), **asked)


def _insist_without(ctx: typer.Context, pictures: Path, names: Sequence[str]) -> None:
    """Refuse options that say nothing about `pictures`, so that nobody believes that they do."""
    from r1sgg_cli.errors import ConfigError

    given = [name for name in names if _is_given(ctx, name)]
    if given:
        option = f"--{given[0].replace('_', '-')}"
        raise ConfigError(f"`{option}` has no meaning for `{pictures}`, which is no data set; leave it out")


def _answer(request: InferRequest, push_to_hub: str | None) -> None:
    from rich.console import Console
    from rich.markup import escape

    from r1sgg_cli.inference.infer import infer as answer_all

    if push_to_hub is None:
        answer_all(request)
        return
    from r1sgg_cli.inference.hub import claim_repository, push_answers

    claim_repository(push_to_hub)
    if answer_all(request):
        Console(stderr=True, soft_wrap=True).print(f"pushed: {escape(push_answers(request.out, push_to_hub))}")
