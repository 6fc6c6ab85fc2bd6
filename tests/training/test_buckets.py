"""Gradients in DDP's buckets: one copy of them from the first micro-batch on, and nothing else that is learned."""

import json
import os
from pathlib import Path

import pytest

from tests.training import bucketed, warm
from tests.training.bucketed import ACCUMULATION, NUM_STEPS

NUM_BYTES = 4 * 5 * (32 * 32 + 32)
"""Of the gradients of five layers, in float32."""


@pytest.mark.slow
def test_gradients_lie_in_the_buckets_and_the_training_is_the_same_to_the_digit(tmp_path: Path) -> None:
    argv = ["--standalone", "--nproc-per-node", "2", "-m", bucketed.__name__, str(tmp_path)]
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_TORCH_DEVICE": "cpu"}
    said = tmp_path / "stderr"
    code = warm.start("torch.distributed.run", argv, said, environ).wait(timeout=600)
    assert code == 0, said.read_text(encoding="utf-8")
    told = [json.loads((tmp_path / f"{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1)]
    for beside, inside in told:
        assert len(inside["logs"]) == NUM_STEPS
        assert (inside["logs"], inside["weights"]) == (beside["logs"], beside["weights"])
        assert beside["seen"] == [[10, NUM_BYTES]] * (NUM_STEPS * ACCUMULATION)  # and as much again in the buckets
        assert inside["seen"] == [[1, NUM_BYTES]] * (NUM_STEPS * ACCUMULATION)  # one bucket holds all of this model
    assert told[0][1]["weights"] == told[1][1]["weights"]
