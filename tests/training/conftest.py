"""What the trainers' tests share."""

from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import pytest

from r1sgg_cli.rewards import REWARDS
from tests.training.schooled import STEPS, Schooled, train
from tests.training.token_reward import row_reward, token_reward


@pytest.fixture
def named_token_reward(monkeypatch: pytest.MonkeyPatch) -> str:
    """A reward that a random model can earn, under the name that recipes give it; and one that tells the row."""
    monkeypatch.setitem(REWARDS, "token_reward", token_reward)
    monkeypatch.setitem(REWARDS, "row_reward", row_reward)
    return "token_reward"


@pytest.fixture(scope="session")
def schooled(
    tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> Schooled:
    """Half a minute of training; the best by failure rate is kept, which is the first that writes graphs at all."""
    out, half = tmp_path_factory.mktemp("schooled") / "run", STEPS // 2
    overrides = (f"max_steps={STEPS}", f"checkpoint_every={half}", "keep_checkpoints=1", f"evaluation.every={half}")
    with redirect_stderr(StringIO()) as said:
        train("sft", tiny_checkpoint("qwen2_vl"), synthetic_dataset, out, *overrides, "evaluation.best_by=failure_rate")
    return Schooled(out, synthetic_dataset, said.getvalue())
