"""COCO annotations with relationships, in two flavours.

SGG-Benchmark: `<split>/_annotations.coco.json`, COCO's own lists and `rel_categories`, `rel_annotations`; a
relationship names annotations by their id in the whole file, and ids may start at 0.

RelTR: `train.json`, `val.json`, `test.json` in COCO's layout beside `rel.json`; a relationship names annotations by
their place among those of its image, and predicates by their place in `rel_categories`.

The lists of a COCO file are flat and in any order, so the annotations of one file are held in memory at a time, about
400 bytes each.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from r1sgg_cli.data.annotations import (
    AnnotatedImage,
    AnnotatedObject,
    AnnotatedRelationship,
    AnnotationSource,
    StrayAnnotations,
)
from r1sgg_cli.data.readers.json_files import (
    load_json,
    name_at,
    num_occurrences,
    split_of,
    stream_items,
    summed,
    translating,
    xyxy_from_xywh,
)
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.errors import DataError
from r1sgg_cli.scene_graph.labels import normalise_label
from r1sgg_cli.scene_graph.vocabulary import vocabulary_from_names

SGG_BENCHMARK_FILE = "_annotations.coco.json"
BACKGROUND = "__background__"
SPLITS = ("train", "val", "test")


def open_coco_rel(path: Path, options: ReadOptions) -> AnnotationSource:
    """A folder of either flavour, or one of its annotation files. Raises `DataError`."""
    folder = path if path.is_dir() else path.parent
    rel_file = folder / "rel.json"
    is_reltr = rel_file.is_file()
    if path.is_file() and path != rel_file:
        files = [path]
    elif is_reltr:
        files = [file for file in (folder / f"{split}.json" for split in SPLITS) if file.is_file()]
    else:
        files = sorted(path.glob(f"*/{SGG_BENCHMARK_FILE}")) or sorted(path.glob("*.json"))
    if not files:
        needed = (
            "`train.json`, `val.json` or `test.json` beside `rel.json`" if is_reltr else f"`*/{SGG_BENCHMARK_FILE}`"
        )
        raise DataError(f"`{folder}` holds no {needed}")
    files.sort(key=lambda file: SPLITS.index(split) if (split := _split_of_file(file)) in SPLITS else len(SPLITS))
    if is_reltr:
        predicates, relationships_of = _open_rel_file(rel_file)
    else:
        predicates = [name for file in files for name in _names(file, "rel_categories").values()]
        relationships_of = _relationships_by_id
    objects = [name for file in files for name in _names(file, "categories").values()]
    anew = _ids_start_anew(files)
    return AnnotationSource(
        layout="coco-rel",
        files=(*files, *([rel_file] if is_reltr else [])),
        images_dir=options.images_dir or folder,
        read=partial(_read, files, relationships_of, anew),
        num_images=summed((_split_of_file(file), num_occurrences(file, b'"file_name"')) for file in files),
        vocabulary=vocabulary_from_names(_distinct(objects), _distinct(predicates), f"`{folder}`"),
        details={"splits_of_files": [_split_of_file(file) for file in files]},
        notes=("image ids start anew in each file: they are written with their split, as in `train-1`",)
        if anew
        else (),
    )


def _distinct(names: Sequence[str]) -> list[str]:
    """The first spelling of each name, without the background class."""
    spellings = {normalise_label(name): name for name in reversed(names) if name != BACKGROUND}
    return [name for name in dict.fromkeys(names) if spellings.get(normalise_label(name)) == name]


def _names(path: Path, prefix: str) -> dict[str, str]:
    """Id → name of a COCO list of categories. Ids are compared as text: files write `5` and `"5"`."""
    names: dict[str, str] = {}
    for number, entry in enumerate(stream_items(path, f"{prefix}.item")):
        with translating(path, f"entry {number} of", f"`{prefix}`"):
            names[str(entry["id"])] = str(entry["name"])
    if not names:
        raise DataError(f"`{path}` has no list `{prefix}`, which this layout needs")
    return names


def _split_of_file(file: Path) -> str:
    """Of `train.json` by its name, of `train/_annotations.coco.json` by its folder's, whatever that is."""
    if file.name != SGG_BENCHMARK_FILE:
        return split_of(file.stem)
    return split_of(file.parent.name, default=re.sub(r"\W", "_", file.parent.name) or "train")


def _ids_start_anew(files: Sequence[Path]) -> bool:
    """Whether two files use one image id, which then are two images."""
    seen: set[str] = set()
    for file in files:
        own = {image_id for image_id, _, _ in _images(file)}
        if seen & own:
            return True
        seen |= own
    return False


def _open_rel_file(path: Path) -> tuple[list[str], "RelationshipsOf"]:
    """RelTR's predicates, and what finds the relationships of one of its files."""
    content = load_json(path)
    with translating(path, "the list", "`rel_categories`"):
        predicates = [str(name) for name in content["rel_categories"]]
    return predicates, partial(_relationships_by_place, content, predicates)


Objects = Mapping[str, list[AnnotatedObject]]
"""By image id, in the file's order; so are relationships."""
Relationships = Mapping[str, list[AnnotatedRelationship]]


RelationshipsOf = Callable[[Path, Objects], tuple[Relationships, int]]
"""From a file and its objects to their relationships, and the number of those that belong to no image."""


def _read(
    files: Sequence[Path], relationships_of: RelationshipsOf, ids_start_anew: bool
) -> Iterator[AnnotatedImage | StrayAnnotations]:
    for file in files:
        split = _split_of_file(file)
        images = list(_images(file))
        objects, num_stray = _annotations(file, [image_id for image_id, _, _ in images])
        relationships, num_stray_too = relationships_of(file, objects)
        if num_stray + num_stray_too:
            yield StrayAnnotations(f"{file.parent.name}/{file.name}", num_stray + num_stray_too)
        for image_id, image_wh, name in images:
            yield AnnotatedImage(
                image_id=f"{split}-{image_id}" if ids_start_anew else image_id,
                split=split,
                image=tuple(dict.fromkeys((f"{file.parent.name}/{name}", name, Path(name).name))),
                image_wh=image_wh,
                objects=tuple(objects[image_id]),
                relationships=tuple(relationships.get(image_id, ())),
            )


def _images(file: Path) -> Iterator[tuple[str, tuple[int, int], str]]:
    for number, entry in enumerate(stream_items(file, "images.item")):
        with translating(file, f"entry {number} of", "`images`"):
            found = (str(entry["id"]), (int(entry["width"]), int(entry["height"])), str(entry["file_name"]))
        yield found


def _annotations(file: Path, image_ids: Sequence[str]) -> tuple[Objects, int]:
    """The objects of every image, and how many belong to none."""
    names = _names(file, "categories")
    found: dict[str, list[AnnotatedObject]] = {image_id: [] for image_id in image_ids}
    num_stray = 0
    for number, entry in enumerate(stream_items(file, "annotations.item")):
        with translating(file, f"entry {number} of", "`annotations`"):
            category = str(entry["category_id"])
            row = AnnotatedObject(str(entry["id"]), names.get(category, f"#{category}"), xyxy_from_xywh(entry["bbox"]))
            of_image = found.get(str(entry["image_id"]))
        if of_image is None:
            num_stray += 1
        else:
            of_image.append(row)
    return found, num_stray


def _relationships_by_id(file: Path, objects: Objects) -> tuple[Relationships, int]:
    """SGG-Benchmark: ends are annotation ids already."""
    names = _names(file, "rel_categories")
    image_of = {row.key: image_id for image_id, rows in objects.items() for row in rows}
    found: dict[str, list[AnnotatedRelationship]] = {image_id: [] for image_id in objects}
    num_stray = 0
    for number, entry in enumerate(stream_items(file, "rel_annotations.item")):
        with translating(file, f"entry {number} of", "`rel_annotations`"):
            subject, target = str(entry["subject_id"]), str(entry["object_id"])
            predicate = names.get(str(entry["predicate_id"]), f"#{entry['predicate_id']}")
            of_image = found.get(str(entry["image_id"] if "image_id" in entry else image_of.get(subject)))
        if of_image is None:
            num_stray += 1
        else:
            of_image.append(AnnotatedRelationship(subject, predicate, target))
    return found, num_stray


def _relationships_by_place(
    content: Mapping[str, Any], predicates: Sequence[str], file: Path, objects: Objects
) -> tuple[Relationships, int]:
    """RelTR: ends are places among the image's annotations."""
    split = _split_of_file(file)
    with translating(file, "the relationships of split", f"`{split}` in `rel.json`"):
        by_image = {str(image_id): list(rows) for image_id, rows in content.get(split, {}).items()}
    found: dict[str, list[AnnotatedRelationship]] = {}
    for image_id, rows in objects.items():
        keys = [row.key for row in rows]
        with translating(file, "the relationships of image", f"`{image_id}` in `rel.json`"):
            found[image_id] = [
                AnnotatedRelationship(_key_at(keys, subject), name_at(predicates, predicate), _key_at(keys, target))
                for subject, target, predicate in by_image.get(image_id, ())
            ]
    return found, sum(len(rows) for image_id, rows in by_image.items() if image_id not in objects)


def _key_at(keys: Sequence[Any], place: int) -> Any:
    return keys[place] if 0 <= place < len(keys) else f"place {place}"
