"""What the trainers' tests share."""

import json
import os
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

import pytest
from filelock import FileLock

from tests.training.schooled import STEPS, Schooled, train


@pytest.fixture(scope="session")
def schooled(
    tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> Schooled:
    """Two minutes of training, once for all of pytest's workers.

    The best by failure rate is kept, which is the first that writes graphs at all.
    """
    folder, half = tmp_path_factory.getbasetemp(), STEPS // 2
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    out, told = folder / "schooled", folder / "schooled.json"
    with FileLock(folder / "schooled.lock"):
        if not told.exists():
            overrides = (f"max_steps={STEPS}", f"checkpoint_every={half}", "keep_checkpoints=1")
            evaluated = (f"evaluation.every={half}", "evaluation.best_by=failure_rate")
            with redirect_stderr(StringIO()) as said:
                train("sft", tiny_checkpoint("qwen2_vl"), synthetic_dataset, out, *overrides, *evaluated)
            told.write_text(json.dumps([str(synthetic_dataset), said.getvalue()]), encoding="utf-8")
    dataset, messages = json.loads(told.read_text(encoding="utf-8"))
    return Schooled(out, Path(dataset), messages)
