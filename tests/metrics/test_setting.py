"""What an answer had to find."""

import pytest

from r1sgg_cli.metrics.setting import setting_of


@pytest.mark.parametrize(
    ("task", "setting"), [("sgg", "SGDet"), (None, "SGDet"), ("cls", "PredCls"), ("det", "Detection")]
)
def test_the_setting_is_what_was_asked_for(task: str | None, setting: str) -> None:
    assert setting_of(task) == setting
