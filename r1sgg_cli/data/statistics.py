"""What a split holds: how many images, objects and relationships, and how often each name and each triplet occurs.

Kept beside a data set for its training split: weights by predicate frequency need the counts, zero-shot recall the
triplets that training has shown, and both differ between two ways of preparing the same annotations.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from r1sgg_cli.scene_graph.graph import SceneGraph

STATISTICS_FILE = "train_statistics.json"

NamedTriplet = tuple[str, str, str]
"""Subject, predicate and object by name."""


@dataclass(slots=True)
class SplitStatistics:
    """Counts over the images of a split; names as the data set writes them."""

    num_images: int = 0
    objects: Counter[str] = field(default_factory=Counter)
    predicates: Counter[str] = field(default_factory=Counter)
    triplets: Counter[NamedTriplet] = field(default_factory=Counter)

    @property
    def num_objects(self) -> int:
        """Objects of all images."""
        return self.objects.total()

    @property
    def num_relationships(self) -> int:
        """Relationships of all images."""
        return self.predicates.total()

    def add(self, graph: SceneGraph) -> None:
        """Count one image."""
        names = [object_id.rpartition(".")[0] for object_id in graph.ids]
        self.num_images += 1
        self.objects.update(names)
        self.predicates.update(triplet.predicate for triplet in graph.triplets)
        self.triplets.update((names[t.subject], t.predicate, names[t.object]) for t in graph.triplets)

    def update(self, other: "SplitStatistics") -> None:
        """Add the counts of other images."""
        self.num_images += other.num_images
        self.objects.update(other.objects)
        self.predicates.update(other.predicates)
        self.triplets.update(other.triplets)

    def to_json(self) -> dict[str, Any]:
        """The counts as JSON values, most frequent first; a triplet is `[subject, predicate, object, count]`."""
        return {
            "num_images": self.num_images,
            "num_objects": self.num_objects,
            "num_relationships": self.num_relationships,
            "objects": dict(_by_count(self.objects)),
            "predicates": dict(_by_count(self.predicates)),
            "triplets": [[*triplet, count] for triplet, count in _by_count(self.triplets)],
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "SplitStatistics":
        """What `to_json` wrote."""
        triplets = {(subject, predicate, name): count for subject, predicate, name, count in record["triplets"]}
        return cls(record["num_images"], Counter(record["objects"]), Counter(record["predicates"]), Counter(triplets))


def _by_count(counts: Counter[Any]) -> Iterable[tuple[Any, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
