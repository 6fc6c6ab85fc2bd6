"""Which layout a path holds: by the names of its files where they are the published ones, else by what is in them."""

from pathlib import Path

from r1sgg_cli.data.readers.json_files import first_events, num_occurrences, reading
from r1sgg_cli.errors import DataError

FILE_PATTERNS = (
    ("rows", ("dataset_dict.json", "state.json", "*.parquet", "*/*.parquet")),
    ("vg150-h5", ("*.h5", "*.hdf5")),
    ("open-images", ("*vrd*.csv", "vrd-*-anno.json")),
    ("gqa", ("*sceneGraphs*.json",)),
    ("coco-rel", ("*/_annotations.coco.json", "_annotations.coco.json", "rel.json")),
    ("visual-genome", ("scene_graphs.json", "relationships.json")),
    ("jsonl", ("*.jsonl",)),
)
"""Layout → the files that tell it, in the order in which they are looked for."""

PSG_KEYS = {"data", "thing_classes", "stuff_classes", "predicate_classes"}
"""Keys of a JSON object, any two of which tell PSG: its files come under many names."""


def detect_layout(path: Path) -> tuple[str, Path]:
    """Layout and the path to open it by. Raises `DataError` where it is none that is known."""
    if path.is_dir():
        for layout, patterns in FILE_PATTERNS:
            if any(any(path.glob(pattern)) for pattern in patterns):
                return layout, path
        for file in sorted(path.glob("*.json")):
            if told := _layout_of_json(file):
                return told, file
    elif path.is_file():
        for layout, patterns in FILE_PATTERNS[1:]:
            if any(path.match(pattern) for pattern in patterns):
                return layout, path
        if path.suffix == ".csv" and "LabelName1" in _first_line(path):
            return "open-images", path
        if path.suffix == ".json" and (told := _layout_of_json(path)):
            return told, path
    known = ", ".join(("psg", *(layout for layout, _ in FILE_PATTERNS[1:])))
    raise DataError(
        f"`{path}` is in no layout that is known by its files ({known}); if it is one of them, "
        f"name it, as in `r1sgg prepare psg {path} --out DIR`"
    )


def _first_line(path: Path) -> str:
    with reading(path), path.open(encoding="utf-8") as file:
        return file.readline()


def _layout_of_json(path: Path) -> str | None:
    events = first_events(path)
    top = {prefix for prefix, event in events if event != "map_key" and "." not in prefix and prefix}
    if len(top & PSG_KEYS) >= 2:
        return "psg"
    if {"images", "annotations", "categories"} & top and num_occurrences(path, b'"rel_categories"'):
        return "coco-rel"
    prefixes = {prefix for prefix, _ in events}
    if "item.img_fn" in prefixes:
        return "open-images"
    if {"item.relationships", "item.objects"} & prefixes:
        return "visual-genome"
    if any(prefix.endswith(".relations.item.object") for prefix in prefixes):
        return "gqa"
    if "data.item.segments_info" in prefixes or "data.item.relations" in prefixes:
        return "psg"
    return "coco-rel" if (path.parent / "rel.json").is_file() else None
