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

    def ranks_boxes_like(self, other: "Ranking") -> bool:
        """Whether scores rank the boxes of most images in both, or of none in both; without boxes all is alike."""
        return _are_alike(
            (self.num_object_scored, self.num_with_objects), (other.num_object_scored, other.num_with_objects)
        )

    def ranks_triplets_like(self, other: "Ranking") -> bool:
        """The same of relationships."""
        return _are_alike(
            (self.num_triplet_scored, self.num_with_triplets), (other.num_triplet_scored, other.num_with_triplets)
        )

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


def _are_alike(first: tuple[int, int], second: tuple[int, int]) -> bool:
    """`first` and `second` are in how many images there are scores, and predictions."""
    if not (first[1] and second[1]):
        return True
    are_unscored = not (first[0] or second[0])
    return are_unscored or all(num_scored >= MOST * num_images for num_scored, num_images in (first, second))


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
