"""COCO annotations with relationships, in two flavours.

SGG-Benchmark: `<split>/_annotations.coco.json`, COCO's own lists and `rel_categories`, `rel_annotations`; a
relationship names annotations by their id in the whole file, and ids may start at 0.

RelTR: `train.json`, `val.json`, `test.json` in COCO's layout beside `rel.json`; a relationship names annotations by
their place among those of its image, and predicates by their place in `rel_categories`.

The lists of a COCO file are flat and in any order, so the annotations of one file are held in memory at a time, about
400 bytes each. Annotations of images that the file does not list are counted with its last image.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from r1sgg_cli.data.annotations import AnnotatedImage, AnnotatedObject, AnnotatedRelationship, AnnotationSource
from r1sgg_cli.data.readers.json_files import (
    load_json,
    name_at,
    num_occurrences,
    split_of,
    stream_items,
    translating,
    xyxy_from_xywh,
)
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.errors import DataError
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, vocabulary_from_names

SGG_BENCHMARK_FILE = "_annotations.coco.json"
BACKGROUND = "__background__"


def open_coco_rel(path: Path, options: ReadOptions) -> AnnotationSource:
    """A folder of either flavour, or one of its annotation files. Raises `DataError`."""
    folder = path if path.is_dir() else path.parent
    if (folder / "rel.json").is_file():
        files = [path] if path.is_file() and path.name != "rel.json" else _reltr_files(folder)
        return _open_reltr(files, folder / "rel.json", options)
    files = [path] if path.is_file() else sorted(path.glob(f"*/{SGG_BENCHMARK_FILE}")) or sorted(path.glob("*.json"))
    if not files:
        raise DataError(f"`{path}` holds no `<split>/{SGG_BENCHMARK_FILE}`, nor `rel.json` beside `train.json`")
    return _open_sgg_benchmark(files, options, folder)


def _reltr_files(folder: Path) -> list[Path]:
    files = [folder / f"{split}.json" for split in ("train", "val", "test")]
    found = [file for file in files if file.is_file()]
    if not found:
        raise DataError(f"`{folder}` has `rel.json` but neither `train.json`, `val.json` nor `test.json`")
    return found


def _names(path: Path, prefix: str) -> dict[Any, str]:
    """Id → name of a COCO list of categories."""
    names: dict[Any, str] = {}
    for number, entry in enumerate(stream_items(path, f"{prefix}.item")):
        with translating(path, f"entry {number} of", f"`{prefix}`"):
            names[entry["id"]] = str(entry["name"])
    if not names:
        raise DataError(f"`{path}` has no list `{prefix}`, which this layout needs")
    return names


def _vocabulary(objects: Sequence[str], predicates: Sequence[str], path: Path) -> Vocabulary:
    """Names as the file lists them, without the background class."""
    objects, predicates = ([name for name in names if name != BACKGROUND] for names in (objects, predicates))
    return vocabulary_from_names(objects, predicates, f"`{path}`")


def _split_of_file(file: Path) -> str:
    """Of `train.json` by its name, of `train/_annotations.coco.json` by its folder's."""
    return split_of(file.parent.name if file.name == SGG_BENCHMARK_FILE else file.stem)


def _open_sgg_benchmark(files: Sequence[Path], options: ReadOptions, folder: Path) -> AnnotationSource:
    objects, predicates = _names(files[0], "categories"), _names(files[0], "rel_categories")
    return AnnotationSource(
        layout="coco-rel",
        files=tuple(files),
        images_dir=options.images_dir or folder,
        read=partial(_read, files, _relationships_by_id),
        num_images=_num_images(files),
        vocabulary=_vocabulary(list(objects.values()), list(predicates.values()), files[0]),
        details={"splits_of_files": [_split_of_file(file) for file in files]},
    )


def _num_images(files: Sequence[Path]) -> dict[str, int]:
    found: dict[str, int] = {}
    for file in files:
        split = _split_of_file(file)
        found[split] = found.get(split, 0) + num_occurrences(file, b'"file_name"')
    return found


def _open_reltr(files: Sequence[Path], rel_file: Path, options: ReadOptions) -> AnnotationSource:
    content = load_json(rel_file)
    with translating(rel_file, "the list", "`rel_categories`"):
        predicates = [str(name) for name in content["rel_categories"]]
    return AnnotationSource(
        layout="coco-rel",
        files=(*files, rel_file),
        images_dir=options.images_dir or rel_file.parent,
        read=partial(_read, files, partial(_relationships_by_place, content, predicates)),
        num_images=_num_images(files),
        vocabulary=_vocabulary(list(_names(files[0], "categories").values()), predicates, rel_file),
    )


Objects = Mapping[str, list[AnnotatedObject]]
"""By image id, in the file's order; so are relationships."""
Relationships = Mapping[str, list[AnnotatedRelationship]]


def _read(
    files: Sequence[Path], relationships_of: Callable[[Path, Objects], tuple[Relationships, int]]
) -> Iterator[AnnotatedImage]:
    for file in files:
        images = list(_images(file))
        objects, num_stray = _annotations(file, [image_id for image_id, _, _ in images])
        relationships, num_stray_too = relationships_of(file, objects)
        split = _split_of_file(file)
        for number, (image_id, image_wh, name) in enumerate(images, start=1):
            stray = num_stray + num_stray_too if number == len(images) else 0
            yield AnnotatedImage(
                image_id=image_id,
                split=split,
                image=tuple(dict.fromkeys((name, f"{file.parent.name}/{name}", f"images/{name}", Path(name).name))),
                image_wh=image_wh,
                objects=tuple(objects[image_id]),
                relationships=tuple(relationships.get(image_id, ())),
                faults={"stray_annotation": stray} if stray else {},
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
            category = entry["category_id"]
            row = AnnotatedObject(entry["id"], names.get(category, f"#{category}"), xyxy_from_xywh(entry["bbox"]))
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
            subject, target = entry["subject_id"], entry["object_id"]
            predicate = names.get(entry["predicate_id"], f"#{entry['predicate_id']}")
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
    by_image = content.get(_split_of_file(file), {})
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
