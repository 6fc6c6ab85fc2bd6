"""`r1sgg serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from r1sgg_cli.cli import options

if TYPE_CHECKING:
    from r1sgg_cli.inference.asker import Asker

CONTEXT = {"allow_extra_args": True}
"""What stands after `--` is vLLM's."""


def serve(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help=options.MODEL_HELP)],
    host: Annotated[str, typer.Option(help="Address to listen at; `0.0.0.0` lets other machines ask.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen at.")] = 8000,
    predefined: options.PredefinedOption = None,
    think: options.ThinkOption = None,
    vocabulary: options.VocabularyOption = None,
    max_pixels: options.MaxPixelsOption = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 2048,
    structured: Annotated[
        bool, typer.Option("--structured", help="Print clients that ask for answers that are always in form.")
    ] = False,
    dry_run: options.DryRunOption = False,
) -> None:
    """Start vLLM's OpenAI-compatible server for a model, and print clients that ask it as it was trained to be asked.

    The clients are a line of curl and a Python program without requirements; both send a picture and get a scene graph.
    Options of vLLM's own, such as its share of the GPU's memory, stand after `--`.

    Example: r1sgg serve runs/grpo --vocabulary vg150 --predefined-cats -- --gpu-memory-utilization 0.5
    """
    import os
    import shlex
    import sys

    from r1sgg_cli.errors import ConfigError
    from r1sgg_cli.inference.server import Place, curl_line, python_client, request_body, server_argv
    from r1sgg_cli.inference.vllm_start import engine_environment
    from r1sgg_cli.models.families import unsampled_token_ids

    if ctx.args and not ctx.args[0].startswith("-"):
        raise ConfigError(f"`{ctx.args[0]}` stands where nothing is expected; options of vLLM's own follow after `--`")
    _check_vllm(model)
    asker = _asker(model, predefined, think, vocabulary, max_pixels, structured)
    room, dtype, eager = _engine_options(model, asker, max_new_tokens)
    if max_new_tokens >= room:
        raise ConfigError(
            f"`--max-new-tokens {max_new_tokens}`: the model has room for {room} tokens, prompt and answer together; "
            "give a smaller number"
        )
    place = Place(host, port)
    body = request_body(model, asker, unsampled_token_ids(model), max_new_tokens, structured=structured)
    environment = {**engine_environment(), **os.environ}
    argv = server_argv(model, asker.limits, room, dtype, place, eager)
    if ctx.args:
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")  # of this process, not of the server
        from r1sgg_cli.inference.server_options import check_server_options

        check_server_options(argv[3:], ctx.args)
        argv += ctx.args
    typer.echo(f"# A line of curl, about photo.jpg:\n{curl_line(body, place)}\n")
    typer.echo(f"# A Python program, about the picture that it is given:\n{python_client(body, place)}\n")
    typer.echo(f"# The boxes of an answer: {_boxes(asker)}")
    typer.echo(f"# The server: {shlex.join(argv)}")
    if not dry_run:
        sys.stdout.flush()
        os.execvpe(argv[0], argv, environment)


def _check_vllm(model: str) -> None:
    """Make sure that this machine and this model can have a server. Raises `R1SGGError`."""
    import sys
    from importlib.util import find_spec

    import torch

    from r1sgg_cli.errors import ConfigError
    from r1sgg_cli.launch.architectures import SAMPLED_BY_VLLM
    from r1sgg_cli.launch.packages import check_vllm, installed_versions, load_supported
    from r1sgg_cli.models.checkpoint import check_weights
    from r1sgg_cli.models.families import FAMILIES, family_of

    family = family_of(model)
    check_weights(model)
    if family.model_type not in SAMPLED_BY_VLLM:
        seen = ", ".join(FAMILIES[name].name for name in SAMPLED_BY_VLLM)
        raise ConfigError(f"vLLM was seen to be right for {seen}, not for {family.name}; use `r1sgg infer`")
    found = check_vllm(load_supported(), installed_versions(sys.path), for_gpu=torch.cuda.is_available())
    if find_spec("vllm") is None:
        raise ConfigError(f"a server needs vLLM, which is not installed; `{found.remedy}` installs it")
    if found.is_fault:
        raise ConfigError(f"a server needs vLLM: {found.detail}; `{found.remedy}` mends it")


def _asker(
    model: str,
    predefined: bool | None,
    think: bool | None,
    vocabulary: str | None,
    max_pixels: int | None,
    structured: bool,
) -> Asker:
    """How the model is asked, as `infer` asks about a folder of pictures; says so."""
    from pathlib import Path

    from rich.console import Console

    from r1sgg_cli.inference.asker import NO_DATASET, insist_on_use_of_vocabulary, make_asker
    from r1sgg_cli.inference.request import InferRequest

    request = InferRequest(
        model,
        Path(),
        "",
        images=Path(),
        vocabulary=vocabulary,
        predefined_categories=predefined,
        think=think,
        max_pixels=max_pixels,
        structured=structured,
    )
    asker = make_asker(request, Console(stderr=True, soft_wrap=True, emoji=False), [NO_DATASET])
    insist_on_use_of_vocabulary(request, asker)
    return asker


def _engine_options(model: str, asker: Asker, max_new_tokens: int) -> tuple[int, str, list[str]]:
    """Tokens of the longest prompt and answer, the precision, and what a CPU is told besides."""
    import torch

    from r1sgg_cli.inference.room import room_for
    from r1sgg_cli.models.families import quantization_of

    room = room_for(model, asker.wording.asking.max_pixels, max_new_tokens)
    if not torch.cuda.is_available():
        return room, "float32", ["--enforce-eager"]  # it takes longer to compile than that saves
    return room, "auto" if quantization_of(model) else "bfloat16", []


def _boxes(asker: Asker) -> str:
    """What the four numbers mean to who brings them to pixels."""
    side = asker.wording.family.relative_side
    if side is not None:
        return f"0 to {side} across the picture's width and height."
    return f"pixels of the picture as the model sees it; `r1sgg_cli.models.images.resized_wh` with {asker.limits}."
