"""What `infer` is asked for."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from r1sgg_cli.config.schema import Task
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.models.sampling import Sampling

EngineName = Literal["vllm", "transformers"]


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A command of `infer`; None leaves the choice to what the checkpoint remembers of its training."""

    model: str
    out: Path
    dataset: str
    split: str | None = None
    images: Path | None = None
    """A folder of pictures to be answered in place of a data set."""
    vocabulary: str | None = None
    predefined_categories: bool | None = None
    think: bool | None = None
    max_pixels: int | None = None
    task: Task = "sgg"
    sampling: Sampling = field(default_factory=lambda: Sampling(max_new_tokens=2048))
    engine: EngineName | None = None
    """None: vLLM where it is installed for this machine and there is a GPU, else transformers.

    Whatever the model is: each family was seen to answer the same in both.
    """
    batch_size: int | None = None
    """Images that are answered at once; None: the engine's own."""
    structured: bool = False
    """Decoding is constrained to scene graphs."""
    limit: int | None = None
    """Only so many first images."""

    def __post_init__(self) -> None:
        """Raises `ConfigError` for what would be without effect or has no answer."""
        sampling = self.sampling
        if sampling.temperature == 0 and (sampling.num_answers > 1 or sampling.top_p < 1 or sampling.top_k):
            raise ConfigError(
                "greedy answers of an image are all the same; give `--temperature`, as in `--temperature 0.7`, "
                "or leave out `--num-answers`, `--top-p` and `--top-k`"
            )
        if sampling.top_p == 0:
            raise ConfigError("`--top-p 0` leaves no token to write; give a share of the mass, or a temperature of 0")
        if self.images is not None and self.task == "cls":
            raise ConfigError(
                "`--task cls` asks about annotated objects, which pictures without a data set do not have"
            )
