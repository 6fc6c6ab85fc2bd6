"""The schema of an experiment, `r1sgg.yaml`: one model's way from annotations to numbers, in stages.

Without a file it is the paper's R1-SGG-Zero 2B on VG150: GRPO from the base model (section 4), then the numbers.
"""

from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, field_validator, model_validator

from r1sgg_cli.config.hardware import Environment, Slurm
from r1sgg_cli.config.layers import validated
from r1sgg_cli.config.published_sets import TEST_SET_OF, VG150_TRAIN
from r1sgg_cli.config.schema import Strict
from r1sgg_cli.config.yaml import load_yaml
from r1sgg_cli.errors import ConfigError

EXPERIMENT_FILE = "r1sgg.yaml"
StageName = Literal["prepare", "sft", "grpo", "infer", "gather", "eval"]
STAGES: tuple[StageName, ...] = get_args(StageName)
"""In the order in which they run."""


class PrepareStage(Strict):
    """Write the data set first: `r1sgg prepare SOURCE --out DATASET` with its options."""

    source: str
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of `r1sgg prepare` under their long names: `images: photos`, `limit: 1000`, `strict: true`."""


class TrainStage(Strict):
    """SFT or GRPO."""

    recipe: str | None = None
    """A shipped recipe's name or a file; the published settings when not given."""
    preset: str | None = None
    """The experiment's when not given."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Recipe fields on top of the recipe: `learning_rate: 1e-6`."""


class InferStage(Strict):
    """Answers for every image of the test split."""

    preset: str | None = None
    num_tasks: PositiveInt = 4
    """Array tasks, each with one GPU; they take their images from one queue."""
    predefined_categories: bool | None = None
    """As in training when not given."""
    think: bool | None = None
    max_new_tokens: PositiveInt = 2048
    batch_size: PositiveInt | None = None
    """Images answered at once; the engine's own when not given."""
    engine: Literal["vllm", "transformers"] | None = None
    """vLLM where it is installed and there is a GPU when not given."""
    structured: bool = False
    """Answers are scene graphs by construction; needs vLLM."""
    temperature: NonNegativeFloat = 0.0
    """0: greedy."""
    num_answers: PositiveInt = 1
    """Per image; more than one needs a temperature."""
    limit: PositiveInt | None = None
    """Only the first images of the split."""
    gather: dict[str, bool | int | str] = Field(default_factory=dict)
    """Options of `r1sgg gather` under their long names: `wordnet: true`, `aliases: false`, `pick: majority`."""


class Experiment(Strict):
    """Everything that `r1sgg submit` runs."""

    out: Path = Path("runs/r1-sgg-zero-2b")
    """Holds everything: the stages' runs, answers, predictions, numbers, job scripts and logs."""
    model: str = "Qwen/Qwen2-VL-2B-Instruct"
    preset: str = "a100-16x"
    dataset: str = VG150_TRAIN
    """To train on; what `prepare` writes, where there is such a stage."""
    split: str = "train"
    test_dataset: str | None = None
    """To answer and evaluate; the published test set of a published `dataset`, or its own split `test_split`."""
    test_split: str | None = None
    vocabulary: str | None = None
    seed: NonNegativeInt = 42
    report_to: list[Literal["tensorboard", "wandb", "trackio"]] = Field(default_factory=list)
    slurm: Slurm = Slurm()
    """On top of each preset's, field by field: account, partition, …"""
    environment: Environment = Environment()
    prepare: PrepareStage | None = None
    sft: TrainStage | None = None
    grpo: TrainStage | None = None
    infer: InferStage | None = None

    @field_validator("out", "model", "dataset", "test_dataset", "vocabulary")
    @classmethod
    def a_file_may_have_that_name(cls, value: Path | str | None) -> Path | str | None:
        """Each may name a file, and is looked for: no system has one of such a name."""
        if value is not None and any("\0" in part or len(part.encode()) > 255 for part in Path(value).parts):
            raise ValueError("no part of a path may be longer than 255 bytes, or have a zero in it")
        return value

    @model_validator(mode="after")
    def there_is_something_to_do(self) -> Self:
        """An experiment without a stage is a file that says nothing."""
        if not (self.prepare or self.sft or self.grpo or self.infer):
            raise ValueError("no stage is named; give `prepare`, `sft`, `grpo` or `infer`")
        return self

    @model_validator(mode="after")
    def what_is_answered_is_known(self) -> Self:
        """Numbers of another data set than the one that was meant would be the worst of answers."""
        own = self.prepare is not None or self.dataset not in TEST_SET_OF
        if self.infer and self.test_dataset is None and self.test_split is None and own:
            raise ValueError(
                "say what is answered: `test_split: test` of the data set itself, or another `test_dataset`"
            )
        return self

    @property
    def tested(self) -> str | None:
        """The set that is answered where it is not the data set itself."""
        if self.test_dataset is None and self.test_split is None and self.prepare is None:
            return TEST_SET_OF.get(self.dataset)
        return self.test_dataset

    @property
    def hardware_overrides(self) -> dict[str, Any]:
        """What goes on top of a preset: the fields of `slurm` and `environment` that the file names."""
        parts = {"slurm": self.slurm, "environment": self.environment}
        named = {key: part.model_dump(exclude_unset=True) for key, part in parts.items()}
        return {key: values for key, values in named.items() if values}

    @property
    def stages(self) -> tuple[StageName, ...]:
        """The stages that run, in order; answers are always gathered and evaluated."""
        named = {"prepare": self.prepare, "sft": self.sft, "grpo": self.grpo}
        first = tuple(name for name in STAGES if named.get(name) is not None)
        return (*first, "infer", "gather", "eval") if self.infer else first


PUBLISHED = {"grpo": {"recipe": "grpo"}, "infer": {}}
"""What runs without a file."""


def load_experiment(path: Path | None) -> Experiment:
    """The experiment in a file, or the published one. Raises `ConfigError`."""
    if path is None:
        return validated(Experiment, PUBLISHED)
    values = load_yaml(path)
    if not values:
        raise ConfigError(f"`{path}` is empty; `r1sgg init` writes one to start from")
    try:
        return validated(Experiment, values)
    except ConfigError as error:
        raise ConfigError(f"`{path}`: {error}") from error
