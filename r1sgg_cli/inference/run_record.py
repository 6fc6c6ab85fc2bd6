"""`run.json`: what ran in a folder of answers, and the mark that it is done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from r1sgg_cli.data.provenance import checked_names, checked_provenance
from r1sgg_cli.errors import MALFORMED, AnswersError, in_words
from r1sgg_cli.files import save_text

if TYPE_CHECKING:  # it imports pydantic, and `gather` should start fast
    from r1sgg_cli.config.schema import Task

RUN_FILE, COMPLETE_FILE = "run.json", "complete.json"


class VocabularyRow(TypedDict):
    """A vocabulary as `run.json` writes it."""

    objects: list[str]
    predicates: list[str]


class RunRecord(TypedDict):
    """What `run.json` says; all of it but the vocabulary becomes the provenance of `preds.json`."""

    model: str
    model_fingerprint: str | None
    """None for a name on the hub, as that of the data set."""
    base: str | None
    """The model that adapters belong to; None for a whole one."""
    revision: str | None
    """The commit of a model on the hub; None for a folder, and where it is not known."""
    family: str
    dataset: str
    """Its name or folder; the folder of pictures where nothing is annotated."""
    dataset_fingerprint: str | None
    annotated: bool
    """Whether the images have a ground truth."""
    split: str | None
    split_size: int
    """Images in the split."""
    limit: int | None
    """Only so many first images of the split were last asked for; None: all."""
    task: Task
    """What the answers list."""
    prompts: Mapping[str, Any]
    generation: Mapping[str, Any]
    vocabulary: VocabularyRow | None
    """The one that was named, else the data set's own, also where the prompt listed no categories; None without any."""
    versions: Mapping[str, str]
    command: str


def save_run(run: RunRecord, out_dir: Path) -> None:
    """Write `run.json`. Raises `OutputError`."""
    save_text(json.dumps(run, indent=2) + "\n", out_dir / RUN_FILE)


def load_run(out_dir: Path) -> RunRecord:
    """Read `run.json`. Raises `AnswersError`."""
    path = out_dir / RUN_FILE
    try:
        run: Any = checked_provenance(json.loads(load_bytes(path)))
        if missing := [key for key in RunRecord.__annotations__ if key not in run]:
            raise KeyError(missing[0])
        vocabulary = run["vocabulary"]
        if vocabulary is not None:
            run["vocabulary"] = {key: checked_names(vocabulary[key]) for key in ("objects", "predicates")}
    except MALFORMED as error:
        raise AnswersError(
            f"`{path}` is not what `r1sgg infer` writes: {in_words(error)}; name a folder that it filled"
        ) from error
    return run


def mark_complete(out_dir: Path, num_images: int) -> None:
    """Write `complete.json`. Raises `OutputError`."""
    save_text(json.dumps({"images": num_images}) + "\n", out_dir / COMPLETE_FILE)


def load_bytes(path: Path) -> bytes:
    """What a file of the folder holds. Raises `AnswersError`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> AnswersError:
    """The error of a file that cannot be read, in the user's words."""
    return AnswersError(f"cannot read `{path}`: {error.strerror}; `r1sgg infer MODEL {path.parent}` fills that folder")
