"""By what predictions rank: by scores where a model or a vote gave them, else by the order of the answer.

An image is ranked by its scores or by its order, as a whole. Box AP ranks across images: there a box without a score
counts as certain, which is what it is in a split without any.
"""

from collections.abc import Sequence
from typing import NamedTuple

from r1sgg_cli.scene_graph.graph import SceneGraph


class GraphScores(NamedTuple):
    """Scores of one predicted graph, parallel to its objects and triplets; None where there are none."""

    objects: Sequence[float] | None = None
    triplets: Sequence[float] | None = None


UNSCORED = GraphScores()
MOST = 0.9
"""Share of the images from which on a run is taken to be ranked by scores: single answers may lack them."""


class Ranking(NamedTuple):
    """In how many images predictions have scores, of those that predict anything of the kind."""

    num_object_scored: int
    num_with_objects: int
    num_triplet_scored: int
    num_with_triplets: int

    @property
    def are_boxes_scored(self) -> bool | None:
        """Whether scores rank the boxes of most images; None where they do of some, so that neither can be said."""
        return _are_scored(self.num_object_scored, self.num_with_objects)

    @property
    def are_triplets_scored(self) -> bool | None:
        """The same of relationships."""
        return _are_scored(self.num_triplet_scored, self.num_with_triplets)

    @property
    def of_boxes(self) -> str:
        """What ranks boxes, in a phrase."""
        if not self.num_object_scored:
            return "all scores 1, ties by image order"
        if self.num_object_scored == self.num_with_objects:
            return "ranked by their scores"
        return f"ranked by their scores in {self.num_object_scored} of {self.num_with_objects} images, 1 in the others"

    @property
    def of_triplets(self) -> str:
        """What "the first K" means, in a phrase."""
        if not self.num_triplet_scored:
            return "in its order"
        if self.num_triplet_scored == self.num_with_triplets:
            return "by their scores"
        of_all = f"{self.num_triplet_scored} of {self.num_with_triplets} answers"
        return f"by their scores in {of_all}, in the order of the answer in the others"


def _are_scored(num_scored: int, num_images: int) -> bool | None:
    if not num_scored:
        return False
    return True if num_scored >= MOST * num_images else None


def ranking_of(graphs: Sequence[SceneGraph | None], scores: Sequence[GraphScores]) -> Ranking:
    """What ranks the predictions of a split. Raises `ValueError` where scores and graph are of different lengths."""
    counts = [0, 0, 0, 0]
    for graph, of_graph in zip(graphs, scores, strict=True):
        if graph is None:
            continue
        for kind, (items, of_items) in enumerate(
            ((graph.names, of_graph.objects), (graph.triplets, of_graph.triplets))
        ):
            if of_items is not None and len(of_items) != len(items):
                raise ValueError(f"{len(items)} predictions, but {len(of_items)} scores")
            counts[2 * kind] += bool(items) and of_items is not None
            counts[2 * kind + 1] += bool(items)
    return Ranking(*counts)
