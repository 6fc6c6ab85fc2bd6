"""`r1sgg tiny`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from r1sgg_cli.cli import options


def tiny(
    out: Annotated[Path, typer.Argument(help="The checkpoint's folder.")],
    dataset: options.DatasetOption,
    family: Annotated[
        Literal["qwen2_vl", "qwen2_5_vl", "qwen3_vl"], typer.Option(help="The architecture.")
    ] = "qwen2_vl",
    seed: Annotated[int, typer.Option(help="Seed of the random weights.")] = 0,
) -> None:
    """Write a tiny random checkpoint of a real architecture, to try a whole recipe on a CPU in minutes.

    The processor is the real one, the tokenizer is trained on the data set's own prompts and answers.

    Example: r1sgg tiny runs/tiny --dataset data/synthetic
    """
    from r1sgg_cli.models.tiny import build_tiny_checkpoint
    from r1sgg_cli.training.examples import tokenizer_texts

    build_tiny_checkpoint(out, family, tokenizer_texts(dataset, family), seed)
    typer.echo(f"{family} checkpoint: {out}")
