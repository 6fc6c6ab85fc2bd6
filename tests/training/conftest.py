"""What the trainers' tests share."""

import pytest

from r1sgg_cli.rewards import REWARDS
from tests.training.length_reward import length_reward


@pytest.fixture
def named_length_reward(monkeypatch: pytest.MonkeyPatch) -> str:
    """A reward that a random model can earn, under the name that recipes give it."""
    monkeypatch.setitem(REWARDS, "length_reward", length_reward)
    return "length_reward"
