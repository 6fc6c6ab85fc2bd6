"""What was found of one predicate."""

from dataclasses import dataclass
from typing import Any

from r1sgg_cli.metrics.metric import finite
from r1sgg_cli.metrics.predicate_groups import Group


@dataclass(frozen=True, slots=True)
class PredicateCount:
    """Recall of a predicate with its counts, all predicted relationships."""

    name: str
    recall: float
    """Mean over its images; NaN where it is not annotated here."""
    num_annotated: int
    num_hit: int
    num_images: int
    """That contain it."""
    num_training: int | None = None
    """Relationships of it in training; None where that is not known."""
    group: Group | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "name": self.name,
            "recall": finite(self.recall),
            "annotated": self.num_annotated,
            "hit": self.num_hit,
            "images": self.num_images,
            "training": self.num_training,
            "group": self.group,
        }
