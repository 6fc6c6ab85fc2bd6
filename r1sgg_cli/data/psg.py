"""The PSG layout (`psg.json`): panoptic segments of COCO photos with boxes and relations, as OpenPSG publishes them.

Boxes are `xyxy` in pixels (one public converter reads them as `xywh`; that is its mistake). Category and predicate
indices count from 0; an image is for testing if `test_image_ids` names it, as a number or as a string. Whatever had to
be left out or mended is counted, never silent.
"""

import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from r1sgg_cli.data.rows import Row, make_row
from r1sgg_cli.errors import DataError
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet
from r1sgg_cli.scene_graph.labels import object_name
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, vocabulary_from_names

CLASSES = ("thing_classes", "stuff_classes", "predicate_classes")
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class PSGImage:
    """One annotated image; the graph's space is the size that the annotation states."""

    image_id: str
    path: Path
    graph: SceneGraph
    is_test: bool


@dataclass(frozen=True, slots=True)
class PSGAnnotations:
    """Everything usable in a PSG file."""

    images: tuple[PSGImage, ...]
    vocabulary: Vocabulary
    repairs: Counter[str]
    """How often each kind of fault was met; `psg_rows` adds to it."""


def load_psg(annotations: Path, images: Path) -> PSGAnnotations:
    """The images of a PSG file that have a relation and a file below `images`. Raises `DataError`."""
    content = _load_content(annotations)
    objects = [*content["thing_classes"], *content["stuff_classes"]]
    vocabulary = vocabulary_from_names(objects, content["predicate_classes"], f"`{annotations}`")
    test_ids = {str(image_id) for image_id in content["test_image_ids"]}
    repairs: Counter[str] = Counter()
    found: dict[str, PSGImage] = {}
    for number, entry in enumerate(content["data"]):
        try:
            graph = _graph_of(entry, vocabulary, repairs)
            path, image_id = images / entry["file_name"], str(entry["image_id"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(f"`{annotations}`: entry {number} of `data` is not in PSG's layout: {error!r}") from error
        if not graph.triplets:
            repairs["image without a relation left out"] += 1
        elif not path.is_file():
            repairs["image without a file left out"] += 1
        elif image_id in found:
            repairs["image with an id used before left out"] += 1
        else:
            found[image_id] = PSGImage(image_id, path, graph, image_id in test_ids)
    if not found:
        faults = ", ".join(f"{fault}: {count}" for fault, count in repairs.items())
        raise DataError(f"`{annotations}` has no usable image ({faults}); is `--images {images}` the right folder?")
    return PSGAnnotations(tuple(found.values()), vocabulary, repairs)


def _load_content(annotations: Path) -> dict[str, Any]:
    try:
        content = json.loads(annotations.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read `{annotations}`: {error.strerror}; give `synthetic` or a PSG file") from error
    except ValueError as error:
        raise DataError(f"`{annotations}` is not JSON: {error}") from error
    content = {"test_image_ids": [], **content} if isinstance(content, dict) else {}
    for key in ("data", *CLASSES, "test_image_ids"):
        if not isinstance(content.get(key), list):
            raise DataError(f"`{annotations}` is not in PSG's layout: it has no list `{key}`")
    for key in CLASSES:
        if not all(isinstance(name, str) for name in content[key]):
            raise DataError(f'`{annotations}`: `{key}` must list names, as in ["person", "bike"], and nothing else')
    return content


def _graph_of(entry: Mapping[str, Any], vocabulary: Vocabulary, repairs: Counter[str]) -> SceneGraph:
    """The graph of one entry, without empty boxes, self relations and repetitions."""
    space_wh = (float(entry["width"]), float(entry["height"]))
    names = [_at(vocabulary.written_objects, a["category_id"], "category") for a in entry["annotations"]]
    given = np.array([annotation["bbox"] for annotation in entry["annotations"]], dtype=np.float64).reshape(-1, 4)
    boxes = np.clip(given, 0.0, np.array(space_wh * 2))
    repairs["box clipped to its image"] += int((boxes != given).any(axis=1).sum())
    solid: list[bool] = np.all(boxes[:, 2:] > boxes[:, :2], axis=1).tolist()
    repairs["empty box left out"] += solid.count(False)
    new_index = np.cumsum(solid) - 1
    ids = tuple(
        f"{name}.{number}" for number, name in enumerate((n for n, s in zip(names, solid, strict=True) if s), 1)
    )
    triplets: dict[Triplet, None] = {}  # a set that keeps its order
    for subject, object_, predicate in entry["relations"]:
        ends_solid = (_at(solid, subject, "subject"), _at(solid, object_, "object"))
        label = _at(vocabulary.predicates, predicate, "predicate")
        if subject == object_:
            repairs["relation of an object with itself left out"] += 1
        elif not all(ends_solid):
            repairs["relation of an empty box left out"] += 1
        else:
            triplet = Triplet(int(new_index[subject]), label, int(new_index[object_]))
            repairs["repeated relation left out"] += triplet in triplets
            triplets[triplet] = None
    return SceneGraph(ids, tuple(map(object_name, ids)), boxes[solid], tuple(triplets), space_wh)


def _at(items: Sequence[Item], index: int, what: str) -> Item:
    """The item that an index from 0 names; Python would take -1 for the last one."""
    if not 0 <= index < len(items):
        raise ValueError(f"{what} {index} is none of 0 to {len(items) - 1}")
    return items[index]


def psg_rows(images: Iterable[PSGImage], repairs: Counter[str]) -> Iterator[Row]:
    """The rows of these images, files as they are; boxes follow the file's size where the annotation states another."""
    for image in images:
        try:
            content = image.path.read_bytes()
        except OSError as error:
            raise DataError(f"cannot read the image `{image.path}`: {error.strerror}") from error
        try:
            with Image.open(io.BytesIO(content)) as opened:
                width, height = opened.size
        except UnidentifiedImageError:
            repairs["unreadable image left out"] += 1
            continue
        graph = image.graph
        if graph.space_wh != (width, height):
            repairs["boxes scaled to the file's size"] += 1
            graph = graph.rescaled((float(width), float(height)))
        yield make_row(image.image_id, content, graph)
