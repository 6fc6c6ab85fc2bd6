"""VG150 as the field ships it: an h5 file of arrays, a JSON of names, and `image_data.json`.

1. Boxes are centre and size in pixels of the image scaled to 1024 on its longer side. Halves stay halves: the field's
   own readers cut them off, because they compute in whole numbers.
2. Row i of the arrays is entry i of `image_data.json` less four corrupted images; rows are counted before anyone asks
   which files are there, else every annotation behind a missing file would move to another image.
3. `split` knows train (0) and test (2). Validation is the first 5,000 training images, after those without a
   relationship are out, for the published file; `--num-val` says how many for any other.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from r1sgg_cli.data.annotations import AnnotatedImage, AnnotatedObject, AnnotatedRelationship, AnnotationSource
from r1sgg_cli.data.readers.json_files import load_json, name_at, translating
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.data.readers.visual_genome import FOLDERS
from r1sgg_cli.errors import DataError
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, vocabulary_from_names

CORRUPTED = frozenset({"1592", "1722", "4616", "4617"})
PUBLISHED_ROWS = 108_073
PUBLISHED_VAL = 5_000
PUBLISHED_IMAGES = {
    False: {"train": 57_723, "val": 5_000, "test": 26_446},
    True: {"train": 56_224, "val": 5_000, "test": 26_446},
}
"""With `filter_empty_rels`, as Scene-Graph-Benchmark and its successors report, without and with `filter_non_overlap`;
56,224 are the rows of R1-SGG's published training set."""
SPLITS = {0: "train", 1: "val", 2: "test"}

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Arrays:
    """The h5 file, flat."""

    boxes_cxcywh: NDArray[np.float64]
    labels: Integers
    """From 1."""
    pairs: Integers
    """Subject and object, as rows of `boxes_cxcywh`."""
    predicates: Integers
    """From 1."""
    box_range: Integers
    """First and last row of each image, both included; -1 where there is none. Shape (images, 2)."""
    rel_range: Integers
    split: Integers


def open_vg150(path: Path, options: ReadOptions) -> AnnotationSource:
    """The h5 file, or the folder in which it lies with its two JSON files. Raises `DataError`."""
    folder = path if path.is_dir() else path.parent
    h5 = (
        path
        if path.is_file() and path.suffix in (".h5", ".hdf5")
        else _one_of(folder, r".*\.(h5|hdf5)", "`VG-SGG*.h5`")
    )
    # `VG-SGG-with-attri.h5` belongs to `VG-SGG-dicts-with-attri.json`: both may lie beside `VG-SGG.h5` and its own.
    own_dicts = folder / f"{h5.stem.replace('VG-SGG', 'VG-SGG-dicts')}.json"
    dicts = own_dicts if own_dicts.is_file() else _one_of(folder, r".*dicts.*\.json", "`VG-SGG-dicts*.json`")
    image_data = _one_of(folder, r"image_data.*\.json", "`image_data.json`")
    arrays = _load_arrays(h5)
    vocabulary = _load_vocabulary(dicts)
    images = _matched_rows(load_json(image_data), image_data, len(arrays.split), h5)
    is_published = len(arrays.split) == PUBLISHED_ROWS
    num_val = options.num_val if options.num_val is not None else PUBLISHED_VAL * is_published
    splits = _splits(arrays, num_val, keep_empty=options.keep_empty)
    return AnnotationSource(
        layout="vg150-h5",
        files=(h5, dicts, image_data),
        images_dir=options.images_dir or folder,
        read=partial(_read, arrays, vocabulary, images, splits, image_data),
        num_images={name: int((splits == name).sum()) for name in SPLITS.values() if (splits == name).any()},
        vocabulary=vocabulary,
        published=PUBLISHED_IMAGES if is_published and num_val == PUBLISHED_VAL and not options.keep_empty else {},
        notes=(f"validation: the first {num_val} training images that have a relationship",) if num_val else (),
        details={"num_val": num_val},
    )


def _one_of(folder: Path, pattern: str, what: str) -> Path:
    found = sorted(path for path in folder.iterdir() if re.fullmatch(pattern, path.name)) if folder.is_dir() else []
    if not found:
        raise DataError(f"`{folder}` has no {what}, which VG150's layout needs beside the others")
    if len(found) > 1:
        names = ", ".join(f"`{path.name}`" for path in found)
        raise DataError(f"`{folder}` has several files like {what}: {names}; name the h5 file itself")
    return found[0]


def _load_arrays(path: Path) -> _Arrays:
    try:
        with h5py.File(path, "r") as file:
            key, scale = ("boxes_1024", 1.0) if "boxes_1024" in file else ("boxes_512", 2.0)
            flat = {
                name: np.asarray(file[name], dtype=np.int64).reshape(-1)
                for name in ("labels", "predicates", "split", *_ranges("box"), *_ranges("rel"))
            }
            boxes = np.asarray(file[key], dtype=np.float64).reshape(-1, 4) * scale
            pairs = np.asarray(file["relationships"], dtype=np.int64).reshape(-1, 2)
        ranges = [np.stack([flat[name] for name in _ranges(kind)], axis=1) for kind in ("box", "rel")]
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"`{path}` is no h5 file in VG150's layout: {error}") from error
    numbers = [(len(boxes), len(flat["labels"])), (len(pairs), len(flat["predicates"]))]
    numbers += [(len(flat["split"]), len(rows)) for rows in ranges]
    if any(a != b for a, b in numbers):
        raise DataError(
            f"`{path}`: boxes and labels, relationships and predicates, or ranges and split differ in length"
        )
    return _Arrays(boxes, flat["labels"], pairs, flat["predicates"], ranges[0], ranges[1], flat["split"])


def _ranges(kind: str) -> tuple[str, str]:
    return f"img_to_first_{kind}", f"img_to_last_{kind}"


def _load_vocabulary(path: Path) -> Vocabulary:
    content = load_json(path)
    with translating(path, "the dictionary of", "names"):
        objects, predicates = (
            [content[key][str(index)] for index in range(1, max(map(int, content[key])) + 1)]
            for key in ("idx_to_label", "idx_to_predicate")  # 0, where it is listed, is the background
        )
    return vocabulary_from_names(objects, predicates, f"`{path}`")


def _matched_rows(entries: Any, path: Path, num_rows: int, h5: Path) -> list[Mapping[str, Any]]:
    """The entries that the rows of the arrays stand for, in their order."""
    with translating(path, "the list of", "images"):
        kept = [entry for entry in entries if str(entry["image_id"]) not in CORRUPTED]
    for candidate in (entries, kept):
        if len(candidate) == num_rows:
            return list(candidate)
    raise DataError(
        f"`{path}` lists {len(entries)} images ({len(kept)} without the four corrupted ones), `{h5.name}` has"
        f" {num_rows}: they do not belong together"
    )


def _splits(arrays: _Arrays, num_val: int, *, keep_empty: bool) -> NDArray[np.str_]:
    """The split of every image; empty for those that the field leaves out before it counts."""
    unknown = set(np.unique(arrays.split).tolist()) - set(SPLITS)
    if unknown:
        raise DataError(f"`split` holds {sorted(unknown)}; VG150's knows 0 (train) and 2 (test)")
    splits = np.array([SPLITS[value] for value in arrays.split.tolist()], dtype="<U5")
    counted = arrays.box_range[:, 0] >= 0
    if not keep_empty:
        counted &= arrays.rel_range[:, 0] >= 0
    train = np.flatnonzero((splits == "train") & counted)
    splits[train[:num_val]] = "val"
    return splits


def _read(
    arrays: _Arrays,
    vocabulary: Vocabulary,
    images: list[Mapping[str, Any]],
    splits: NDArray[np.str_],
    path: Path,
) -> Iterator[AnnotatedImage]:
    for row, entry in enumerate(images):
        with translating(path, "entry", row):
            image_id = str(entry["image_id"])
            image_wh = (int(entry["width"]), int(entry["height"]))
        boxes, triplets = _slice(arrays.box_range[row]), _slice(arrays.rel_range[row])
        centres, sides = arrays.boxes_cxcywh[boxes, :2], arrays.boxes_cxcywh[boxes, 2:]
        corners = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1).tolist()
        yield AnnotatedImage(
            image_id=image_id,
            split=str(splits[row]),
            image=tuple(f"{folder}{image_id}.jpg" for folder in FOLDERS),
            image_wh=image_wh,
            objects=tuple(
                AnnotatedObject(
                    boxes.start + number, name_at(vocabulary.written_objects, label, first=1), corners[number]
                )
                for number, label in enumerate(arrays.labels[boxes].tolist())
            ),
            relationships=tuple(
                AnnotatedRelationship(subject, name_at(vocabulary.written_predicates, predicate, first=1), target)
                for (subject, target), predicate in zip(
                    arrays.pairs[triplets].tolist(), arrays.predicates[triplets].tolist(), strict=True
                )
            ),
            unit="long_side_1024",
        )


def _slice(first_and_last: Integers) -> slice:
    first, last = first_and_last.tolist()
    return slice(first, last + 1) if first >= 0 else slice(0, 0)
