"""What a training split showed, by name: what tells frequent from rare, seen from unseen and base from novel.

It is condensed for one evaluated split, so that a file of predictions can carry it: of the triplets of training, which
may be a hundred thousand, those alone matter that are annotated in the split and were never shown.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from r1sgg_cli.scene_graph.graph import SceneGraph
from r1sgg_cli.scene_graph.labels import normalise_label
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

NamedTriplet = tuple[str, str, str]
"""Subject, predicate and object by name."""


@dataclass(frozen=True, slots=True)
class TrainingNames:
    """What is known of the training split; every name is in normal form."""

    predicate_counts: Mapping[str, int]
    """Relationships of each predicate in training; a predicate that is absent was never shown."""
    unseen_triplets: frozenset[NamedTriplet]
    """Triplets that are annotated in the evaluated split and were never shown in training."""
    base: Vocabulary | None = None
    """Names that training may show in an open-vocabulary setting; None where the setting is closed."""
    novel: Vocabulary | None = None
    """The rest of the data set's vocabulary; None exactly where `base` is."""

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values, in an order that does not change."""
        record: dict[str, Any] = {
            "predicate_counts": dict(sorted(self.predicate_counts.items(), key=lambda item: (-item[1], item[0]))),
            "unseen_triplets": [list(triplet) for triplet in sorted(self.unseen_triplets)],
        }
        for key, names in (("base", self.base), ("novel", self.novel)):
            if names is not None:
                record[key] = {"objects": list(names.objects), "predicates": list(names.predicates)}
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "TrainingNames":
        """What `to_json` wrote. Raises one of `errors.MALFORMED` for anything else."""
        triplets = frozenset((str(s), str(p), str(o)) for s, p, o in record["unseen_triplets"])
        counts = {str(name): int(count) for name, count in record["predicate_counts"].items()}
        if min(counts.values(), default=0) < 0:
            raise ValueError("a count is below 0")
        if ("base" in record) != ("novel" in record):
            raise ValueError("`base` and `novel` go together")
        return cls(counts, triplets, *(_names(record.get(key)) for key in ("base", "novel")))


def named_triplets(graphs: Iterable[SceneGraph]) -> frozenset[NamedTriplet]:
    """Every different triplet of these graphs, by name."""
    return frozenset(
        (graph.names[t.subject], t.predicate, graph.names[t.object]) for graph in graphs for t in graph.triplets
    )


def _names(record: Mapping[str, Any] | None) -> Vocabulary | None:
    if record is None:
        return None
    objects, predicates = (tuple(normalise_label(name) for name in record[key]) for key in ("objects", "predicates"))
    return Vocabulary(objects, predicates)
