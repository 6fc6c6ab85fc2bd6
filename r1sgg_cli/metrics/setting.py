"""What an answer had to find: SGDet a whole graph, PredCls relationships of given objects, SGCls names as well."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from r1sgg_cli.scene_graph.graph import SceneGraph

Setting = Literal["SGDet", "PredCls", "SGCls"]
GIVEN: dict[Setting, str] = {
    "SGDet": "nothing is given: objects, boxes and relationships are the model's",
    "SGCls": "the annotated boxes were given; names and relationships are the model's",
    "PredCls": "the annotated objects were given; relationships alone are the model's",
}


def setting_of(
    ground_truths: Sequence[SceneGraph], predictions: Sequence[SceneGraph | None], task: str | None
) -> Setting:
    """The setting of a split's answers.

    PredCls where the answers were asked for relationships alone (`task` is `cls`); SGCls where in every answer that
    could be read the boxes are the annotated ones, one by one, and some name is not; SGDet in every other case.
    """
    if task == "cls":
        return "PredCls"
    read = [(truth, graph) for truth, graph in zip(ground_truths, predictions, strict=True) if graph is not None]
    has_given_boxes = all(np.array_equal(truth.boxes_xyxy, graph.boxes_xyxy) for truth, graph in read)
    return "SGCls" if has_given_boxes and any(truth.names != graph.names for truth, graph in read) else "SGDet"
