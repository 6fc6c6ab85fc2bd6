"""`r1sgg infer`."""

from __future__ import annotations

import math
import mimetypes
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
    "overrides",
    "launcher",
    "dry_run",
)
"""Options that say nothing about one picture."""
_ASKED = (
    *("dataset", "split", "predefined_categories", "think", "vocabulary", "max_pixels", "task"),
    *("engine", "structured", "batch_size", "limit"),
)
_SAMPLING = ("max_new_tokens", "temperature", "top_p", "top_k", "num_answers", "seed")
_PLANNED = ("dataset", "split", "images", "limit", "max_new_tokens", "batch_size")
"""What a plan is made of, said or not."""


def _insist_on_number(value: float) -> float:
    """NaN passes every range."""
    if math.isnan(value):
        raise typer.BadParameter("nan is no number.")
    return value


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
    predefined_categories: options.PredefinedOption = None,
    think: options.ThinkOption = None,
    vocabulary: options.VocabularyOption = None,
    max_pixels: options.MaxPixelsOption = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.", rich_help_panel=_HOW)] = 2048,
    temperature: Annotated[
        float,
        typer.Option(
            min=0,
            max=100,
            callback=_insist_on_number,
            help="0: greedy, the likeliest token each time.",
            rich_help_panel=_HOW,
        ),
    ] = 0.0,
    top_p: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            callback=_insist_on_number,
            help="Sample from the likeliest tokens of this mass.",
            rich_help_panel=_HOW,
        ),
    ] = 1.0,
    top_k: Annotated[
        int, typer.Option(min=0, help="Sample from so many likeliest tokens; 0: all.", rich_help_panel=_HOW)
    ] = 0,
    num_answers: Annotated[
        int, typer.Option(min=1, max=1024, help="Answers per image; `gather` chooses or votes.", rich_help_panel=_HOW)
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
    push_claimed: Annotated[
        bool,
        typer.Option("--push-claimed", hidden=True, help="Of a worker: its command has made sure of it."),
    ] = False,
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
    that have none yet. On several GPUs (`--preset`) each takes the next few images as it has room: each is a process of
    its own (`--launcher torchrun`, of which the first prints here, the others into OUT/logs), in Slurm the task of an
    array. The same command on another machine that sees the folder joins them, and what one that dies leaves is
    answered by the others.

    With `--images photos/` the pictures of a folder are answered, and `r1sgg infer MODEL photo.jpg` shows the graph of
    one, boxes and all.

    Example: r1sgg infer runs/grpo answers/grpo --dataset data/psg --split test
    """
    from r1sgg_cli.cli.collector import paused

    for_preset = _for_preset(overrides or ())
    _insist_on_picture(out)
    if out.is_file():
        _show(ctx, model, out, images)
        return
    if images is not None:
        _insist_without(ctx, ("dataset", "split"), f"for `{images}`, which is no data set")
    if _is_done_elsewhere(ctx, model, out, images, for_preset):
        return
    request = _request(ctx, model, out, images)
    if push_to_hub is None:
        with paused():
            from r1sgg_cli.inference.infer import infer as answer_all
        answer_all(request)
    else:
        with paused():
            from r1sgg_cli.inference.pushing import infer_and_push
        infer_and_push(request, push_to_hub, is_claimed=push_claimed)


def _for_preset(overrides: Sequence[str]) -> list[str]:
    from r1sgg_cli.cli.placing import split_overrides
    from r1sgg_cli.errors import ConfigError

    others, for_preset = split_overrides(overrides)
    if others:
        raise ConfigError(f"`--set {others[0]}`: `infer` has no recipe; only `preset.KEY=VALUE` can be set")
    return for_preset


def _insist_on_picture(out: Path) -> None:
    """Refuse a picture's name where nothing is: it would become a folder with answers for a whole data set."""
    from r1sgg_cli.errors import ConfigError
    from r1sgg_cli.typed_names import closest_beside

    kind, _ = mimetypes.guess_type(out.name, strict=False)
    if out.exists() or kind is None or not kind.startswith("image/"):
        return
    close = closest_beside(out)
    raise ConfigError(f"no picture `{out}`" + (f"; did you mean `{close}`?" if close else ""))


def _show(ctx: typer.Context, model: str, picture: Path, images: Path | None) -> None:
    from r1sgg_cli.cli.one_picture import show_picture
    from r1sgg_cli.data.pictures import is_picture
    from r1sgg_cli.errors import ConfigError

    if not is_picture(picture):
        raise ConfigError(f"`{picture}` is a file, but no picture; name a folder for the answers, or a .jpg or .png")
    _insist_without(ctx, _OF_MANY, f"for one picture (`{picture}`), whose one answer is shown")
    show_picture(_request(ctx, model, picture, images), picture)


def _is_done_elsewhere(
    ctx: typer.Context, model: str, out: Path, images: Path | None, for_preset: Sequence[str]
) -> bool:
    """Whether workers were started, or all that was asked for was to show what would be."""
    from r1sgg_cli.cli.sharing import is_worker, launch_inference

    preset, launcher, dry_run = (ctx.params[name] for name in ("preset", "launcher", "dry_run"))
    if not is_worker(preset, for_preset, launcher):
        said = {
            name: value
            for name, value in (_asked(ctx, images) | _named(ctx, _SAMPLING)).items()
            if name in _PLANNED or _is_given(ctx, name)
        }
        launched = {**said, "push_to_hub": ctx.params["push_to_hub"]}
        return launch_inference(model, out, launched, preset, for_preset, launcher, dry_run=dry_run)
    if dry_run:
        typer.echo("it would answer in this process")
    return bool(dry_run)


def _named(ctx: typer.Context, names: Sequence[str]) -> dict[str, Any]:
    return {name: ctx.params[name] for name in names}


def _asked(ctx: typer.Context, images: Path | None) -> dict[str, Any]:
    return {**_named(ctx, _ASKED), "images": images}  # a context has paths as text


def _is_given(ctx: typer.Context, name: str) -> bool:
    """Whether a parameter stands in the command, or is left to its default."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _request(ctx: typer.Context, model: str, out: Path, images: Path | None) -> InferRequest:
    from r1sgg_cli.inference.request import InferRequest
    from r1sgg_cli.models.sampling import Sampling

    return InferRequest(model, out, sampling=Sampling(**_named(ctx, _SAMPLING)), **_asked(ctx, images))


def _insist_without(ctx: typer.Context, names: Sequence[str], for_what: str) -> None:
    """Refuse options that say nothing about what is asked about, so that nobody believes that they do."""
    from r1sgg_cli.errors import ConfigError

    given = [name for name in names if _is_given(ctx, name)]
    if given:
        option = next(one.opts[0] for one in ctx.command.params if one.name == given[0])
        raise ConfigError(f"`{option}` has no meaning {for_what}; leave it out")
