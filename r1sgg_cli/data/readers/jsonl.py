"""Own images, one JSON object a line; the README states the schema.

    {"image": "photos/1.jpg", "objects": [{"id": "person.1", "bbox": [x1, y1, x2, y2]}, …],
     "relationships": [{"subject": "person.1", "predicate": "riding", "object": "bike.2"}, …]}

Optional: `image_id` (else the image's path), `split` (else by the file's name, else train), `width` and `height`, an
object's `name` (else its id without the number), `prompt_open` and `prompt_close`. Boxes are pixels of the picture.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from r1sgg_cli.data.annotations import AnnotatedImage, AnnotatedObject, AnnotatedRelationship, AnnotationSource
from r1sgg_cli.data.readers.json_files import reading, split_of, summed, translating
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.errors import DataError
from r1sgg_cli.scene_graph.labels import written_name


def open_jsonl(path: Path, options: ReadOptions) -> AnnotationSource:
    """One `.jsonl` file, or a folder of them. Raises `DataError`."""
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"`{path}` holds no `.jsonl` file")
    return AnnotationSource(
        layout="jsonl",
        files=tuple(files),
        images_dir=options.images_dir or files[0].parent,
        read=partial(_read, files),
        num_images=summed((split, 1) for split, _ in _lines(files)),
    )


def _read(files: Sequence[Path]) -> Iterator[AnnotatedImage]:
    for _, image in _lines(files):
        yield image


def _lines(files: Sequence[Path]) -> Iterator[tuple[str, AnnotatedImage]]:
    for path in files:
        with reading(path), path.open(encoding="utf-8-sig") as file:  # some editors write a mark first
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                with translating(path, "line", number):
                    image = _image(_object_of(line), split_of(path.stem))
                yield image.split, image


def _object_of(line: str) -> Mapping[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise ValueError(f"it is no JSON ({error}); each line is one whole object") from error
    if not isinstance(value, dict):
        raise ValueError("each line is one JSON object")
    return value


def _image(entry: Mapping[str, Any], split: str) -> AnnotatedImage:
    size = (entry.get("width"), entry.get("height"))
    return AnnotatedImage(
        image_id=_text(str(entry["image"] if entry.get("image_id") is None else entry["image_id"])),
        split=_text(entry.get("split") or split).lower(),
        image=(_text(entry["image"]),),
        image_wh=None if None in size else (int(entry["width"]), int(entry["height"])),
        objects=tuple(_object(item) for item in entry["objects"]),
        relationships=tuple(
            AnnotatedRelationship(_text(row["subject"]), _text(row["predicate"]), _text(row["object"]))
            for row in entry.get("relationships", ())
        ),
        prompt_open=_text(entry.get("prompt_open", "")),
        prompt_close=_text(entry.get("prompt_close", "")),
    )


def _object(item: Mapping[str, Any]) -> AnnotatedObject:
    key = _text(item["id"])
    return AnnotatedObject(key, _text(item["name"]) if "name" in item else written_name(key), item["bbox"])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"`{json.dumps(value)}` is no text")
    value.encode()  # half a surrogate pair cannot be written
    return value
