"""One number of a split, with everything that says how it is counted."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Cut = int | Literal["annotated"] | None
"""How many relationships of each answer count: the first K, as many as are annotated in its image, or all (None)."""
Constraint = Literal["none", "graph"]
"""`graph`: of several predicates of one ordered pair of objects the first alone counts; `none`: all count."""
Averaging = Literal["images", "pooled", "predicates", "classes", "images of predicates"]
"""Over what a number is a mean: each image's, all items together, each predicate's or class's, or both in turn."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One number; NaN where there is nothing to average."""

    name: str
    value: float
    counted: str
    """Averaging and denominator in a phrase."""
    k: Cut = None
    """How many relationships of each answer count, None for all."""
    interval: tuple[float, float] | None = None
    """95 % interval over images, of rates of images Wilson's, else by bootstrap; None where none was asked for or
    nothing could be resampled."""
    symbol: str = ""
    """What the field calls it, with `@K` where there is a K."""
    section: str = ""
    """The part of the table that it belongs to."""
    constraint: Constraint | None = None
    """None where no relationship ranks."""
    averaging: Averaging | None = None
    iou: str | None = None
    """Which IoU makes a hit; None where no box is compared."""
    denominator: int | None = None
    """How many images, predicates, classes or items the mean is over, as `averaging` says."""
    resampled: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)
    """Its value in each resample of the images, shape (resamples,). The resamples are the same for every number, and
    for every evaluation of as many images: values of two runs on the same images are paired."""

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; what is NaN here is null there."""
        return {
            "name": self.name,
            "k": self.k,
            "value": finite(self.value),
            "interval": None if self.interval is None else [finite(end) for end in self.interval],
            "counted": self.counted,
            "symbol": self.symbol,
            "section": self.section,
            "constraint": self.constraint,
            "averaging": self.averaging,
            "iou": self.iou,
            "denominator": self.denominator,
        }


def finite(value: float) -> float | None:
    """The value as JSON knows it: None for NaN."""
    return None if math.isnan(value) else value
