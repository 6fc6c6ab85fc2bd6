"""How weights, gradients and optimizer are spread over the processes, and the proof that they are.

Three ways to train something else without a word, each refused here before the first step: a DeepSpeed configuration
without a `bf16` block trains in float32 whatever the Trainer's own option says; the Trainer's FSDP is plain DDP on a
CPU; and ranks that do not know of each other train a model each.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from r1sgg_cli.config.schema import GRPORun, SFTRun, Sharding
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.training.float8 import computes_in_float8

_STAGES: Mapping[Sharding, int] = {"zero2": 2, "zero2-offload": 2, "zero3": 3, "zero3-offload": 3}


def sharding_options(run: SFTRun | GRPORun) -> dict[str, Any]:
    """What the Trainer's configuration takes for `run.sharding`. Raises `ConfigError` where that cannot be had."""
    if run.sharding == "ddp":
        return {}
    if run.stage == "sft" and run.recipe.optimizer == "muon":
        raise ConfigError(
            f"`optimizer: muon` needs whole matrices, which `sharding: {run.sharding}` cuts; "
            "use `--set optimizer=adamw`, or a preset with `sharding: ddp`"
        )
    if run.sharding == "fsdp2":
        return {"fsdp": True, "fsdp_config": _fsdp2_config()}
    if find_spec("deepspeed") is None:
        raise ConfigError(f"`sharding: {run.sharding}` needs DeepSpeed; `uv sync --extra deepspeed` installs it")
    return {"deepspeed": deepspeed_config(run)}


def deepspeed_config(run: SFTRun | GRPORun) -> dict[str, Any]:
    """DeepSpeed's configuration; the Trainer fills in what is `auto` from its own."""
    stage = _STAGES[run.sharding]
    zero: dict[str, Any] = {"stage": stage, "overlap_comm": True, "contiguous_gradients": True}
    if run.sharding.endswith("-offload"):
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    if stage == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True  # else the finished model is in pieces
        if run.sharding.endswith("-offload"):
            zero["offload_param"] = {"device": "cpu", "pin_memory": True}
    return {
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "zero_optimization": zero,
        **({"bf16": {"enabled": True}} if run.precision == "bf16" else {}),
    }


def _fsdp2_config() -> dict[str, Any]:
    return {
        "version": 2,
        "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "reshard_after_forward": True,
        "state_dict_type": "FULL_STATE_DICT",
    }


class InsistOnSharding(TrainerCallback):
    """Ends the run before its first step if it is not spread as asked."""

    def __init__(self, trainer: Trainer, run: SFTRun | GRPORun) -> None:
        self.trainer = trainer
        self.asked = (run.sharding, run.precision, run.world_size)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """The model is wrapped by now. Raises `ConfigError`."""
        found = sharding_in_force(self.trainer)
        if found != self.asked:
            raise ConfigError(
                f"the run asks for {_said(self.asked)}, and this machine would train with {_said(found)}; "
                "use another preset, or the options that its `sharding` works with"
            )


def _said(spread: tuple[str, str, int]) -> str:
    sharding, precision, num_processes = spread
    return (
        f"`sharding: {sharding}` in {precision} on {num_processes} {'process' if num_processes == 1 else 'processes'}"
    )


def sharding_in_force(trainer: Trainer) -> tuple[str, str, int]:
    """Sharding, precision and number of processes, read from the model as the trainer has wrapped it."""
    model, accelerator = trainer.model_wrapped, trainer.accelerator
    mixed = "bf16" if accelerator.mixed_precision == "bf16" else "float32"
    mixed = "fp8" if mixed == "bf16" and computes_in_float8(model) else mixed
    if isinstance(model, FSDPModule):
        shards = {p.device_mesh.size() if isinstance(p, DTensor) else 1 for p in model.parameters()}
        return "fsdp2", mixed, min(shards)
    if hasattr(model, "zero_optimization_stage"):  # DeepSpeed's engine; a type of its own only where it is installed
        offload = model.zero_offload_optimizer()
        suffix = "-offload" if offload is not None and offload.device != "none" else ""
        precision = "bf16" if model.bfloat16_enabled() else "float32"
        return f"zero{model.zero_optimization_stage()}{suffix}", precision, model.world_size
    num_processes = accelerator.num_processes if isinstance(model, DistributedDataParallel) else 1
    return "ddp", mixed, num_processes
