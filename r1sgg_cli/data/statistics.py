"""What a split holds: how many images, objects and relationships, and how often each name and each triplet occurs.

Kept beside a data set for its training split: weights by predicate frequency need the counts, zero-shot recall the
triplets that training has shown, and both differ between two ways of preparing the same annotations.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from r1sgg_cli.errors import MALFORMED, DataError, in_words
from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.labels import normalise_label, written_name
from r1sgg_cli.scene_graph.training_names import NamedTriplet
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, vocabulary_from_names

STATISTICS_FILE = "train_statistics.json"


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
        names = [written_name(object_id) for object_id in graph.ids]
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

    def with_one_spelling(self) -> "SplitStatistics":
        """The same counts with the most frequent spelling of each name standing for all: `ON` and `on` are one."""
        objects, predicates = _spellings(self.objects), _spellings(self.predicates)
        merged = SplitStatistics(self.num_images)
        for name, count in self.objects.items():
            merged.objects[objects[normalise_label(name)]] += count
        for name, count in self.predicates.items():
            merged.predicates[predicates[normalise_label(name)]] += count
        for (subject, predicate, target), count in self.triplets.items():
            names = (objects[normalise_label(subject)], objects[normalise_label(target)])
            merged.triplets[names[0], predicates[normalise_label(predicate)], names[1]] += count
        return merged

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
        """What `to_json` wrote. Raises one of `errors.MALFORMED` for anything else."""
        triplets = {(subject, predicate, name): count for subject, predicate, name, count in record["triplets"]}
        tables = [dict(record["objects"]), dict(record["predicates"]), triplets]
        if not all(type(name) is str for triplet in triplets for name in triplet):
            raise TypeError("a name in a triplet is no text")
        if not all(type(count) is int and count >= 0 for table in tables for count in table.values()):
            raise ValueError("a count is no number from 0 on")
        return cls(record["num_images"], *(Counter(table) for table in tables))


def load_train_statistics(dataset: str) -> SplitStatistics:
    """What `prepare` counted in a data set's training split. Raises `DataError` where it has no such counts."""
    path = Path(dataset) / STATISTICS_FILE
    try:
        return SplitStatistics.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            f"`{dataset}` has no `{STATISTICS_FILE}`, which says how often each predicate occurs in training; "
            "`r1sgg prepare` writes it, of a data set on the hub with `r1sgg prepare hub:OWNER/NAME --out DIR`"
        ) from error
    except OSError as error:
        raise DataError(f"cannot read `{path}`: {error.strerror}; make it readable") from error
    except MALFORMED as error:
        raise DataError(
            f"`{path}` is not what `r1sgg prepare` writes: {in_words(error)}; prepare the data set again"
        ) from error


def _spellings(counts: Counter[str]) -> dict[str, str]:
    """Normal form → its most frequent spelling."""
    return {normalise_label(name): name for name, _ in reversed(list(_by_count(counts)))}


def _by_count(counts: Counter[Any]) -> Iterable[tuple[Any, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def vocabulary_met(splits: Iterable[SplitStatistics]) -> Vocabulary | None:
    """Every name of these splits in alphabetical order; None where there are none to list."""
    whole = SplitStatistics()
    for split in splits:
        whole.update(split)
    objects, predicates = (sorted(set(_spellings(names).values())) for names in (whole.objects, whole.predicates))
    return vocabulary_from_names(objects, predicates, "the source") if objects and predicates else None
