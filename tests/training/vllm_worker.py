"""`r1sgg` with vLLM engines on a CPU; at its end each process leaves the weights that its engine has.

With `R1SGG_TEST_FSDP` set, its processes are taken for GPUs, so that they shard a model; with `R1SGG_TEST_ZERO`,
DeepSpeed compiles nothing for them.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate.state import PartialState
from safetensors.torch import save_file

from r1sgg_cli.__main__ import main
from r1sgg_cli.training import grpo
from r1sgg_cli.training.rollouts import end_engine
from tests.training.gloo_fsdp import gloo_as_gpus
from tests.training.vllm_on_cpu import colocated_on_cpu, engine_weights

FSDP = "R1SGG_TEST_FSDP"
ZERO = "R1SGG_TEST_ZERO"


def engine_file(out: Path, rank: int) -> Path:
    """The weights that the engine of a process has in the end."""
    return out / "logs" / f"engine-{rank}.safetensors"


def _leaving_weights(end_engine: Callable[[Any], None]) -> Callable[[Any], None]:
    def leave_weights(trainer: Any) -> None:
        trainer.vllm_generation.sync_weights()  # as before any generation; it would not have those of the last step
        weights = {name: weight.detach().clone() for name, weight in engine_weights(trainer.vllm_generation).items()}
        save_file(weights, engine_file(Path(trainer.args.output_dir), trainer.accelerator.process_index))
        end_engine(trainer)

    return leave_weights


if __name__ == "__main__":
    if FSDP in os.environ:
        PartialState._prepare_backend = gloo_as_gpus
    if ZERO in os.environ:
        from tests.training.gloo_deepspeed import leave_operator_out

        leave_operator_out()
    with colocated_on_cpu() as patch:
        patch.setattr(grpo, "end_engine", _leaving_weights(end_engine))
        main()
