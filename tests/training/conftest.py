"""What the trainers' tests share."""

import pytest

from r1sgg_cli.rewards import REWARDS
from tests.training.token_reward import row_reward, token_reward


@pytest.fixture
def named_token_reward(monkeypatch: pytest.MonkeyPatch) -> str:
    """A reward that a random model can earn, under the name that recipes give it; and one that tells the row."""
    monkeypatch.setitem(REWARDS, "token_reward", token_reward)
    monkeypatch.setitem(REWARDS, "row_reward", row_reward)
    return "token_reward"
