"""`r1sgg tiny`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from r1sgg_cli.cli import options


def tiny(
    out: Annotated[Path, typer.Argument(help="The checkpoint's folder; new or empty.")],
    dataset: options.DatasetOption,
    family: Annotated[
        Literal["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "internvl", "llava"], typer.Option(help="The architecture.")
    ] = "qwen2_vl",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random weights.")] = 0,
) -> None:
    """Write a tiny random checkpoint of a real architecture, to try a whole recipe on a CPU in minutes.

    The processor is the real one, the tokenizer is trained on the data set's own prompts and answers. A folder that
    holds something else is never overwritten; the same command again keeps what is there.

    Example: r1sgg tiny runs/tiny --dataset data/synthetic
    """
    import json

    from r1sgg_cli.data.rows import dataset_fingerprint
    from r1sgg_cli.errors import OutputError
    from r1sgg_cli.files import save_text
    from r1sgg_cli.models.tiny import build_tiny_checkpoint
    from r1sgg_cli.training.examples import tokenizer_texts

    record = out / "tiny.json"
    made_from = json.dumps({"family": family, "seed": seed, "dataset": dataset_fingerprint(dataset) or dataset}) + "\n"
    if record.is_file() and record.read_bytes() == made_from.encode():
        typer.echo(f"already there: {out}")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"`{out}` holds something else; name a new folder, or delete that one")
    build_tiny_checkpoint(out, family, tokenizer_texts(dataset, family), seed)
    save_text(made_from, record)
    typer.echo(f"{family} checkpoint: {out}")
