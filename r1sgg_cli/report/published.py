"""The published evaluator's numbers of a predictions file."""

from dataclasses import replace

from r1sgg_cli.data.predictions import Predictions
from r1sgg_cli.errors import DataError
from r1sgg_cli.metrics.published import PublishedEvaluation, published_metrics
from r1sgg_cli.metrics.published_unseen import published_unseen
from r1sgg_cli.metrics.setting import setting_of
from r1sgg_cli.scene_graph.listing import MISSING, NOT_ASKED


def published_evaluation(predictions: Predictions) -> PublishedEvaluation:
    """What the published evaluator would print of these graphs; zero-shot recall for VG150 alone.

    Numbers of what was not asked for are left out, and of given objects. Raises `DataError` where the published
    evaluator would stop, and where the file does not say which image came first in the data set: AP depends on it.
    """
    images = predictions.images
    whole = published_metrics(
        [image.ground_truth for image in images],
        [image.prediction for image in images],
        predictions.vocabulary,
        published_unseen(predictions.vocabulary),
        missing=[place for place, image in enumerate(images) if image.failure in (MISSING, NOT_ASKED)],
        first_image=_first_image(predictions),
    )
    setting = setting_of(predictions.provenance.get("task"))
    if setting == "SGDet":
        return whole
    is_of_objects = setting == "Detection"
    metrics = tuple(metric for metric in whole.metrics if (metric.averaging == "classes") == is_of_objects)
    if is_of_objects:
        return replace(whole, metrics=metrics, per_predicate={}, per_image={})
    return replace(whole, metrics=metrics, ap_per_class={})


def _first_image(predictions: Predictions) -> int:
    """The place of the data set's first image that has an object; any where none has."""
    gathered = predictions.provenance.get("gather", {})
    places = {image.image_id: place for place, image in enumerate(predictions.images)}
    if gathered.get("first_image", "") not in [None, *places]:
        raise DataError(
            "the file does not say which image came first in the data set (`first_image`), on which AP depends; "
            "`r1sgg gather` writes it"
        )
    return places.get(gathered["first_image"], 0)
