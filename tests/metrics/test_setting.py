"""What an answer had to find."""

from dataclasses import replace

import pytest

from r1sgg_cli.metrics.setting import setting_of

from .conftest import GraphMaker


@pytest.mark.parametrize(
    ("objects", "task", "setting"),
    [
        pytest.param([("man", 0), ("horse", 9)], "cls", "PredCls", id="asked for relationships alone"),
        pytest.param([("man", 0), ("dog", 9)], "sgg", "SGCls", id="the same boxes with other names"),
        pytest.param([("man", 0), ("horse", 9)], None, "SGDet", id="a perfect answer is no proof"),
        pytest.param([("man", 1), ("dog", 9)], None, "SGDet", id="other boxes"),
    ],
)
def test_the_setting_is_told_from_the_answers(
    make_graph: GraphMaker, objects: list[tuple[str, float]], task: str | None, setting: str
) -> None:
    truth, answer = make_graph([("man", 0), ("horse", 9)]), make_graph(objects)
    assert setting_of([truth, truth], [replace(answer, ids=truth.ids), None], task) == setting
