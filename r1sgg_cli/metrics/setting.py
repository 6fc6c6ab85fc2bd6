"""What an answer had to find: SGDet a whole graph, PredCls relationships of given objects, Detection objects alone.

It is what the answers were asked for. SGCls, where the boxes are given and the names are not, is asked for by no task:
answers that happen to repeat the annotated boxes are no sign of it.
"""

from typing import Literal

GraphSetting = Literal["SGDet", "PredCls", "Detection"]
GIVEN: dict[GraphSetting, str] = {
    "SGDet": "nothing is given: objects, boxes and relationships are the model's",
    "PredCls": "the annotated objects were given; relationships alone are the model's",
    "Detection": "nothing is given, and objects alone were asked for: no relationship is counted",
}


def setting_of(task: str | None) -> GraphSetting:
    """The setting of answers that were asked for a task, `sgg`, `det` or `cls`; None where the record does not say."""
    settings: dict[str | None, GraphSetting] = {"cls": "PredCls", "det": "Detection"}
    return settings.get(task, "SGDet")
