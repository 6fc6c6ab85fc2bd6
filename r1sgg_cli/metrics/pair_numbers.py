"""Numbers of pairs and phrases: which pairs were found, which predicate they got where the objects were given."""

import numpy as np

from r1sgg_cli.metrics.answer_numbers import per_image
from r1sgg_cli.metrics.flat import FlatGraphs, Integers, Mask
from r1sgg_cli.metrics.number import Number
from r1sgg_cli.metrics.pairs import boxed_pair_hits, named_pair_hits
from r1sgg_cli.metrics.statistic import mean_over_images, shares


def pair_numbers(annotated: FlatGraphs, predicted: FlatGraphs) -> list[Number]:
    """Recall of the pairs of objects that a relationship joins, by names and boxes, and by boxes alone."""
    numbers = []
    for name, find, what in (
        ("pair_recall", named_pair_hits, "both names and boxes, whatever the predicate"),
        ("boxed_pair_recall", boxed_pair_hits, "both boxes, whatever the names and the predicate"),
    ):
        pairs, (rows, _) = find(annotated, predicted)
        found, asked = (per_image(images, annotated) for images in (pairs.image[rows], pairs.image))
        num_images = int((asked > 0).sum())
        number = Number(
            name=name,
            statistic=mean_over_images(shares(found, asked)),
            counted=f"pairs hit in {what} / annotated pairs, mean over {num_images} images with a relationship",
            averaging="images",
            denominator=num_images,
            section="pairs",
        )
        numbers.append(number)
    return numbers


def in_annotated_pairs(annotated: FlatGraphs, predicted: FlatGraphs) -> Mask:
    """Which predicted triplets join two objects that an annotated one joins, where the objects are the given ones."""
    shift = _first_rows(annotated)[predicted.triplet_image] - _first_rows(predicted)[predicted.triplet_image]
    num_objects = len(annotated.object_image)
    asked = annotated.subject * num_objects + annotated.object
    return np.isin((predicted.subject + shift) * num_objects + predicted.object + shift, asked)


def _first_rows(graphs: FlatGraphs) -> Integers:
    """Row of the first object of each image."""
    return np.searchsorted(graphs.object_image, np.arange(graphs.num_images))
