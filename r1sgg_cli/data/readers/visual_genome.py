"""Raw Visual Genome, versions 1.0, 1.2 and 1.4: `objects.json` beside `relationships.json`, or `scene_graphs.json`.

1. The two files are read side by side and joined by image id; memory holds only what has not met its partner yet.
2. Ends of a relationship may be missing from the list of objects (half of them in 1.0): they carry their own name and
   box and become objects. In 1.4 an end may name an object that was merged into another: that other one is taken.
3. Names are free text in mixed case: they are written in lower case. A thing with several names keeps the first.
4. The layout has no splits: every image is for training, unless `--test-share` holds some out.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from r1sgg_cli.data.annotations import AnnotatedImage, AnnotatedObject, AnnotatedRelationship, AnnotationSource
from r1sgg_cli.data.readers.json_files import label_of, num_occurrences, stream_items, translating, xyxy_from_xywh
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.errors import DataError

FOLDERS = ("", "VG_100K/", "VG_100K_2/")
"""Where Visual Genome's photos lie below the folder of images, by habit."""

ImageFacts = tuple[tuple[int, int] | None, str]
"""Size and file name."""


def open_visual_genome(path: Path, options: ReadOptions) -> AnnotationSource:
    """A folder with Visual Genome's files, or one of them. Raises `DataError`."""
    folder = path if path.is_dir() else path.parent
    graphs = folder / "scene_graphs.json"
    pair = (folder / "objects.json", folder / "relationships.json")
    files = (graphs,) if path == graphs or not all(file.is_file() for file in pair) else pair
    if not all(file.is_file() for file in files):
        raise DataError(f"`{folder}` lacks `objects.json` and `relationships.json`, or `scene_graphs.json`")
    facts_file = folder / "image_data.json"
    facts = _image_facts(facts_file) if facts_file.is_file() else {}
    total = len(facts) or num_occurrences(files[0], b'"objects"')
    return AnnotationSource(
        layout="visual-genome",
        files=(*files, *([facts_file] if facts else [])),
        images_dir=options.images_dir or folder,
        read=partial(_read, files, facts),
        num_images={"train": total},
        notes=() if facts else ("no `image_data.json`: image sizes are taken from the files",),
    )


def _image_facts(path: Path) -> dict[str, ImageFacts]:
    facts: dict[str, ImageFacts] = {}
    for number, entry in enumerate(stream_items(path, "item")):
        with translating(path, "entry", number):
            image_id = _image_id(entry)
            name = PurePosixPath(str(entry.get("url") or f"{image_id}.jpg")).name
            facts[image_id] = ((int(entry["width"]), int(entry["height"])), name)
    return facts


def _read(files: tuple[Path, ...], facts: Mapping[str, ImageFacts]) -> Iterator[AnnotatedImage]:
    left = dict.fromkeys(facts)
    for image_id, objects, relationships in _joined(files):
        left.pop(image_id, None)
        with translating(files[-1], "image", f"`{image_id}`"):
            image = _image(image_id, objects, relationships, facts)
        yield image
    for image_id in left:  # without an annotation
        yield _image(image_id, [], [], facts)


def _joined(files: tuple[Path, ...]) -> Iterator[tuple[str, list[Any], list[Any]]]:
    """Image id, objects and relationships of every image."""
    if len(files) == 1:
        for number, entry in enumerate(stream_items(files[0], "item")):
            with translating(files[0], "entry", number):
                found = (_image_id(entry), entry["objects"], entry["relationships"])
            yield found
        return
    objects = _entries(files[0], "objects")
    relationships = _entries(files[1], "relationships")
    waiting: tuple[dict[str, list[Any]], dict[str, list[Any]]] = ({}, {})
    streams = (objects, relationships)
    open_sides = [0, 1]
    while open_sides:
        for side in tuple(open_sides):
            image_id, items = next(streams[side], (None, []))
            if image_id is None:
                open_sides.remove(side)
            elif image_id in waiting[1 - side]:
                partner = waiting[1 - side].pop(image_id)
                yield (image_id, items, partner) if side == 0 else (image_id, partner, items)
            else:
                waiting[side][image_id] = items
    yield from ((image_id, items, []) for image_id, items in waiting[0].items())
    yield from ((image_id, [], items) for image_id, items in waiting[1].items())


def _entries(path: Path, key: str) -> Iterator[tuple[str | None, list[Any]]]:
    for number, entry in enumerate(stream_items(path, "item")):
        with translating(path, "entry", number):
            found = (_image_id(entry), entry[key])
        yield found


def _image_id(entry: Mapping[str, Any]) -> str:
    return str(entry["image_id"] if "image_id" in entry else entry["id"])


def _image(
    image_id: str, objects: list[Any], relationships: list[Any], facts: Mapping[str, ImageFacts]
) -> AnnotatedImage:
    image_wh, name = facts.get(image_id, (None, f"{image_id}.jpg"))
    kept = [_object(item) for item in objects]
    keys = {key for key, _, _ in kept}
    merged = {old: _key(item) for item in objects for old in item.get("merged_object_ids", ())}
    faults = {"merged_end": 0, "added_end": 0}
    triplets = []
    for relationship in relationships:
        ends = []
        for side in ("subject", "object"):
            key = relationship.get(f"{side}_id")
            end = relationship[side] if key is None else {"object_id": key}
            key = _key(end)
            if key not in keys and key in merged:
                faults["merged_end"] += 1
                key = merged[key]
            elif key not in keys and "w" in end:
                faults["added_end"] += 1
                kept.append(_object(end))
                keys.add(key)
            ends.append(key)
        triplets.append(AnnotatedRelationship(ends[0], _lower(relationship["predicate"]), ends[1]))
    return AnnotatedImage(
        image_id=image_id,
        split="train",
        image=tuple(folder + name for folder in FOLDERS),
        image_wh=image_wh,
        objects=tuple(kept),
        relationships=tuple(triplets),
        faults={kind: count for kind, count in faults.items() if count},
    )


def _key(item: Mapping[str, Any]) -> Any:
    return item["object_id"] if "object_id" in item else item["id"]


def _object(item: Mapping[str, Any]) -> AnnotatedObject:
    names = item.get("names") or item.get("name")
    name = names[0] if isinstance(names, list) else names
    return AnnotatedObject(_key(item), _lower(name), xyxy_from_xywh([item["x"], item["y"], item["w"], item["h"]]))


def _lower(name: Any) -> str:
    return " ".join(label_of(name).lower().split())
