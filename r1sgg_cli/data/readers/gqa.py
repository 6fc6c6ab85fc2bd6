"""GQA (`train_sceneGraphs.json`, `val_sceneGraphs.json`): objects with relations that hang on their subject.

Boxes are a corner and a size in pixels. Most edges say left or right, often in both directions: they are kept, since
the annotation is what it is; `--vocabulary` with other predicates leaves them out.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from r1sgg_cli.data.annotations import AnnotatedImage, AnnotatedObject, AnnotatedRelationship, AnnotationSource
from r1sgg_cli.data.readers.json_files import (
    label_of,
    num_occurrences,
    split_of,
    stream_pairs,
    summed,
    translating,
    xyxy_from_xywh,
)
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.errors import DataError


def open_gqa(path: Path, options: ReadOptions) -> AnnotationSource:
    """One scene-graph file, or a folder of them. Raises `DataError`."""
    files = sorted(path.glob("*sceneGraphs*.json")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"`{path}` holds no `*sceneGraphs*.json`; give GQA's folder or one of those files")
    return AnnotationSource(
        layout="gqa",
        files=tuple(files),
        images_dir=options.images_dir or files[0].parent,
        read=partial(_read, files),
        num_images=summed((split_of(file.name), num_occurrences(file, b'"objects"')) for file in files),
    )


def _read(files: Sequence[Path]) -> Iterator[AnnotatedImage]:
    for file in files:
        split = split_of(file.name)
        for image_id, entry in stream_pairs(file):
            with translating(file, "image", f"`{image_id}`"):
                image = _image(image_id, entry, split)
            yield image


def _image(image_id: str, entry: Mapping[str, Any], split: str) -> AnnotatedImage:
    objects = entry["objects"]
    return AnnotatedImage(
        image_id=image_id,
        split=split,
        image=(f"{image_id}.jpg",),
        image_wh=(int(entry["width"]), int(entry["height"])),
        objects=tuple(
            AnnotatedObject(key, label_of(item["name"]), xyxy_from_xywh([item["x"], item["y"], item["w"], item["h"]]))
            for key, item in objects.items()
        ),
        relationships=tuple(
            AnnotatedRelationship(key, label_of(relation["name"]), str(relation["object"]))
            for key, item in objects.items()
            for relation in item.get("relations", ())
        ),
    )
