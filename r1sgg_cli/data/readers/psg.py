"""PSG (`psg.json`): panoptic segments of COCO photos with boxes and relations, as OpenPSG publishes them.

Boxes are `xyxy` in pixels (one public converter reads them as `xywh`; that is its mistake). Category and predicate
indices count from 0; an image is for testing if `test_image_ids` names it, as a number or as a string. The lists of
classes may stand behind the images in the file, which is streamed once for each of them.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from r1sgg_cli.data.annotations import AnnotatedImage, AnnotatedObject, AnnotatedRelationship, AnnotationSource
from r1sgg_cli.data.readers.json_files import (
    name_at,
    num_occurrences,
    stream_items,
    summed,
    translating,
    xyxy_from_xywh,
)
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.errors import DataError
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, vocabulary_from_names

CLASSES = ("thing_classes", "stuff_classes", "predicate_classes")
XYWH_ABSOLUTE = 1
"""detectron2's `BoxMode`, which some files state per box; 0 is xyxy."""


def open_psg(path: Path, options: ReadOptions) -> AnnotationSource:
    """A PSG file, or the folder that holds one and no other. Raises `DataError`."""
    if path.is_dir():
        found = [file for file in sorted(path.glob("*.json")) if num_occurrences(file, b'"thing_classes"')]
        if len(found) != 1:
            listed = ", ".join(f"`{file.name}`" for file in found) or "none"
            raise DataError(f"`{path}` must hold one file in PSG's layout; it has {listed}: name the file itself")
        path = found[0]
    classes = {key: list(stream_items(path, f"{key}.item")) for key in CLASSES}
    for key, names in classes.items():
        if not names:
            raise DataError(f"`{path}` is not in PSG's layout: it has no list `{key}`")
        if not all(isinstance(name, str) for name in names):
            raise DataError(f'`{path}`: `{key}` must list names, as in ["person", "bike"], and nothing else')
    test_ids = frozenset(str(image_id) for image_id in stream_items(path, "test_image_ids.item"))
    vocabulary = vocabulary_from_names(
        [*classes["thing_classes"], *classes["stuff_classes"]], classes["predicate_classes"], f"`{path}`"
    )
    splits = ((_split_of_image(image_id, test_ids), 1) for image_id in stream_items(path, "data.item.image_id"))
    return AnnotationSource(
        layout="psg",
        files=(path,),
        images_dir=options.images_dir or path.parent,
        read=partial(_read, path, vocabulary, test_ids),
        num_images=summed(splits),
        vocabulary=vocabulary,
    )


def _read(path: Path, vocabulary: Vocabulary, test_ids: frozenset[str]) -> Iterator[AnnotatedImage]:
    for number, entry in enumerate(stream_items(path, "data.item")):
        with translating(path, "entry", f"{number} of `data`"):
            image = _image(entry, vocabulary, test_ids)
        yield image


def _split_of_image(image_id: Any, test_ids: frozenset[str]) -> str:
    return "test" if str(image_id) in test_ids else "train"


def _image(entry: Mapping[str, Any], vocabulary: Vocabulary, test_ids: frozenset[str]) -> AnnotatedImage:
    image_id = str(entry["image_id"])
    return AnnotatedImage(
        image_id=image_id,
        split=_split_of_image(image_id, test_ids),
        image=(str(entry["file_name"]), Path(entry["file_name"]).name),
        image_wh=(int(entry["width"]), int(entry["height"])),
        objects=tuple(
            AnnotatedObject(key, name_at(vocabulary.written_objects, annotation["category_id"]), _box(annotation))
            for key, annotation in enumerate(entry["annotations"])
        ),
        relationships=tuple(
            AnnotatedRelationship(subject, name_at(vocabulary.written_predicates, predicate), target)
            for subject, target, predicate in entry["relations"]
        ),
    )


def _box(annotation: Mapping[str, Any]) -> Any:
    box = annotation["bbox"]
    return xyxy_from_xywh(box) if annotation.get("bbox_mode") == XYWH_ABSOLUTE else box
