"""Data sets in the published R1-SGG columns, from the hub or a folder: validated and cleaned row by row."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, DatasetDict

from r1sgg_cli.data.annotations import AnnotatedImage, AnnotatedObject, AnnotatedRelationship, AnnotationSource
from r1sgg_cli.data.rows import dataset_fingerprint, load_splits, undecoded
from r1sgg_cli.data.vocabularies import PUBLISHED, vocabulary_of
from r1sgg_cli.errors import DataError, first_line
from r1sgg_cli.scene_graph.labels import written_name


def open_published(name: str) -> AnnotationSource:
    """A published set by its short name. Raises `DataError` where the hub cannot be reached."""
    parts = PUBLISHED[name]
    splits = {split: next(iter(load_splits(dataset).values())) for split, dataset in parts.items()}
    return _source(DatasetDict(splits), next(iter(parts.values())), {"datasets": dict(parts)})


def open_rows(dataset: str) -> AnnotationSource:
    """A data set's folder, or its name on the hub. Raises `DataError`."""
    return _source(load_splits(dataset), dataset, {"dataset": dataset})


def _source(splits: DatasetDict, dataset: str, named: Mapping[str, Any]) -> AnnotationSource:
    # Encoded files as they are: a worker decodes them, and what cannot be decoded is counted, not raised.
    rows = {split: undecoded(part) for split, part in splits.items()}
    return AnnotationSource(
        layout="rows",
        files=(),
        images_dir=Path(dataset) if Path(dataset).is_dir() else Path(),
        read=partial(_read, rows),
        num_images={split: len(part) for split, part in rows.items()},
        vocabulary=vocabulary_of(dataset),
        details={
            **named,
            "content": dataset_fingerprint(dataset) or {split: part._fingerprint for split, part in splits.items()},
        },
    )


def _read(splits: Mapping[str, Dataset]) -> Iterator[AnnotatedImage]:
    for split, rows in splits.items():
        number = 0
        try:
            for number, row in enumerate(rows, start=1):  # noqa: B007  (the error says how far it came)
                yield annotated_row(row, split)
        except (pa.ArrowException, UnicodeDecodeError, OSError) as error:  # bytes that were damaged on the disk
            raise DataError(
                f"split `{split}` cannot be read after row {number}: {first_line(error)}; copy it anew"
            ) from error


def annotated_row(row: Mapping[str, Any], split: str) -> AnnotatedImage:
    """One row, its image encoded; items that are no objects or relationships are counted by kind."""
    faults = {"bad_object": 0, "bad_relationship": 0}
    objects, relationships = [], []
    for item in _items(row["objects"], faults, "bad_object"):
        if isinstance(item.get("id"), str):
            objects.append(AnnotatedObject(item["id"], written_name(item["id"]), item.get("bbox")))
        else:
            faults["bad_object"] += 1
    for item in _items(row["relationships"], faults, "bad_relationship"):
        subject, predicate, target = item.get("subject"), item.get("predicate"), item.get("object")
        if isinstance(subject, str) and isinstance(predicate, str) and isinstance(target, str):
            relationships.append(AnnotatedRelationship(subject, predicate, target))
        else:
            faults["bad_relationship"] += 1
    if row["image_id"] is None:
        raise DataError(f"a row of split `{split}` has no `image_id`; give every row its own")
    return AnnotatedImage(
        image_id=row["image_id"],
        split=split,
        image=_image(row["image"]),
        image_wh=None,
        objects=tuple(objects),
        relationships=tuple(relationships),
        faults={kind: count for kind, count in faults.items() if count},
        prompt_open=row["prompt_open"] or "",
        prompt_close=row["prompt_close"] or "",
    )


def _image(stored: Mapping[str, Any] | None) -> bytes | tuple[str, ...]:
    """The encoded file, or where it lies; nowhere where the cell is null."""
    if stored is None:
        return ()
    return stored["bytes"] if stored["bytes"] is not None else (str(stored["path"]),)


def _items(text: str | None, faults: dict[str, int], kind: str) -> list[dict[str, Any]]:
    """The rows in one of the two JSON columns."""
    try:
        value = json.loads(text) if text is not None else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, list):
        faults[kind] += 1
        return []
    rows = [item for item in value if isinstance(item, dict)]
    faults[kind] += len(value) - len(rows)
    return rows
