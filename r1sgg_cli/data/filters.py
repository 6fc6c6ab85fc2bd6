"""What is left out of the training split by choice: the field's filters, and the novel names of a setting.

The filters are those of Scene-Graph-Benchmark. Its test of overlap counts in the annotation's own whole units and adds
a pixel to every side, so that boxes which touch overlap: with it, 56,224 of VG150's 57,723 training images are left.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence

from r1sgg_cli.data.faults import Tally
from r1sgg_cli.scene_graph.graph import Triplet
from r1sgg_cli.scene_graph.labels import normalise_label


class TripletFilter:
    """The relationships of one image, and the tally of those that are left out."""

    def __init__(self, image_id: str, triplets: Sequence[Triplet], tally: Tally) -> None:
        self.image_id = image_id
        self.triplets = list(triplets)
        self._tally = tally

    def keep(self, kept: Sequence[bool], kind: str) -> None:
        """Leave out the others, counted as `kind`."""
        self._tally.add(kind, self.image_id, len(kept) - sum(kept))
        self.triplets = [triplet for triplet, keep in zip(self.triplets, kept, strict=True) if keep]

    def keep_predicates(self, base: frozenset[str]) -> None:
        """Leave out other predicates."""
        self.keep([normalise_label(triplet.predicate) in base for triplet in self.triplets], "novel_predicate")

    def keep_overlapping(self, boxes_xyxy: Sequence[Sequence[float]]) -> None:
        """Leave out relationships whose boxes, in the annotation's own unit, do not overlap."""
        overlaps = [_overlap(boxes_xyxy[triplet.subject], boxes_xyxy[triplet.object]) for triplet in self.triplets]
        self.keep(overlaps, "non_overlap")

    def keep_one_per_pair(self, seed: int) -> None:
        """Leave all but one predicate of each ordered pair out; which depends on seed, image and pair alone."""
        by_pair: defaultdict[tuple[int, int], list[Triplet]] = defaultdict(list)
        for triplet in self.triplets:
            by_pair[triplet.subject, triplet.object].append(triplet)
        chosen = set()
        for (subject, target), rivals in by_pair.items():
            digest = hashlib.sha256(f"{seed}\0{self.image_id}\0{subject}\0{target}".encode()).digest()
            chosen.add(rivals[int.from_bytes(digest[:8], "big") % len(rivals)])
        self.keep([triplet in chosen for triplet in self.triplets], "duplicate_pair")


def _overlap(box_a: Sequence[float], box_b: Sequence[float]) -> bool:
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = map(_whole, (box_a, box_b))
    return min(ax2, bx2) - max(ax1, bx1) + 1 > 0 and min(ay2, by2) - max(ay1, by1) + 1 > 0


def _whole(box: Sequence[float]) -> tuple[float, float, float, float]:
    """The corner cut to whole numbers, width and height kept."""
    x1, y1, x2, y2 = box
    return math.floor(x1), math.floor(y1), math.floor(x1) + (x2 - x1), math.floor(y1) + (y2 - y1)
