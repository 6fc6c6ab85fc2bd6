"""The published evaluator's numbers of a predictions file."""

from dataclasses import replace

from r1sgg_cli.data.predictions import Predictions
from r1sgg_cli.metrics.published import PublishedEvaluation, published_metrics
from r1sgg_cli.metrics.published_unseen import published_unseen
from r1sgg_cli.metrics.setting import setting_of
from r1sgg_cli.scene_graph.listing import MISSING, NOT_ASKED


def published_evaluation(predictions: Predictions) -> PublishedEvaluation:
    """What the published evaluator would print of these graphs; zero-shot recall for VG150 alone.

    Files of older versions do not say which image came first in the data set; then it is the first by id, and AP loses
    another object than there. Numbers of what was not asked for are left out, and of given objects. Raises `DataError`
    where the published evaluator would stop.
    """
    images = predictions.images
    first_id = predictions.provenance.get("gather", {}).get("first_image")
    whole = published_metrics(
        [image.ground_truth for image in images],
        [image.prediction for image in images],
        predictions.vocabulary,
        published_unseen(predictions.vocabulary),
        missing=[place for place, image in enumerate(images) if image.failure in (MISSING, NOT_ASKED)],
        first_image=next((place for place, image in enumerate(images) if image.image_id == first_id), 0),
    )
    setting = setting_of(predictions.provenance.get("task"))
    if setting == "SGDet":
        return whole
    is_of_objects = setting == "Detection"
    metrics = tuple(metric for metric in whole.metrics if (metric.averaging == "classes") == is_of_objects)
    if is_of_objects:
        return replace(whole, metrics=metrics, per_predicate={}, per_image={})
    return replace(whole, metrics=metrics, ap_per_class={})
