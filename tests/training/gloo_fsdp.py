"""`r1sgg` on CPU processes that accelerate takes for GPUs: it would not shard a model over others."""

from typing import Any

from accelerate.state import DistributedType, PartialState

from r1sgg_cli.__main__ import main


def gloo_as_gpus(*_: Any) -> tuple[str, DistributedType]:
    """What accelerate takes for the backend and kind of the processes."""
    return "gloo", DistributedType.MULTI_GPU


if __name__ == "__main__":
    PartialState._prepare_backend = gloo_as_gpus
    main()
