"""What can be wrong with annotated images, and the rule for each: nothing is dropped or mended silently."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FAULTS: Mapping[str, tuple[str, str]] = {
    "missing_image": ("the image file is not there", "image dropped"),
    "broken_image": ("the file cannot be read, is no image, or is cut short", "image dropped"),
    "repeated_image": ("an image id used before", "later image dropped"),
    "wrong_size": (
        "the stored size is not the file's",
        "same shape: boxes scaled; another shape: boxes kept as pixels",
    ),
    "turned_image": ("the file asks to be shown turned (EXIF), its boxes were drawn unturned", "boxes turned with it"),
    "bad_object": ("an item that is no object of the schema", "dropped"),
    "bad_relationship": ("an item that is no relationship of the schema", "dropped"),
    "bad_box": ("not four finite numbers, or ends before it begins", "object dropped"),
    "clipped_box": ("reaches beyond the image", "clipped to it"),
    "box_outside": ("lies wholly outside the image", "object dropped"),
    "empty_box": ("no width or no height inside the image", "object dropped"),
    "unnamed_object": ("a name that says nothing", "object dropped"),
    "unknown_object": ("a name outside the vocabulary", "object dropped"),
    "repeated_key": ("an object id used before", "later object dropped"),
    "repeated_object": ("same name and same box as an earlier object", "both become one"),
    "merged_end": ("an end that names an object since merged into another", "the other one taken"),
    "added_end": (
        "an end that is not in the list of objects, but carries its own name and box",
        "added to the objects",
    ),
    "stray_annotation": ("an annotation of an image that the file does not list", "dropped"),
    "dangling_relationship": ("an end that names no object", "relationship dropped"),
    "lost_relationship": ("an end whose object was dropped", "relationship dropped"),
    "self_relationship": ("an object related to itself", "relationship dropped"),
    "unnamed_predicate": ("a predicate that says nothing", "relationship dropped"),
    "unknown_predicate": ("a predicate outside the vocabulary", "relationship dropped"),
    "repeated_relationship": ("same ends and same predicate as an earlier one", "later one dropped"),
}
"""Kind → what it is, and the rule."""

FILTERS: Mapping[str, str] = {
    "attribute": "a property of one object written as a relationship: left out",
    "novel_object": "an object outside the base classes (--open-vocabulary): left out of the training split",
    "novel_predicate": "a predicate outside the base classes (--open-vocabulary): left out of the training split",
    "novel_end": "a relationship of an object outside the base classes: left out of the training split",
    "non_overlap": "a relationship of boxes that do not overlap (--filter-non-overlap): left out of the training split",
    "duplicate_pair": "a further predicate of a pair (--filter-duplicate-rels): left out of the training split",
    "empty_image": "an image without a relationship (--keep-empty-rels keeps it): left out",
}
"""Kind → what was left out by choice, not by fault."""


@dataclass(slots=True)
class Tally:
    """How often each kind was met, and one image that shows it."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, image_id: str, count: int = 1) -> None:
        """Count one kind; the first image that shows it is kept as its example."""
        if count:
            self.counts[kind] += count
            self.examples.setdefault(kind, image_id)

    def update(self, other: "Tally") -> None:
        """Add another tally; the examples that are here stay."""
        self.counts.update(other.counts)
        self.examples = {**other.examples, **self.examples}

    def num_faults(self) -> int:
        """Faults, without what was left out by choice."""
        return sum(count for kind, count in self.counts.items() if kind in FAULTS)

    def to_json(self) -> dict[str, Any]:
        """Kind → count and example, for records on disk."""
        return {kind: {"count": count, "example": self.examples[kind]} for kind, count in sorted(self.counts.items())}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Tally":
        """What `to_json` wrote."""
        return cls(
            Counter({kind: entry["count"] for kind, entry in record.items()}),
            {kind: entry["example"] for kind, entry in record.items()},
        )
