"""What is known of a split besides its graphs; a number that needs what is not known is left out, with the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from r1sgg_cli.scene_graph.similarity import Similarity
from r1sgg_cli.scene_graph.training_names import TrainingNames


class NamedSimilarity(NamedTuple):
    """A similarity of labels and what it is called."""

    name: str
    function: Similarity


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """All of it may be unknown."""

    failures: Sequence[str | None] | None = None
    """Why no graph could be read, for each image; None for one that was read."""
    defects: Sequence[Mapping[str, int]] | None = None
    """What had to be repaired in each answer, and how often."""
    training: TrainingNames | None = None
    task: str | None = None
    """What the answers were asked to list: `sgg`, `det` or `cls`."""
    similarity: NamedSimilarity | None = None
    """By which labels are also compared; None for equal labels alone."""


NOTHING_KNOWN = Background()
