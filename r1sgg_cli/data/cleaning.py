"""From an annotated image to a sound scene graph in pixels of the shown picture, every fault counted by kind.

The rule for each fault stands in `faults.FAULTS`. Objects keep the source's order and are numbered through, `person.1`,
`bike.2`, once the faulty ones are out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from r1sgg_cli.data.annotations import AnnotatedImage, Split
from r1sgg_cli.data.faults import Tally
from r1sgg_cli.data.filters import TripletFilter
from r1sgg_cli.data.images import ImageFile
from r1sgg_cli.data.units import boxes_in_pixels
from r1sgg_cli.scene_graph.graph import SceneGraph, Triplet
from r1sgg_cli.scene_graph.labels import normalise_label, object_name
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

DECIMALS = 2
"""Of a pixel, in which boxes are written: fractions of six digits come back to the whole numbers they were."""
TRAINING = "train"


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
    renamed: bool = False
    """The vocabulary is not the source's own, so that prompts of the source list other categories."""

    def replaces_categories(self, split: Split) -> bool:
        """Whether a prompt of the source that lists its categories is wrong for these rows, and left out."""
        novel_names_out = self.base_objects is not None or self.base_predicates is not None
        return self.renamed or (split == TRAINING and novel_names_out)


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
    objects = _clean_objects(image, file, rules, tally)
    triplets = _clean_relationships(image, objects, rules, tally)
    if image.split == TRAINING:
        triplets = _filtered(image.image_id, objects, triplets, rules, tally)
    if not triplets and not rules.keep_empty:
        tally.add("empty_image", image.image_id)
        return None
    ids = tuple(f"{name}.{number}" for number, name in enumerate(objects.names, start=1))
    boxes = np.array(objects.boxes, dtype=np.float64).reshape(-1, 4)
    width, height = file.shown_wh
    return SceneGraph(ids, tuple(map(object_name, ids)), boxes, tuple(triplets), (float(width), float(height)))


def _filtered(
    image_id: str, objects: _Objects, triplets: list[Triplet], rules: CleaningRules, tally: Tally
) -> list[Triplet]:
    """The relationships that the training split keeps; novel objects leave `objects`."""
    left = TripletFilter(image_id, triplets, tally)
    if rules.base_objects is not None:
        is_base = [normalise_label(name) in rules.base_objects for name in objects.names]
        tally.add("novel_object", image_id, is_base.count(False))
        left.keep([is_base[t.subject] and is_base[t.object] for t in left.triplets], "novel_end")
        left.triplets = _without(objects, is_base, left.triplets)
    if rules.base_predicates is not None:
        left.keep_predicates(rules.base_predicates)
    if rules.non_overlap:
        left.keep_overlapping(objects.own_boxes)
    if rules.duplicate_rels:
        left.keep_one_per_pair(rules.seed)
    return left.triplets


def _without(objects: _Objects, kept: Sequence[bool], triplets: Sequence[Triplet]) -> list[Triplet]:
    """Take objects out; the relationships, none of which is theirs, by the new positions."""
    new_index = (np.cumsum(kept) - 1).tolist()
    left = np.flatnonzero(kept).tolist()
    objects.names = [objects.names[i] for i in left]
    objects.boxes = [objects.boxes[i] for i in left]
    objects.own_boxes = [objects.own_boxes[i] for i in left]
    return [Triplet(new_index[t.subject], t.predicate, new_index[t.object]) for t in triplets]


def _clean_objects(image: AnnotatedImage, file: ImageFile, rules: CleaningRules, tally: Tally) -> _Objects:
    known = _written_names(rules.vocabulary.objects, rules.vocabulary.written_objects) if rules.vocabulary else None
    kept = _Objects([], [], {}, set(), [])
    seen: dict[tuple[str, tuple[float, ...]], int] = {}
    for (key, name, own_box), box in zip(image.objects, boxes_in_pixels(image, file, tally), strict=True):
        written = _written(name, known)
        fault = _fault_of_object(key, written, box, file.shown_wh, kept)
        if box is None or fault:
            tally.add(fault or "bad_box", image.image_id)
            if fault not in ("bad_object", "repeated_key"):
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


def _fault_of_object(
    key: Any, written: str | None, box: list[float] | None, image_wh: tuple[int, int], kept: _Objects
) -> str | None:
    if not isinstance(key, int | str):
        return "bad_object"
    if key in kept.index or key in kept.dropped:
        return "repeated_key"
    if written is None:
        return _fault_of_box(box, image_wh) or "unknown_object"
    return _fault_of_box(box, image_wh) or (None if written else "unnamed_object")


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


def _written(name: str | None, known: Mapping[str, str] | None) -> str | None:
    """A label as the data set writes it, empty where it says nothing, None where no vocabulary knows it."""
    if name is None:
        return None
    label = " ".join(name.split())
    if known is None or not label:
        return label if normalise_label(label) else ""
    return known.get(normalise_label(label))


def _clean_relationships(image: AnnotatedImage, objects: _Objects, rules: CleaningRules, tally: Tally) -> list[Triplet]:
    vocabulary = rules.vocabulary
    known = _written_names(vocabulary.predicates, vocabulary.written_predicates) if vocabulary else None
    triplets: dict[Triplet, Triplet] = {}
    for subject, predicate, target in image.relationships:
        written = _written(predicate, known)
        fault = _fault_of_ends(subject, target, objects)
        if fault is None and not written:
            fault = "unnamed_predicate" if written == "" else "unknown_predicate"
        if fault:
            tally.add(fault, image.image_id)
            continue
        triplet = Triplet(objects.index[subject], str(written), objects.index[target])
        meant = triplet._replace(predicate=normalise_label(triplet.predicate))
        if meant in triplets:
            tally.add("repeated_relationship", image.image_id)
        triplets.setdefault(meant, triplet)
    return list(triplets.values())


def _fault_of_ends(subject: Any, target: Any, objects: _Objects) -> str | None:
    for end in (subject, target):
        known = isinstance(end, int | str)  # a list, as JSON may have it, cannot even be looked up
        if known and end in objects.dropped and end not in objects.index:
            return "lost_relationship"
        if not known or end not in objects.index:
            return "dangling_relationship"
    return "self_relationship" if objects.index[subject] == objects.index[target] else None
