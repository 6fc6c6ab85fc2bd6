"""The data set's schema in one place: which columns there are, and how they are read and checked.

Columns are those of the published R1-SGG sets, so those load here unchanged and ours load there. `objects` and
`relationships` are JSON strings; sets that store them as lists are accepted and turned into strings at loading.
Boxes are `xyxy` in pixels of the stored image.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict

from datasets import Dataset, DatasetDict, Features, Image, Value, load_dataset, load_from_disk
from datasets.exceptions import DatasetsError

from r1sgg_cli.data.images import BrokenImageError, decode_image, stored_image_wh
from r1sgg_cli.errors import NOT_JSON, DataError, first_line, why_unfetched
from r1sgg_cli.files import folder_fingerprint
from r1sgg_cli.scene_graph.boxes import is_box
from r1sgg_cli.scene_graph.graph import SceneGraph, graph_from_rows
from r1sgg_cli.typed_names import missing_local

FEATURES = Features(
    {
        "image_id": Value("string"),
        "image": Image(),
        "prompt_open": Value("string"),
        "prompt_close": Value("string"),
        "objects": Value("string"),
        "relationships": Value("string"),
    }
)
GRAPH_COLUMNS = {
    "objects": 'a JSON string of [{"id": "person.1", "bbox": [x1, y1, x2, y2]}] in pixels',
    "relationships": 'a JSON string of [{"subject": "person.1", "predicate": "riding", "object": "bike.2"}]',
}
PROMPT_COLUMNS = ("prompt_open", "prompt_close")
VOCABULARY_FILE = "vocabulary.json"
BASE_VOCABULARY_FILE = "base_vocabulary.json"
"""The names that training may show, where a data set was prepared for an open-vocabulary setting."""
DESCRIPTION_FILE = "prepare.json"
"""Says how a folder was prepared; its presence marks a folder as ours and finished."""
DATA_FILES = (DESCRIPTION_FILE, "**/data-*.arrow", "**/*.parquet")
_BATCH = 500


class Row(TypedDict):
    """One row as it is written; `image` holds the bytes of an encoded image file."""

    image_id: str
    image: dict[str, Any]
    prompt_open: str
    prompt_close: str
    objects: str
    relationships: str


def make_row(image_id: str, image: bytes, graph: SceneGraph, prompt_open: str = "", prompt_close: str = "") -> Row:
    """A row from an encoded image file and its graph in pixels."""
    objects, relationships = graph.to_rows()
    return {
        "image_id": image_id,
        "image": {"bytes": image, "path": None},
        "prompt_open": prompt_open,
        "prompt_close": prompt_close,
        "objects": json.dumps(objects),
        "relationships": json.dumps(relationships),
    }


def load_rows(source: str, split: str | None = None) -> Dataset:
    """The rows of one split, with exactly the columns of `FEATURES`; images are decoded when a row is read.

    `source` is a folder that `r1sgg prepare` or `save_to_disk` wrote, a folder of parquet files, or a name on the hub.
    Without `split` the set's only one is taken. Raises `DataError` on a missing set, split or column.
    """
    splits = _load_unchecked(source)
    names = ", ".join(f"`{name}`" for name in splits)
    if split is None and len(splits) > 1:
        raise DataError(f"`{source}` has several splits: {names}; say which with `--split`")
    name = next(iter(splits)) if split is None else split
    if name not in splits:
        raise DataError(f"`{source}` has no split `{name}`; it has {names}")
    return _checked(splits[name], source)


def load_splits(source: str) -> DatasetDict:
    """All splits of a data set as `load_rows` gives one. Raises `DataError`."""
    return DatasetDict({name: _checked(rows, source) for name, rows in _load_unchecked(source).items()})


def _load_unchecked(source: str) -> DatasetDict:
    folder = Path(source)
    if folder.is_file():
        raise DataError(
            f"`{source}` is a file, not a data set; `r1sgg prepare {source} --out DIR` may turn it into one"
        )
    saved = (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()
    if not saved and folder.is_dir() and not any(folder.rglob("*.parquet")):
        raise DataError(f"`{source}` holds no data set; write one with `r1sgg prepare`")
    if said := missing_local(source):
        raise DataError(f"{said}; give a data set's folder, or a name on the hub (`OWNER/NAME`)")
    try:
        loaded = load_from_disk(source) if saved else load_dataset(source)
    except IndexError as error:  # `save_to_disk` writes no file of a split without rows, and needs one
        raise DataError(f"`{source}` has a split without rows, which `datasets` cannot load; leave it out") from error
    # Not found, no network, files that are broken; the others are what a description of another shape leads to.
    except (DatasetsError, OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        cause = error.__cause__ or error  # `datasets` says of a damaged page only that an error occurred
        reason = first_line(cause) if folder.exists() else why_unfetched(cause)
        raise DataError(f"`{source}` is no data set that can be read: {reason}") from error
    return loaded if isinstance(loaded, DatasetDict) else DatasetDict({"train": loaded})


def _checked(rows: Dataset, source: str) -> Dataset:
    missing = [name for name in FEATURES if name not in rows.column_names and name not in PROMPT_COLUMNS]
    if missing:
        have = ", ".join(f"`{name}`" for name in rows.column_names)
        meaning = GRAPH_COLUMNS.get(missing[0], {"image": "an image", "image_id": "a string"}.get(missing[0]))
        raise DataError(f"`{source}` has no column `{missing[0]}` ({meaning}); it has {have}")
    if not isinstance(rows.features["image"], Image):
        raise DataError(f"`{source}`: column `image` is {rows.features['image']}; expected an image (datasets.Image)")
    for name, meaning in GRAPH_COLUMNS.items():
        if rows.features[name] not in (Value("string"), Value("large_string")):
            rows = _with_json_strings(rows, name, meaning, source)
    for name in PROMPT_COLUMNS:
        if name not in rows.column_names:
            rows = rows.add_column(name, [""] * len(rows))
    if rows.features["image_id"] != Value("string"):  # some sets count their images with integers
        rows = rows.cast_column("image_id", Value("string"))
    return rows.select_columns(list(FEATURES))


def _with_json_strings(rows: Dataset, column: str, meaning: str, source: str) -> Dataset:
    """Rows whose `column` of lists is turned into JSON strings."""
    values = rows[column][:]
    if not all(isinstance(value, list | None) for value in values):
        raise DataError(f"`{source}`: column `{column}` is {rows.features[column]}; expected {meaning}")
    texts = [None if value is None else json.dumps(value) for value in values]
    return rows.remove_columns(column).add_column(column, texts)


def undecoded(rows: Dataset) -> Dataset:
    """The same rows with images as they are stored, for `decoded`."""
    return rows.cast_column("image", Image(decode=False))


def decoded(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `undecoded` with its picture. Raises `DataError` that names an image that cannot be decoded."""
    return {**row, "image": decode_image(row["image_id"], row["image"])}


def sized_rows(rows: Dataset) -> Iterator[tuple[dict[str, Any], tuple[int, int]]]:
    """Each row without its image, and the size of its picture, which is not decoded.

    Raises `DataError` that names an image that cannot be read.
    """
    for row, image_wh in rows_with_sizes(rows):
        if isinstance(image_wh, BrokenImageError):
            raise image_wh
        yield row, image_wh


def rows_with_sizes(rows: Dataset) -> Iterator[tuple[dict[str, Any], tuple[int, int] | BrokenImageError]]:
    """The same, with what is wrong in place of the size of an image that is broken.

    Raises `DataError` for a file that cannot be read, which says nothing of the image in it.
    """
    for batch in rows.with_format("arrow").iter(batch_size=_BATCH):
        for row, image in zip(batch.drop_columns(["image"]).to_pylist(), batch["image"], strict=True):
            try:
                image_wh: tuple[int, int] | BrokenImageError = stored_image_wh(row["image_id"], image)
            except BrokenImageError as error:
                image_wh = error
            yield row, image_wh


def ground_truth_graph(row: Mapping[str, Any]) -> SceneGraph:
    """The annotated graph of a loaded row, in pixels of its image. Raises `DataError` that names the image."""
    return parse_ground_truth(row["image_id"], row["objects"], row["relationships"], row["image"].size)


def check_graphs(rows: Dataset) -> None:
    """Read every row's graph, no image, so that a bad row stops a run before it starts. Raises `DataError`."""
    for _ in iterate_graph_rows(rows):
        pass


def iterate_graph_rows(rows: Dataset) -> Iterator[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """Objects and relationships of each row, checked; no image is read, and memory stays flat. Raises `DataError`."""
    for batch in rows.select_columns(["image_id", *GRAPH_COLUMNS]).iter(batch_size=1000):
        for values in zip(batch["image_id"], batch["objects"], batch["relationships"], strict=True):
            yield _graph_rows(*values)


def parse_ground_truth(image_id: str, objects: str, relationships: str, image_wh: tuple[int, int]) -> SceneGraph:
    """The graph in a row's two JSON strings, in pixels. Raises `DataError` that names the image and the fault."""
    object_rows, relationship_rows = _graph_rows(image_id, objects, relationships)
    width, height = image_wh
    for row in object_rows:
        x1, y1, x2, y2 = row["bbox"]
        if x1 > width or y1 > height or x2 < 0 or y2 < 0:
            box = f"box {row['bbox']} of `{row['id']}`"
            raise DataError(f"image {image_id}: {box} lies outside the image; boxes are in its {width}×{height} pixels")
    return graph_from_rows(object_rows, relationship_rows, (float(width), float(height)))


def _graph_rows(
    image_id: str, objects: str | None, relationships: str | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Both columns' rows, checked as far as that goes without the image."""
    object_rows = _json_list(image_id, "objects", objects)
    relationship_rows = _json_list(image_id, "relationships", relationships)
    ids: set[str] = set()
    for row in object_rows:
        if not isinstance(row.get("id"), str) or not (isinstance(row.get("bbox"), list) and is_box(row["bbox"])):
            raise DataError(f"image {image_id}: {json.dumps(row)} is no object; expected {GRAPH_COLUMNS['objects']}")
        x1, y1, x2, y2 = row["bbox"]
        if x2 < x1 or y2 < y1:
            box = f"box {row['bbox']} of `{row['id']}`"
            raise DataError(f"image {image_id}: {box} ends before it begins; boxes are xyxy, not xywh")
        if row["id"] in ids:
            raise DataError(f"image {image_id} has two objects `{row['id']}`; give each its own number")
        ids.add(row["id"])
    for row in relationship_rows:
        if not all(isinstance(row.get(key), str) for key in ("subject", "predicate", "object")):
            expected = GRAPH_COLUMNS["relationships"]
            raise DataError(f"image {image_id}: {json.dumps(row)} is no relationship; expected {expected}")
        for end in (row["subject"], row["object"]):
            if end not in ids:
                raise DataError(f"image {image_id}: a relationship names `{end}`, which is no object of the image")
    return object_rows, relationship_rows


def _json_list(image_id: str, column: str, text: str | None) -> list[dict[str, Any]]:
    if text is None:
        raise DataError(f"image {image_id}: column `{column}` is null; write `[]` where there are none")
    try:
        value = json.loads(text)
    except NOT_JSON as error:
        raise DataError(f"image {image_id}: column `{column}` is no JSON: {error}") from error
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise DataError(f"image {image_id}: column `{column}` is no list of rows; expected {GRAPH_COLUMNS[column]}")
    return value


def dataset_fingerprint(dataset: str) -> str | None:
    """16 hex digits that change with a data set's folder; None for a name on the hub. Raises `DataError`."""
    try:
        return folder_fingerprint(Path(dataset), DATA_FILES) if Path(dataset).is_dir() else None
    except OSError as error:
        raise DataError(f"cannot read `{error.filename}`: {error.strerror}; make it readable") from error
