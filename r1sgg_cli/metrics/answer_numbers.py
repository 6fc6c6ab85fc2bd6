"""Numbers of the answers themselves: how many could not be read and why, what was wrong with the rest, their size."""

from collections.abc import Mapping, Sequence

import numpy as np

from r1sgg_cli.metrics.flat import FlatGraphs
from r1sgg_cli.metrics.number import Number
from r1sgg_cli.metrics.setting import GraphSetting
from r1sgg_cli.metrics.statistic import Values, ratio
from r1sgg_cli.scene_graph.listing import CAUSES

OF_OBJECTS = ("bad_box", "out_of_vocabulary_object")
OF_RELATIONSHIPS = ("dangling_relationship", "out_of_vocabulary_predicate")
"""Defects whose rate is given also where it is 0, as that of `truncated` is; each where such items were asked for."""
FAILURE, DEFECT = "failure_rate_", "images_with_"
"""Beginnings of the names of rates by cause; one that an evaluation lacks which has others is 0 there."""
MAPPED = "_mapped_by_"
"""What is in the name of a defect that is none: a label that was mapped into the vocabulary."""


def failure_numbers(failed: Sequence[bool], causes: Sequence[str | None] | None) -> list[Number]:
    """The rate of images without a readable graph, and where causes are known of each that there is, met or not."""
    everything = np.ones(len(failed))

    def rate(name: str, of_images: Sequence[bool], counted: str) -> Number:
        statistic = ratio(np.array(of_images, dtype=np.float64), everything)
        return Number(
            name=name,
            statistic=statistic,
            counted=f"{counted} / all {len(failed)} images",
            averaging="images",
            denominator=len(failed),
            section="answers",
            iou=None,
            interval="wilson",
        )

    rates = [rate("failure_rate", failed, "images without a readable graph")]
    if causes is None:
        return rates
    others = {cause for cause in causes if cause is not None} - {*CAUSES}
    for cause in (*CAUSES, *sorted(others)):
        images = [each == cause for each in causes]
        rates.append(rate(f"{FAILURE}{cause}", images, "images that failed by this cause"))
    return rates


def defect_numbers(defects: Sequence[Mapping[str, int]], setting: GraphSetting = "SGDet") -> list[Number]:
    """In how many images each kind of defect was met; an image is read all the same."""
    met = {kind for each in defects for kind in each if MAPPED not in kind}
    asked_for = [*(OF_OBJECTS if setting != "PredCls" else ()), *(OF_RELATIONSHIPS if setting != "Detection" else ())]
    always = ("truncated", *asked_for)
    kinds = [*always, *sorted(met - {*always})]
    everything = np.ones(len(defects))
    return [
        Number(
            name=f"{DEFECT}{kind}",
            statistic=ratio(np.array([each.get(kind, 0) > 0 for each in defects], dtype=np.float64), everything),
            counted=f"images in which it was met, read all the same / all {len(defects)} images",
            averaging="images",
            denominator=len(defects),
            section="answers",
            iou=None,
            interval="wilson",
        )
        for kind in kinds
    ]


def size_numbers(annotated: FlatGraphs, predicted: FlatGraphs, setting: GraphSetting) -> list[Number]:
    """How large the graphs are, beside the annotated ones, of what was asked for."""
    everything = np.ones(annotated.num_images)
    sizes = [
        (f"{whose}{items}_per_image", images, f"{whose.rstrip('_') or 'predicted'} / all {len(everything)} images")
        for whose, graphs in (("", predicted), ("annotated_", annotated))
        for items, images, other in (
            ("objects", graphs.object_image, "PredCls"),
            ("relationships", graphs.triplet_image, "Detection"),
        )
        if setting != other
    ]
    return [
        Number(
            name=name,
            statistic=ratio(per_image(images, annotated), everything),
            counted=counted,
            averaging="images",
            denominator=len(everything),
            section="sizes",
            iou=None,
            highest=np.inf,
        )
        for name, images, counted in sizes
    ]


def per_image(images: np.ndarray, graphs: FlatGraphs) -> Values:
    """How many of some items are in each image; `images` are those of the items."""
    return np.bincount(images, minlength=graphs.num_images).astype(np.float64)
