"""Which predicates two runs find unlike often, on the same images.

Predicates are many, and rare ones have few images: a bootstrap says little there. So a paired randomisation test tells:
were the runs alike, it would be chance which of the two gave which answer to an image (Smucker, Allan and Carterette
2007). An image is swapped as a whole, for all its predicates, and the p-values are corrected for their number by
Benjamini and Hochberg (1995): of the predicates called different, at most 5 % are expected to be called so by chance.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import false_discovery_control

from r1sgg_cli.metrics.comparison import Change
from r1sgg_cli.metrics.flat import FlatGraphs, Integers
from r1sgg_cli.metrics.resampling import FEW_IMAGES

FALSE_DISCOVERY_RATE = 0.05
NUM_SWAPS = 10_000
"""Random assignments of the answers to the two runs; no p-value is below 1 / (this + 1)."""
CHUNK = 4_000_000
"""Signs held in memory at once."""


@dataclass(frozen=True, slots=True)
class PredicateDifference:
    """How well the two runs find one predicate, all predicted relationships of an answer counted."""

    predicate: str
    num_images: int
    """Images where it is annotated."""
    num_annotated: int
    num_hits: tuple[int, int]
    """Of the first run and of the second."""
    recall: tuple[float, float]
    """Likewise; mean over the images."""
    images_won: int
    """Images where the second run finds more of it."""
    images_lost: int
    p_value: float
    """Two-sided, of the randomisation test, by itself."""
    adjusted_p_value: float
    """Corrected for the number of predicates (Benjamini–Hochberg)."""
    num_split_images: int
    """Images of the split; of few nothing is shown."""

    @property
    def change(self) -> Change:
        """Whether the second run finds more or less of it than the first, where that is shown."""
        if self.num_split_images < FEW_IMAGES or self.adjusted_p_value > FALSE_DISCOVERY_RATE:
            return "not shown"
        return "more" if self.recall[1] > self.recall[0] else "less"

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "predicate": self.predicate,
            "images": self.num_images,
            "annotated": self.num_annotated,
            "hits": list(self.num_hits),
            "recall": list(self.recall),
            "images_won": self.images_won,
            "images_lost": self.images_lost,
            "p_value": self.p_value,
            "adjusted_p_value": self.adjusted_p_value,
            "change": self.change,
        }


def compare_predicates(
    annotated: FlatGraphs, hit_rows: tuple[Integers, Integers], predicates: Mapping[str, int], seed: int = 0
) -> tuple[PredicateDifference, ...]:
    """Every annotated predicate, what differs most surely first; `hit_rows` are the annotated triplets each run hits.

    `predicates` is the table by whose numbers `annotated` names them.
    """
    num_predicates = max(predicates.values(), default=0) + 1
    cells, cell_of_row, counts = np.unique(
        annotated.triplet_image * num_predicates + annotated.predicate, return_inverse=True, return_counts=True
    )
    hits = np.stack([np.bincount(cell_of_row[rows], minlength=len(cells)) for rows in hit_rows])
    recall = hits / counts
    images, of_predicate = np.divmod(cells, num_predicates)
    differences = csr_array((recall[1] - recall[0], (of_predicate, images)), (num_predicates, annotated.num_images))
    p_values = randomisation_p_values(differences, seed)
    shown = np.unique(of_predicate)
    adjusted = dict(zip(shown.tolist(), adjusted_p_values(p_values[shown]).tolist(), strict=True))
    names = {number: name for name, number in predicates.items()}
    compared = []
    for number in shown.tolist():
        rows = of_predicate == number
        compared.append(
            PredicateDifference(
                names[number],
                num_images=int(rows.sum()),
                num_annotated=int(counts[rows].sum()),
                num_hits=(int(hits[0, rows].sum()), int(hits[1, rows].sum())),
                recall=(float(recall[0, rows].mean()), float(recall[1, rows].mean())),
                images_won=int((hits[1] > hits[0])[rows].sum()),
                images_lost=int((hits[1] < hits[0])[rows].sum()),
                p_value=float(p_values[number]),
                adjusted_p_value=adjusted[number],
                num_split_images=annotated.num_images,
            )
        )
    return tuple(sorted(compared, key=lambda each: (each.p_value, -abs(each.recall[1] - each.recall[0]))))


def randomisation_p_values(differences: csr_array, seed: int = 0, num_swaps: int = NUM_SWAPS) -> NDArray[np.float64]:
    """Two-sided p-value of each row's sum when the sign of every column is a matter of chance, shape (rows,).

    The same signs go for all rows. A row without a difference has p-value 1.
    """
    used = np.unique(differences.indices[differences.data != 0])
    observed = np.abs(differences.sum(axis=1))
    if not len(used):
        return np.ones(differences.shape[0])
    kept = differences[:, used]
    generator = np.random.default_rng(seed)
    tolerance = 1e-9 * (1 + observed)  # sums of the same numbers in another order are equal
    as_large = np.zeros(differences.shape[0], dtype=np.int64)
    rows = max(1, CHUNK // len(used))
    for start in range(0, num_swaps, rows):
        shape = (len(used), min(rows, num_swaps - start))
        signs = 2.0 * generator.integers(2, size=shape, dtype=np.int8) - 1
        as_large += (np.abs(kept @ signs) >= (observed - tolerance)[:, None]).sum(axis=1)
    return (1 + as_large) / (1 + num_swaps)


def adjusted_p_values(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corrected for how many there are (Benjamini–Hochberg)."""
    return np.asarray(false_discovery_control(p_values)) if len(p_values) else p_values
