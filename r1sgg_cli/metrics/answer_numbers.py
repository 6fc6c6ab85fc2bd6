"""Numbers of the answers themselves: how many could not be read and why, what was wrong with the rest, their size."""

from collections.abc import Mapping, Sequence

import numpy as np

from r1sgg_cli.metrics.flat import FlatGraphs
from r1sgg_cli.metrics.number import Number
from r1sgg_cli.metrics.statistic import Values, ratio

ALWAYS_COUNTED = (
    *("truncated", "bad_box", "dangling_relationship"),
    *("out_of_vocabulary_object", "out_of_vocabulary_predicate"),
)
"""Defects whose rate is given also where it is 0."""
MAPPED = "_mapped_by_"
"""What is in the name of a defect that is none: a label that was mapped into the vocabulary."""


def failure_numbers(failed: Sequence[bool], causes: Sequence[str | None] | None) -> list[Number]:
    """The rate of images without a readable graph, and of each cause where those are known."""
    everything = np.ones(len(failed))

    def rate(name: str, of_images: Sequence[bool], counted: str) -> Number:
        statistic = ratio(np.array(of_images, dtype=np.float64), everything)
        return Number(name, statistic, f"{counted} / all images", "images", len(failed), "answers", iou=None)

    rates = [rate("failure_rate", failed, "images without a readable graph")]
    for cause in sorted({cause for cause in causes or () if cause is not None}):
        images = [each == cause for each in causes or ()]
        rates.append(rate(f"failure_rate_{cause}", images, f"images that failed: {cause.replace('_', ' ')}"))
    return rates


def defect_numbers(defects: Sequence[Mapping[str, int]]) -> list[Number]:
    """In how many images each kind of defect was met; an image is read all the same."""
    met = {kind for each in defects for kind in each if MAPPED not in kind}
    kinds = [*ALWAYS_COUNTED, *sorted(met - {*ALWAYS_COUNTED})]
    everything = np.ones(len(defects))
    return [
        Number(
            f"images_with_{kind}",
            ratio(np.array([each.get(kind, 0) > 0 for each in defects], dtype=np.float64), everything),
            f"images in which it was met: {kind.replace('_', ' ')} / all images",
            "images",
            len(defects),
            "answers",
            iou=None,
        )
        for kind in kinds
    ]


def size_numbers(annotated: FlatGraphs, predicted: FlatGraphs) -> list[Number]:
    """How large the graphs are, beside the annotated ones."""
    everything = np.ones(annotated.num_images)
    sizes = (
        ("objects_per_image", predicted.object_image, "predicted / all images"),
        ("relationships_per_image", predicted.triplet_image, "predicted / all images"),
        ("annotated_objects_per_image", annotated.object_image, "annotated / all images"),
        ("annotated_relationships_per_image", annotated.triplet_image, "annotated / all images"),
    )
    return [
        Number(
            name,
            ratio(per_image(images, annotated), everything),
            counted,
            "images",
            len(everything),
            "sizes",
            iou=None,
            highest=np.inf,
        )
        for name, images, counted in sizes
    ]


def per_image(images: np.ndarray, graphs: FlatGraphs) -> Values:
    """How many of some items are in each image; `images` are those of the items."""
    return np.bincount(images, minlength=graphs.num_images).astype(np.float64)
