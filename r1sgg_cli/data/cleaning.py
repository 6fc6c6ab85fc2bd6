"""From an annotated image to a sound scene graph in pixels of the shown picture, every fault counted by kind.

Decisions, beyond the rules in `faults.FAULTS`:

1. Objects keep the source's order and are numbered through, `person.1`, `bike.2`, once the faulty ones are out.
2. A stored size that is not the file's: where both have the same shape, the image was resized and the boxes follow;
   where not, the stored size is wrong and the boxes, drawn on real pixels, stay (some entries of Visual Genome).
3. Filters of the training split are the field's (Scene-Graph-Benchmark): "non-overlap" counts touching boxes as
   overlapping, because its IoU adds a pixel, and is taken in the annotation's own whole units.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from r1sgg_cli.data.annotations import AnnotatedImage, BoxUnit
from r1sgg_cli.data.faults import Tally
from r1sgg_cli.data.images import ImageFile, turned_boxes
from r1sgg_cli.scene_graph.boxes import Boxes
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet
from r1sgg_cli.scene_graph.labels import normalise_label, object_name
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

SAME_SHAPE = 0.01
"""Two aspect ratios this close, relatively, are one: a resize rounds to whole pixels."""
DECIMALS = 2
"""Of a pixel, in which boxes are written: fractions of six digits come back to the whole numbers they were."""


@dataclass(frozen=True, slots=True)
class CleaningRules:
    """What is kept of an image; what holds for the training split alone says so."""

    vocabulary: Vocabulary | None = None
    """Names outside it are dropped, names inside are written as it writes them; None keeps every name."""
    keep_empty: bool = False
    """Keep images without a relationship."""
    non_overlap: bool = False
    """Training split: drop relationships of boxes that do not overlap."""
    duplicate_rels: bool = False
    """Training split: keep one predicate of each ordered pair, drawn from the seed."""
    seed: int = 0
    base_objects: frozenset[str] | None = None
    """Training split: drop objects of other names (OvD); None keeps all."""
    base_predicates: frozenset[str] | None = None
    """Training split: drop relationships of other predicates (OvR); None keeps all."""


@dataclass(slots=True)
class _Objects:
    """The objects of one image that are kept."""

    names: list[str]
    boxes: list[list[float]]
    index: dict[Any, int]
    """Key → position."""
    dropped: set[Any]
    """Keys of objects that were dropped."""
    own_boxes: list[list[float]]
    """In the annotation's own unit (fractions: in pixels), parallel to `boxes`."""


def clean_image(image: AnnotatedImage, file: ImageFile, rules: CleaningRules, tally: Tally) -> SceneGraph | None:
    """The graph of an image in pixels of the shown picture; None where the filters leave the image out."""
    for kind, count in image.faults.items():
        tally.add(kind, image.image_id, count)
    training = image.split == "train"
    objects = _clean_objects(image, file, rules, tally)
    triplets = _clean_relationships(image, objects, rules, tally)
    if training and rules.base_objects is not None:
        triplets = _only_base_objects(image, objects, triplets, rules.base_objects, tally)
    if training and rules.base_predicates is not None:
        base = rules.base_predicates
        triplets = _keep(
            triplets, [normalise_label(t.predicate) in base for t in triplets], "novel_predicate", image, tally
        )
    if training and rules.non_overlap:
        overlaps = [_overlap(objects.own_boxes[t.subject], objects.own_boxes[t.object]) for t in triplets]
        triplets = _keep(triplets, overlaps, "non_overlap", image, tally)
    if training and rules.duplicate_rels:
        triplets = _one_per_pair(image, triplets, rules.seed, tally)
    if not triplets and not rules.keep_empty:
        tally.add("empty_image", image.image_id)
        return None
    ids = tuple(f"{name}.{number}" for number, name in enumerate(objects.names, start=1))
    boxes = np.array(objects.boxes, dtype=np.float64).reshape(-1, 4)
    width, height = file.shown_wh
    return SceneGraph(ids, tuple(map(object_name, ids)), boxes, tuple(triplets), (float(width), float(height)))


def _clean_objects(image: AnnotatedImage, file: ImageFile, rules: CleaningRules, tally: Tally) -> _Objects:
    known = _written_names(rules.vocabulary.objects, rules.vocabulary.written_objects) if rules.vocabulary else None
    kept = _Objects([], [], {}, set(), [])
    seen: dict[tuple[str, tuple[float, ...]], int] = {}
    boxes = _boxes_in_pixels(image, file, tally)
    for (key, name, own_box), box in zip(image.objects, boxes, strict=True):
        if key in kept.index or key in kept.dropped:
            tally.add("repeated_key", image.image_id)
            continue
        written = _written(name, known)
        fault = _fault_of_box(box, file.shown_wh) or _fault_of_name(written)
        if box is None or fault:
            tally.add(fault or "bad_box", image.image_id)
            kept.dropped.add(key)
            continue
        clipped = _clipped(box, file.shown_wh)
        if _rounded(box) != clipped:
            tally.add("clipped_box", image.image_id)
        place = (normalise_label(str(written)), tuple(clipped))
        if place in seen:
            tally.add("repeated_object", image.image_id)
            kept.index[key] = seen[place]
            continue
        kept.index[key] = seen[place] = len(kept.names)
        kept.names.append(str(written))
        kept.boxes.append(clipped)
        kept.own_boxes.append(clipped if image.unit == "fractions" else own_box)
    return kept


def _boxes_in_pixels(image: AnnotatedImage, file: ImageFile, tally: Tally) -> list[list[float] | None]:
    """Every box in pixels of the shown picture; None where it is not four finite numbers in order."""
    sound = [_is_box(box) for _, _, box in image.objects]
    given = np.array([box for (_, _, box), ok in zip(image.objects, sound, strict=True) if ok], dtype=np.float64)
    pixels = iter(_to_pixels(given.reshape(-1, 4), image, file, tally).tolist())
    return [next(pixels) if ok else None for ok in sound]


def _to_pixels(boxes_xyxy: Boxes, image: AnnotatedImage, file: ImageFile, tally: Tally) -> Boxes:
    """Boxes of the annotation's unit in pixels of the shown picture."""
    stated = image.image_wh
    unturned = file.orientation != 1 and file.stored_wh != file.shown_wh and stated == file.stored_wh
    drawn_wh = file.stored_wh if unturned else file.shown_wh
    if stated is not None and stated != drawn_wh:
        tally.add("wrong_size", image.image_id)
    boxes_xyxy = boxes_xyxy * np.array(_scale(image.unit, stated, drawn_wh) * 2)
    if not unturned:
        return boxes_xyxy
    tally.add("turned_image", image.image_id)
    return turned_boxes(boxes_xyxy, file)


def _scale(unit: BoxUnit, stated_wh: tuple[int, int] | None, drawn_wh: tuple[int, int]) -> tuple[float, float]:
    """What x and y are multiplied by."""
    width, height = drawn_wh
    if unit == "fractions":
        return float(width), float(height)
    if unit == "long_side_1024":
        longer = max(width, height) / 1024
        return longer, longer
    if stated_wh is None or stated_wh == drawn_wh:
        return 1.0, 1.0
    same_shape = abs(stated_wh[0] * height / (stated_wh[1] * width) - 1) <= SAME_SHAPE
    return (width / stated_wh[0], height / stated_wh[1]) if same_shape else (1.0, 1.0)


def _is_box(box: Any) -> bool:
    if not isinstance(box, Sequence) or len(box) != 4:
        return False
    if not all(type(value) in (int, float) and math.isfinite(value) for value in box):  # `true` is no number here
        return False
    return bool(box[0] <= box[2] and box[1] <= box[3])


def _fault_of_name(written: str | None) -> str | None:
    if written is None:
        return "unknown_object"
    return None if written else "unnamed_object"


def _fault_of_box(box: list[float] | None, image_wh: tuple[int, int]) -> str | None:
    if box is None:
        return "bad_box"
    x1, y1, x2, y2 = box
    if x1 >= image_wh[0] or y1 >= image_wh[1] or x2 <= 0 or y2 <= 0:
        return "empty_box" if x1 == x2 or y1 == y2 else "box_outside"
    x1, y1, x2, y2 = _clipped(box, image_wh)
    return "empty_box" if x1 >= x2 or y1 >= y2 else None


def _rounded(box: Sequence[float]) -> list[float]:
    return [round(value, DECIMALS) for value in box]


def _clipped(box: Sequence[float], image_wh: tuple[int, int]) -> list[float]:
    x1, y1, x2, y2 = _rounded(box)
    return [max(x1, 0.0), max(y1, 0.0), min(x2, float(image_wh[0])), min(y2, float(image_wh[1]))]


def _written_names(normal: Sequence[str], written: Sequence[str]) -> Mapping[str, str]:
    return dict(zip(normal, written, strict=True))


def _written(name: str, known: Mapping[str, str] | None) -> str | None:
    """A label as the data set writes it, empty where it says nothing, None where a vocabulary does not know it."""
    label = " ".join(name.split())
    if known is None or not label:
        return label if normalise_label(label) else ""
    return known.get(normalise_label(label))


def _clean_relationships(image: AnnotatedImage, objects: _Objects, rules: CleaningRules, tally: Tally) -> list[Triplet]:
    vocabulary = rules.vocabulary
    known = _written_names(vocabulary.predicates, vocabulary.written_predicates) if vocabulary else None
    triplets: dict[Triplet, None] = {}  # a set that keeps its order
    for subject, predicate, target in image.relationships:
        written = _written(predicate, known)
        fault = _fault_of_ends(subject, target, objects)
        if fault is None and not written:
            fault = "unnamed_predicate" if written == "" else "unknown_predicate"
        if fault:
            tally.add(fault, image.image_id)
            continue
        triplet = Triplet(objects.index[subject], str(written), objects.index[target])
        if triplet in triplets:
            tally.add("repeated_relationship", image.image_id)
        triplets[triplet] = None
    return list(triplets)


def _fault_of_ends(subject: Any, target: Any, objects: _Objects) -> str | None:
    for end in (subject, target):
        if end not in objects.index:
            return "lost_relationship" if end in objects.dropped else "dangling_relationship"
    return "self_relationship" if objects.index[subject] == objects.index[target] else None


def _keep(
    triplets: list[Triplet], kept: Sequence[bool], kind: str, image: AnnotatedImage, tally: Tally
) -> list[Triplet]:
    tally.add(kind, image.image_id, len(triplets) - sum(kept))
    return [triplet for triplet, keep in zip(triplets, kept, strict=True) if keep]


def _only_base_objects(
    image: AnnotatedImage, objects: _Objects, triplets: list[Triplet], base: frozenset[str], tally: Tally
) -> list[Triplet]:
    """Take novel objects out of `objects`, and with them their relationships."""
    is_base = [normalise_label(name) in base for name in objects.names]
    tally.add("novel_object", image.image_id, is_base.count(False))
    triplets = _keep(triplets, [is_base[t.subject] and is_base[t.object] for t in triplets], "novel_end", image, tally)
    new_index = np.cumsum(is_base) - 1
    kept = np.flatnonzero(is_base).tolist()
    objects.names[:] = [objects.names[i] for i in kept]
    objects.boxes[:] = [objects.boxes[i] for i in kept]
    objects.own_boxes[:] = [objects.own_boxes[i] for i in kept]
    return [Triplet(int(new_index[t.subject]), t.predicate, int(new_index[t.object])) for t in triplets]


def _overlap(box_a: Sequence[float], box_b: Sequence[float]) -> bool:
    """Whether two boxes overlap as Scene-Graph-Benchmark counts it: whole numbers, one pixel added to every side."""
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = map(_whole, (box_a, box_b))
    return min(ax2, bx2) - max(ax1, bx1) + 1 > 0 and min(ay2, by2) - max(ay1, by1) + 1 > 0


def _whole(box: Sequence[float]) -> tuple[float, float, float, float]:
    """The corner cut to whole numbers, width and height kept."""
    x1, y1, x2, y2 = box
    return math.floor(x1), math.floor(y1), math.floor(x1) + (x2 - x1), math.floor(y1) + (y2 - y1)


def _one_per_pair(image: AnnotatedImage, triplets: list[Triplet], seed: int, tally: Tally) -> list[Triplet]:
    """One predicate of each ordered pair; which one depends on the seed, the image and the pair alone."""
    by_pair: defaultdict[tuple[int, int], list[Triplet]] = defaultdict(list)
    for triplet in triplets:
        by_pair[triplet.subject, triplet.object].append(triplet)
    chosen = set()
    for (subject, target), rivals in by_pair.items():
        digest = hashlib.sha256(f"{seed}\0{image.image_id}\0{subject}\0{target}".encode()).digest()
        chosen.add(rivals[int.from_bytes(digest[:8], "big") % len(rivals)])
    return _keep(triplets, [triplet in chosen for triplet in triplets], "duplicate_pair", image, tally)
