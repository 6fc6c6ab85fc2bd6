"""What `infer` is asked for."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from r1sgg_cli.config.schema import Task
from r1sgg_cli.models.sampling import Sampling

EngineName = Literal["vllm", "transformers"]


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A command of `infer`; None leaves the choice to what the checkpoint remembers of its training."""

    model: str
    out: Path
    dataset: str
    split: str | None = None
    vocabulary: str | None = None
    predefined_categories: bool | None = None
    think: bool | None = None
    max_pixels: int | None = None
    task: Task = "sgg"
    sampling: Sampling = field(default_factory=lambda: Sampling(max_new_tokens=2048))
    engine: EngineName | None = None
    """None: vLLM where it is installed for this machine and knows the model, else transformers."""
    batch_size: int | None = None
    """Images that are answered at once; None: the engine's own."""
    structured: bool = False
    """Decoding is constrained to scene graphs."""
    limit: int | None = None
    """Only so many first images."""
