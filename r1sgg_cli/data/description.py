"""`prepare.json`: what a data set was made from and how, by which one that is finished is known again."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from r1sgg_cli.config.differences import differences
from r1sgg_cli.data.annotations import AnnotationSource
from r1sgg_cli.data.chunks import strict_error
from r1sgg_cli.data.cleaning import CleaningRules
from r1sgg_cli.data.cutter import Selection
from r1sgg_cli.data.faults import Tally
from r1sgg_cli.data.rows import DESCRIPTION_FILE
from r1sgg_cli.errors import NOT_JSON, DataError, OutputError, in_words
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

FORMAT = 1
"""Of what is written: raised when the same annotations would give other rows."""


def describe(source: AnnotationSource, rules: CleaningRules, selection: Selection) -> dict[str, Any]:
    """All that decides the rows of a data set, as JSON values; equal descriptions give equal rows."""
    vocabulary = rules.vocabulary
    kept = {key: sorted(value) if isinstance(value, frozenset) else value for key, value in asdict(rules).items()}
    kept["vocabulary"] = vocabulary and written_names(vocabulary)
    # What is rendered or fetched has no folder: it is the same wherever the command is run.
    has_folder = source.files or source.images_dir != Path()
    return {
        "format": FORMAT,
        "source": source.layout,
        **source.details,
        "files": [[name, _sha256(path)] for name, path in _named(source.files)],
        **({"images": str(source.images_dir.resolve())} if has_folder else {}),
        "rules": kept,
        "splits": selection.splits and sorted(selection.splits),
        "limit": selection.limit,
    }


def _named(files: Sequence[Path]) -> list[tuple[str, Path]]:
    """Each file with its place below the folder that holds them all: three of a source may have one name."""
    if not files:
        return []
    root = os.path.commonpath([file.resolve().parent for file in files])
    return [(file.resolve().relative_to(root).as_posix(), file) for file in files]


def written_names(vocabulary: Vocabulary) -> dict[str, list[str]]:
    """A vocabulary as its file lists it."""
    return {"objects": list(vocabulary.written_objects), "predicates": list(vocabulary.written_predicates)}


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read `{path}`: {error.strerror}") from error


def load_description(folder: Path) -> dict[str, Any]:
    """What `prepare.json` says of a finished data set: its rows, what was met, and how it came about.

    Raises `OutputError` where the folder holds no data set of ours.
    """
    path = folder / DESCRIPTION_FILE
    if not path.is_file():
        raise OutputError(f"`{folder}` exists and is no data set of ours; choose another `--out`, or remove it")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, *NOT_JSON) as error:
        raise OutputError(
            f"`{path}` cannot be read: {in_words(error)}; choose another `--out`, or remove the folder"
        ) from error
    if not isinstance(found, dict):
        raise OutputError(f"`{path}` holds no description; choose another `--out`, or remove the folder")
    return found


def is_prepared(folder: Path, description: Mapping[str, Any], *, strict: bool = False) -> bool:
    """Whether `folder` holds the finished data set of this very description; False where there is nothing yet.

    Raises `OutputError` where the folder holds anything else: it is never overwritten. With `strict`, raises
    `DataError` where the set was made of annotations with faults.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        if folder == Path.cwd():
            raise OutputError(f"`{folder}` is the folder you are in; name a new one inside it with `--out`")
        return False
    found = load_description(folder)
    if changed := changes(found, description):
        raise OutputError(f"`{folder}` was prepared with other options ({changed}); choose another `--out`")
    met = Tally.from_json(found.get("met", {}))
    if strict and met.num_faults():
        raise strict_error(met)
    return True


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What of a description is new, in one line, empty where nothing is; what `old` alone says is passed over."""
    return _shortened(differences({key: old.get(key) for key in new}, new))


def _shortened(found: Sequence[str]) -> str:
    """The first changes, none longer than a line of a terminal."""
    shown = "; ".join(change if len(change) <= 90 else f"{change[:90]}…" for change in found[:3])
    return shown + (f"; and {len(found) - 3} more" if len(found) > 3 else "")
