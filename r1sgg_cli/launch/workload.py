"""What the processes of a run compute and hold at once, as its memory is forecast from it."""

from dataclasses import dataclass
from typing import Literal

from r1sgg_cli.config.schema import Precision, Sharding

Device = Literal["cuda", "cpu"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStep:
    """What one process computes at once."""

    stage: Literal["sft", "grpo"]
    micro_batch: int
    prompt_tokens: int
    """Of the longest prompt, image tokens included."""
    completion_tokens: int
    """Of the longest answer."""
    image_tokens: int
    """Of the largest image; `ModelShape.image_tokens` knows them. 0 without an image."""
    precision: Precision = "bf16"
    lora_rank: int | None = None
    """Adapters on the language model's linear layers are trained; None trains all weights."""
    frozen_in_bf16: bool = False
    """Whether weights that adapters leave alone are kept in bf16."""
    in_four_bits: bool = False
    """Whether the language model's linear layers are kept in 4 bits, and turned to numbers when they are used."""
    gradient_checkpointing: bool = True
    freeze_vision: bool = False
    num_shared_rows: int | None = None
    """Rows in which answers to one prompt share it (GRPO); None: each sequence has a row of its own."""
    answers_per_row: int = 1
    """The most of them in a row."""
    has_reference: bool = False
    """Whether a second model stands beside the trained one, for GRPO with `beta`; adapters need none."""

    @property
    def num_rows(self) -> int:
        """Rows of a forward pass; each has an image."""
        return self.micro_batch if self.num_shared_rows is None else self.num_shared_rows

    @property
    def row_tokens(self) -> int:
        """Of the longest row."""
        return self.prompt_tokens + self.answers_per_row * self.completion_tokens

    @property
    def is_masked(self) -> bool:
        """Whether attention is given a mask: sequences of several lengths are in a batch, or share a row."""
        if self.num_shared_rows is not None:
            return self.answers_per_row > 1
        return self.stage == "grpo" or self.micro_batch > 1

    @property
    def mask_bytes(self) -> int:
        """Bytes of an entry of that mask; one of shared rows is of the numbers it is added to."""
        return self.compute_bytes if self.num_shared_rows is not None else 1

    @property
    def compute_bytes(self) -> int:
        """Bytes of a number in a linear layer."""
        return 4 if self.precision == "float32" else 2

    @property
    def num_tokens(self) -> int:
        """Of all rows."""
        return self.num_rows * self.row_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a run is spread over processes."""

    sharding: Sharding = "ddp"
    world_size: int = 1
    processes_per_node: int = 1

    @property
    def is_deepspeed(self) -> bool:
        """Whether weights are kept as DeepSpeed keeps them."""
        return self.sharding.startswith("zero")

    def autocasts(self, step: TrainingStep) -> bool:
        """Whether float32 weights are turned to bf16 whenever they are used."""
        return self.sharding == "ddp" and step.precision != "float32" and not step.frozen_in_bf16

    @property
    def is_offloaded(self) -> bool:
        """Whether the optimizer is in host memory."""
        return self.sharding.endswith("-offload")


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutLoad:
    """What sampling adds to a training process."""

    num_sequences: int
    """That a process samples at once: for one step all of them."""
    vllm_bytes: int | None = None
    """Bytes of the card that a colocated vLLM takes; None: `generate` samples."""
