"""`r1sgg tiny`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from r1sgg_cli.cli import options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from r1sgg_cli.models.families import ModelType

RECORD = "tiny.json"
"""What a finished checkpoint was made from."""


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
    holds something else is never overwritten; the same command again keeps what is there, and starts anew where it was
    stopped.

    Example: r1sgg tiny runs/tiny --dataset data/synthetic
    """
    from r1sgg_cli.data.rows import dataset_fingerprint
    from r1sgg_cli.errors import DataError
    from r1sgg_cli.typed_names import missing_local

    if said := missing_local(dataset):
        raise DataError(f"{said}; give a data set's folder, or a name on the hub (`OWNER/NAME`)")
    made_from = {"family": family, "seed": seed, "dataset": dataset_fingerprint(dataset) or dataset}
    is_new = _build(out.resolve(), family, dataset, seed, made_from)  # a link to a folder is that folder
    typer.echo(f"{family} checkpoint: {out}" if is_new else f"already there: {out}")


def _build(out: Path, family: ModelType, dataset: str, seed: int, made_from: Mapping[str, Any]) -> bool:
    """Make the checkpoint beside its place and move it there in one step; False if it is there already."""
    import json
    import shutil

    from r1sgg_cli.errors import OutputError
    from r1sgg_cli.files import save_text, work_beside
    from r1sgg_cli.models.tiny import build_tiny_checkpoint
    from r1sgg_cli.training.examples import tokenizer_texts

    if _is_there(out, made_from):
        return False
    with work_beside(out) as work:
        is_new = not _is_there(out, made_from)  # by another process, a moment ago
        if is_new:
            finished = work / "finished"
            shutil.rmtree(finished, ignore_errors=True)  # what a run that was stopped has left
            build_tiny_checkpoint(finished, family, tokenizer_texts(dataset, family), seed)
            save_text(json.dumps(made_from) + "\n", finished / RECORD)
            try:
                finished.replace(out)
            except OSError as error:
                raise OutputError(f"cannot write `{out}`: {error.strerror}; name another folder") from error
    return is_new


def _is_there(out: Path, made_from: Mapping[str, Any]) -> bool:
    """Whether `out` holds this very checkpoint; False where there is nothing yet. Raises `OutputError` on all else."""
    import json

    from r1sgg_cli.config.differences import differences
    from r1sgg_cli.errors import OutputError

    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        if out == Path.cwd():
            raise OutputError(f"`{out}` is the folder you are in; name a new one inside it")
        return False
    try:
        found = json.loads((out / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if found == made_from:
        return True
    what = "something else"
    if isinstance(found, dict):
        what = f"a checkpoint that was made with other options ({'; '.join(differences(found, made_from))})"
    raise OutputError(f"`{out}` holds {what}; name a new folder, or delete that one")
