"""Open Images V6 relationships: the official tables, or the JSON that PySGG made of them.

Tables (`oidv6-*-annotations-vrd.csv` beside `class-descriptions*.csv`): coordinates are fractions, in the order XMin,
XMax, YMin, YMax. A row `is` states a property, not a relationship, and is left out. The tables name no objects: boxes
with the same label and the same coordinates are one object, and those of `*-annotations-bbox.csv`, where it lies
beside, come first; that table also brings the objects that no relationship names. A label without a description is
outside the vocabulary.

JSON (`vrd-*-anno.json` beside `categories_dict.json`): pixels, indices from 0.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from r1sgg_cli.data.annotations import AnnotatedImage, AnnotatedObject, AnnotatedRelationship, AnnotationSource
from r1sgg_cli.data.readers.json_files import (
    load_json,
    name_at,
    num_occurrences,
    split_of,
    stream_items,
    summed,
    translating,
)
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.errors import DataError, first_line
from r1sgg_cli.scene_graph.vocabulary import vocabulary_from_names

CORNERS = ("XMin", "YMin", "XMax", "YMax")
SIDES = (tuple(f"{corner}1" for corner in CORNERS), tuple(f"{corner}2" for corner in CORNERS))
VRD_COLUMNS = ("ImageID", "LabelName1", "LabelName2", *SIDES[0], *SIDES[1], "RelationshipLabel")
BOX_COLUMNS = ("ImageID", "LabelName", *CORNERS)
ATTRIBUTE = "is"
SAME_BOX = 1e-4
"""Fractions that differ by less are one coordinate, written with other digits."""


def open_open_images(path: Path, options: ReadOptions) -> AnnotationSource:
    """A folder with the tables or with PySGG's JSON, or one file of them. Raises `DataError`."""
    folder = path if path.is_dir() else path.parent
    if (folder / "categories_dict.json").is_file() and path.suffix != ".csv":
        return _open_processed(path, folder, options)
    tables = [table for table in sorted(folder.glob("*vrd*.csv")) if "bbox" not in table.name]
    tables = tables if path.is_dir() else [path]
    descriptions = sorted(folder.glob("*class-descriptions*.csv"))
    if not tables or not descriptions:
        lacking = "`*-annotations-vrd.csv`" if not tables else "`class-descriptions*.csv`"
        raise DataError(
            f"`{folder}` has no {lacking}; Open Images' tables of relationships and of class names belong together"
        )
    names: dict[str, str] = {}
    for table in descriptions:
        names |= _class_names(table)
    boxes: dict[str, list[Path]] = {}
    for table in sorted(folder.glob("*annotations-bbox*.csv")):
        boxes.setdefault(split_of(table.name), []).append(table)
    return AnnotationSource(
        layout="open-images",
        files=(*tables, *descriptions, *(table for of_split in boxes.values() for table in of_split)),
        images_dir=options.images_dir or folder,
        read=partial(_read_tables, tables, boxes, names, options.keep_empty),
        num_images=_num_images(tables),
    )


def _load_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, **_as_written(columns))
    except (OSError, ValueError) as error:  # a column is missing, a coordinate is no number
        raise DataError(
            f"`{path}` is not a table of Open Images: {first_line(error)}; expected {', '.join(columns)}"
        ) from error
    texts = [name for name in columns if not name.startswith(("X", "Y"))]
    return table.fillna(dict.fromkeys(texts, ""))  # a line that ends early says nothing in its last columns


def _as_written(columns: Sequence[str]) -> dict[str, Any]:
    """pandas' options: texts stay as they are (`0012` is no 12, `NA` a label), in Arrow's compact form."""
    numbers = [name for name in columns if name.startswith(("X", "Y"))]
    kinds = {name: "float32" if name in numbers else "string[pyarrow]" for name in columns}
    empty = {name: [""] for name in numbers}
    return {"usecols": list(columns), "dtype": kinds, "keep_default_na": False, "na_values": empty}


def _num_images(tables: Sequence[Path]) -> dict[str, int]:
    return summed((split_of(table.name), _load_table(table, ("ImageID",))["ImageID"].nunique()) for table in tables)


def _class_names(path: Path) -> dict[str, str]:
    """Machine id → name; a header line becomes a name that nothing refers to."""
    try:
        table = pd.read_csv(path, header=None, names=["id", "name"], dtype="string", keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DataError(f"`{path}` is not a table of class names: {first_line(error)}") from error
    return dict(zip(table["id"].tolist(), table["name"].tolist(), strict=True))


def _read_tables(
    tables: Sequence[Path], boxes: Mapping[str, Sequence[Path]], names: Mapping[str, str], keep_empty: bool
) -> Iterator[AnnotatedImage]:
    for path in tables:
        split = split_of(path.name)
        table = _load_table(path, VRD_COLUMNS)
        is_attribute = (table["RelationshipLabel"] == ATTRIBUTE).to_numpy(bool)
        own = _boxes_by_image(boxes.get(split, ()), None if keep_empty else table["ImageID"])
        ids, first_rows = np.unique(table["ImageID"].to_numpy(str), return_index=True)
        rows_of = table.groupby("ImageID", sort=False, observed=True).indices
        columns = _Columns(
            *(table[name].tolist() for name in ("LabelName1", "LabelName2", "RelationshipLabel")),
            *(table[list(side)].to_numpy(np.float64) for side in SIDES),
        )
        for image_id in ids[np.argsort(first_rows)].tolist():
            rows = rows_of[image_id]
            related = rows[~is_attribute[rows]].tolist()
            yield _image(image_id, split, columns, related, len(rows) - len(related), own.pop(image_id, []), names)
        if keep_empty:
            for image_id, placed in own.items():
                yield _image(image_id, split, columns, (), 0, placed, names)


class _Columns(NamedTuple):
    """A table of relationships, column by column."""

    labels_1: list[str]
    labels_2: list[str]
    predicates: list[str]
    boxes_1: NDArray[np.float64]
    boxes_2: NDArray[np.float64]


Placed = tuple[str, list[float]]
"""Machine id and box."""


def _boxes_by_image(tables: Sequence[Path], wanted: "pd.Series[Any] | None") -> dict[str, list[Placed]]:
    """The boxes of the images that are wanted (None: all), read in pieces: the whole table is many times as large."""
    ids = None if wanted is None else set(wanted.unique())
    found: dict[str, list[Placed]] = {}
    for path in tables:
        try:
            pieces = pd.read_csv(path, chunksize=500_000, **_as_written(BOX_COLUMNS))
            for piece in pieces:
                kept = (piece if ids is None else piece[piece["ImageID"].isin(ids)]).fillna({"LabelName": ""})
                corners = kept[list(CORNERS)].to_numpy(np.float64).tolist()
                for image_id, label, box in zip(kept["ImageID"], kept["LabelName"], corners, strict=True):
                    found.setdefault(image_id, []).append((label, box))
        except (OSError, ValueError) as error:
            raise DataError(f"`{path}` is not a table of Open Images' boxes: {error}") from error
    return found


def _image(
    image_id: str,
    split: str,
    columns: _Columns,
    rows: Sequence[int],
    num_attributes: int,
    boxes: list[Placed],
    names: Mapping[str, str],
) -> AnnotatedImage:
    placed = list(boxes)
    relationships = [
        AnnotatedRelationship(
            _place(placed, columns.labels_1[row], columns.boxes_1[row].tolist()),
            columns.predicates[row],
            _place(placed, columns.labels_2[row], columns.boxes_2[row].tolist()),
        )
        for row in rows
    ]
    faults = {"attribute": num_attributes, "added_end": len(placed) - len(boxes) if boxes else 0}
    return AnnotatedImage(
        image_id=image_id,
        split=split,
        image=(f"{image_id}.jpg",),
        image_wh=None,
        objects=tuple(AnnotatedObject(key, names.get(label), box) for key, (label, box) in enumerate(placed)),
        relationships=tuple(relationships),
        unit="fractions",
        faults={kind: count for kind, count in faults.items() if count},
    )


def _place(placed: list[Placed], label: str, box: list[float]) -> int:
    """The number of the object with this label and box, which is added where there is none."""
    for number, (other_label, other) in enumerate(placed):
        if label == other_label and all(abs(a - b) < SAME_BOX for a, b in zip(box, other, strict=True)):
            return number
    placed.append((label, box))
    return len(placed) - 1


def _open_processed(path: Path, folder: Path, options: ReadOptions) -> AnnotationSource:
    files = sorted(folder.glob("vrd-*-anno.json")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"`{folder}` has no `vrd-*-anno.json` beside its `categories_dict.json`")
    categories = folder / "categories_dict.json"
    content = load_json(categories)
    with translating(categories, "the dictionary of", "names"):
        objects, predicates = list(content["obj"]), list(content["rel"])
    vocabulary = vocabulary_from_names(objects, predicates, f"`{categories}`")
    return AnnotationSource(
        layout="open-images",
        files=(*files, categories),
        images_dir=options.images_dir or folder,
        read=partial(_read_processed, files, objects, predicates),
        num_images={split_of(file.stem): num_occurrences(file, b'"img_fn"') for file in files},
        vocabulary=vocabulary,
    )


def _read_processed(files: Sequence[Path], objects: list[str], predicates: list[str]) -> Iterator[AnnotatedImage]:
    for file in files:
        split = split_of(file.stem)
        for number, entry in enumerate(stream_items(file, "item")):
            with translating(file, "entry", number):
                name = str(entry["img_fn"])
                width, height = entry["img_size"]
                image = AnnotatedImage(
                    image_id=name,
                    split=split,
                    image=(f"{name}.jpg", name),
                    image_wh=(int(width), int(height)),
                    objects=tuple(
                        AnnotatedObject(key, name_at(objects, label), box)
                        for key, (label, box) in enumerate(zip(entry["det_labels"], entry["bbox"], strict=True))
                    ),
                    relationships=tuple(
                        AnnotatedRelationship(subject, name_at(predicates, predicate), target)
                        for subject, target, predicate in entry["rel"]
                    ),
                )
            yield image
