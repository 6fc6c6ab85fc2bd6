"""What the trainers' tests share."""

from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import pytest

from tests.training.schooled import STEPS, Schooled, train


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
