"""The schema of a run: what is learned (a recipe), from what, and where it is written.

A recipe never names hardware; a run adds the model, the data and what the plan computed for the machine (`micro_batch`,
`world_size`, `precision`, `sharding`, `rollouts`), which changes nothing that is learned. Defaults are the published
ones (paper section 4 and the published scripts), and each departure says why.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from r1sgg_cli.config.few_bits import refused_with_four_bits, refused_with_fp8

Task = Literal["sgg", "det", "cls"]
"""What an answer lists: objects and relationships, objects only, or the relationships between given objects."""
ThinkPrompt = Literal["system", "user"]
"""Which prompt asks for thoughts and tags."""
Precision = Literal["bf16", "float32", "fp8"]
"""What linear layers compute in; weights that are trained are float32. `fp8` is bf16 with 8 bits in them."""
Sharding = Literal["ddp", "zero2", "zero2-offload", "zero3", "zero3-offload", "fsdp2"]
"""How weights, gradients and optimizer are spread over the training processes; `ddp` keeps all of them on each."""
LongAnswers = Literal["shorten", "drop", "keep"]
"""What is done about a data set's answer that is longer than what a model may write."""
Measure = Literal["triplet_recall", "mean_recall", "triplet_f1", "object_recall", "box_ap50", "failure_rate"]
"""The numbers of an evaluation by which a checkpoint can be the best; of `failure_rate` the lowest."""


class Strict(BaseModel):
    """What users write: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class Lora(Strict):
    """Low-rank adapters (arXiv 2106.09685) are trained instead of the weights, and merged into the finished model."""

    rank: PositiveInt = 64
    alpha: PositiveInt = 128
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.05
    target_modules: str | list[str] = "all-linear"
    """peft's own names; `all-linear` leaves out embeddings and head."""
    quantize: Literal["nf4"] | None = None
    """Keep the language model's linear layers in 4 bits while adapters on them are trained (QLoRA, arXiv 2305.14314);
    the finished model has the adapters in the weights as they were before."""


class Evaluation(Strict):
    """While it trains, the model answers held-out images greedily, scored as `infer`, `gather` and `eval` would."""

    every: PositiveInt = 100
    """Optimizer steps; the model before the first step and the one after the last are scored as well."""
    dataset: str | None = None
    """Where the images are; the published test set of a published data set, else the run's own, when not given."""
    split: str | None = None
    """`test` when not given; a published test set has one only."""
    num_images: PositiveInt = 200
    """Drawn once, by their ids and `seed`: the same at each evaluation, and in runs that are compared."""
    seed: NonNegativeInt = 0
    images_at_once: PositiveInt = 8
    """Answered together where transformers generates; changes memory and speed, nothing that is measured."""
    best_by: Measure | None = None
    """The finished model is the checkpoint that is best in this; None: the model after the last step."""


class _Recipe(Strict):
    learning_rate: PositiveFloat
    """Peak learning rate."""
    num_epochs: PositiveFloat
    max_steps: PositiveInt | None = None
    """Optimizer steps; takes the place of `num_epochs`."""
    warmup: Annotated[float, Field(ge=0)] = 0.0
    """Warm-up: a share of all steps below 1, a number of steps from 1 up."""
    lr_schedule: Literal["linear", "cosine", "constant"] = "linear"
    adam_beta2: Annotated[float, Field(gt=0, lt=1)] = 0.999
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: PositiveFloat = 1.0
    max_pixels: PositiveInt
    """Images are resized once, to at most this many pixels."""
    predefined_categories: bool = False
    """Whether the prompt lists the categories."""
    think: bool
    """Whether answers are written as `<think>…</think><answer>…</answer>`."""
    think_prompt: ThinkPrompt = "system"
    """Which prompt asks for that; `user` is the published `--use_think_prompt_inplace`."""
    tasks: dict[Task, PositiveFloat] = {"sgg": 1.0}
    """Task -> weight: the share of a data set's rows that are asked in its form, anew in each epoch."""
    shuffle_objects: bool = False
    """Whether objects (numbered anew) and relationships stand in another order in each epoch."""
    long_answers: LongAnswers
    """What is done about answers that are longer than the limit: `shorten` keeps whole items, `drop` the other rows."""
    freeze_vision: bool = False
    """Keep the image encoder as it is; Qwen's contains the projector to the language model, InternVL's does not."""
    lora: Lora | None = None
    """Train adapters; None trains all weights."""
    checkpoint_every: PositiveInt = 100
    """Optimizer steps between checkpoints; a killed run loses at most this many."""
    keep_checkpoints: PositiveInt = 2
    """The last ones; the best one by `evaluation.best_by` is kept beside them."""
    evaluation: Evaluation | None = None
    """Off when not given: on one GPU without vLLM, 200 answers take as long as many steps."""
    trainer: dict[str, Any] = {}
    """Any option of TRL's trainer config under its own name."""

    @model_validator(mode="after")
    def some_task_is_named(self) -> Self:
        """A run without a task asks nothing."""
        if not self.tasks:
            raise ValueError("`tasks` names no task; there are sgg, det and cls")
        return self

    @model_validator(mode="after")
    def a_model_that_may_be_the_best_is_saved(self) -> Self:
        """The best model would be gone if no checkpoint were written where it is evaluated."""
        chosen = self.evaluation if self.evaluation and self.evaluation.best_by else None
        if chosen and self.trainer.get("save_strategy", "steps") != "steps":
            raise ValueError("`evaluation.best_by` chooses among checkpoints: leave out `trainer.save_strategy`")
        if chosen and chosen.every % self.checkpoint_every:
            raise ValueError(
                f"`evaluation.best_by` chooses among checkpoints, and those of every {self.checkpoint_every} steps are "
                f"not there at every {chosen.every} steps: `--set checkpoint_every={chosen.every}`"
            )
        return self

    @model_validator(mode="after")
    def a_think_prompt_is_used(self) -> Self:
        """Without thoughts there is no instruction whose place could be chosen."""
        if self.think_prompt == "user" and not self.think:
            raise ValueError(
                "`think_prompt: user` says where thoughts are asked for, and `think` is off; set `think=true`"
            )
        return self


class SFTRecipe(_Recipe):
    """Supervised fine-tuning (published: batch 128, 1e-5, 3 epochs, warm-up 5 %, gradient norm 0.3).

    Departure: an answer longer than what `infer` lets a model write is shortened; learned whole, it would be cut off.
    """

    batch_size: PositiveInt = 128
    learning_rate: PositiveFloat = 1e-5
    num_epochs: PositiveFloat = 3
    warmup: Annotated[float, Field(ge=0)] = 0.05
    max_grad_norm: PositiveFloat = 0.3
    max_pixels: PositiveInt = 1024 * 28 * 28
    think: bool = False
    long_answers: LongAnswers = "shorten"
    max_answer_tokens: PositiveInt = 2048
    """The limit of `long_answers`, end token included; as many tokens as `infer` lets a model write."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`muon`: Muon for the hidden matrices, AdamW for everything else; learns faster from random weights."""
    muon_learning_rate: PositiveFloat = 8e-3
    """Peak learning rate of the hidden matrices under `optimizer: muon`."""


class GRPORecipe(_Recipe):
    """GRPO (published: 32 prompts x 8 generations, 6e-7, 1 epoch, temperature 1, beta 0, 1,024 new tokens).

    Departure: the published sampling (`top_p` 0.9, `top_k` 50) is truncated, while the trainer's log-probabilities
    are those of the full distribution; the policy gradient is then one of a policy that was not sampled (trl#6789).
    """

    prompts_per_step: PositiveInt = 32
    num_generations: Annotated[int, Field(ge=2)] = 8
    learning_rate: PositiveFloat = 6e-7
    num_epochs: PositiveFloat = 1
    temperature: PositiveFloat = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    beta: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the KL term."""
    max_new_tokens: PositiveInt = 1024
    max_pixels: PositiveInt = 512 * 28 * 28
    think: bool = True
    long_answers: LongAnswers = "keep"
    """Its limit is `max_new_tokens`."""
    rewards: dict[str, PositiveFloat] = {"format_reward": 1.0, "edge_hard_reward": 1.0}
    """Reward name -> weight on top of the published weight (1, 2, 2, 5, 5, 5) that the reward carries already."""
    show_every: PositiveInt = 10
    """Optimizer steps from one of which some answers are kept, to be looked at, to the next; and the first and last."""
    similarity: str = "exact"
    """How labels are compared in the soft rewards: `exact`, `spacy`, `spacy:MODEL`, `sentence-transformers:MODEL`."""

    @model_validator(mode="after")
    def some_reward_is_named(self) -> "GRPORecipe":
        """A run without rewards learns nothing."""
        if not self.rewards:
            raise ValueError("`rewards` names no reward")
        return self


class Rollouts(Strict):
    """Who samples a GRPO run's answers."""

    engine: Literal["transformers", "colocated", "server"] = "transformers"
    """`generate` of the training process; a vLLM engine in each; one vLLM server (TRL takes a single address)."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """The share of a GPU's memory that a colocated vLLM takes."""
    server_url: str | None = None


class Cards(Strict):
    """The GPUs of a run, by which its speed is measured."""

    number: PositiveInt
    """All of them, also those on which servers sample."""
    bf16_tflops: PositiveFloat | None = None
    """The peak of one, where it is known."""


class _RunConfig(Strict):
    model: str
    """A checkpoint's folder or its name on the hub."""
    dataset: str
    """A folder written by `r1sgg prepare`, or a data set's name on the hub."""
    split: str | None = None
    """The data set's split; its `train` split when not given."""
    vocabulary: str | None = None
    """`vg150`, `psg` or a file; a data set's own vocabulary when not given."""
    out: Path
    seed: NonNegativeInt = 42
    micro_batch: PositiveInt = 4
    """Sequences in one forward pass; changes memory and speed, never what is learned."""
    precision: Precision
    gradient_checkpointing: bool = True
    """Compute activations a second time instead of keeping them: less memory, a third more work, the same gradient."""
    world_size: PositiveInt = 1
    """Training processes; each has `1 / world_size` of a batch."""
    sharding: Sharding = "ddp"
    stop_file: Path | None = None
    """A run that finds this file saves a checkpoint and stops at the end of the step."""
    step_timeout_minutes: PositiveFloat = 60
    """A run in which no step ends for so long says where it hangs and ends: a node may be gone."""
    report_to: list[Literal["tensorboard", "wandb", "trackio"]] = []
    """Besides `metrics.jsonl`, which is always written."""
    cards: Cards | None = None
    """None on a CPU."""

    @property
    def frozen_in_bf16(self) -> bool:
        """Whether weights beside adapters are loaded in bf16: they do not change, and take half the memory.

        Not where vLLM samples: TRL adds the adapters to them and takes them off again for each synchronisation, and in
        bf16 they would drift.
        """
        recipe: SFTRecipe | GRPORecipe = self.recipe  # type: ignore[attr-defined]
        uses_vllm = isinstance(self, GRPORun) and self.rollouts.engine != "transformers"
        return recipe.lora is not None and self.precision == "bf16" and self.sharding == "ddp" and not uses_vllm

    @property
    def in_four_bits(self) -> bool:
        """Whether adapters are trained on weights of 4 bits."""
        recipe: SFTRecipe | GRPORecipe = self.recipe  # type: ignore[attr-defined]
        return recipe.lora is not None and recipe.lora.quantize is not None

    @model_validator(mode="after")
    def four_bits_stay_as_they_are(self) -> Self:
        """Weights in 4 bits are neither cut, nor turned to other numbers, nor given to another engine."""
        engine = self.rollouts.engine if isinstance(self, GRPORun) else "transformers"
        if self.in_four_bits and (said := refused_with_four_bits(self.sharding, engine)):
            raise ValueError(said)
        return self

    @model_validator(mode="after")
    def eight_bits_are_for_fine_tuning(self) -> Self:
        """Where sampled and trained probabilities must be one, or little is multiplied, they are not worth it."""
        recipe: SFTRecipe | GRPORecipe = self.recipe  # type: ignore[attr-defined]
        stage = "grpo" if isinstance(self, GRPORun) else "sft"
        said = refused_with_fp8(stage, self.sharding, has_adapters=recipe.lora is not None)
        if self.precision == "fp8" and said:
            raise ValueError(said)
        return self

    def _check_micro_batch(self, num_sequences: int, what: str) -> None:
        """Every process has the same number of whole micro-batches."""
        if num_sequences % self.world_size:
            raise ValueError(
                f"the {num_sequences} {what} cannot be shared by {self.world_size} processes; use a preset with "
                f"{_largest_divisor(num_sequences, self.world_size)} training GPUs, or another batch"
            )
        share = num_sequences // self.world_size
        if share % self.micro_batch:
            each = f" on each of {self.world_size} processes" if self.world_size > 1 else ""
            raise ValueError(
                f"`--micro-batch {self.micro_batch}` does not divide the {share} {what}{each}; "
                f"`--micro-batch {_largest_divisor(share, self.micro_batch)}` does"
            )


def _largest_divisor(number: int, at_most: int) -> int:
    return next(size for size in range(min(number, at_most), 0, -1) if number % size == 0)


class SFTRun(_RunConfig):
    """Everything that a supervised fine-tuning worker reads."""

    stage: Literal["sft"] = "sft"
    recipe: SFTRecipe = SFTRecipe()

    @model_validator(mode="after")
    def micro_batch_divides_the_batch(self) -> "SFTRun":
        """The batch is cut into equal parts."""
        self._check_micro_batch(self.recipe.batch_size, "examples of a step")
        return self


class GRPORun(_RunConfig):
    """Everything that a GRPO worker reads."""

    stage: Literal["grpo"] = "grpo"
    recipe: GRPORecipe = GRPORecipe()
    rollouts: Rollouts = Rollouts()

    @model_validator(mode="after")
    def micro_batch_divides_the_completions(self) -> "GRPORun":
        """A step's completions, prompts times generations, are cut into equal parts."""
        self._check_micro_batch(self.recipe.prompts_per_step * self.recipe.num_generations, "answers of a step")
        return self

    @model_validator(mode="after")
    def vllm_samples_from_the_distribution_that_is_trained(self) -> Self:
        """vLLM's log-probabilities are renormalised to the tokens that sampling leaves, the trainer's are not."""
        corrected = self.recipe.trainer.get("vllm_importance_sampling_correction", True)
        if self.rollouts.engine != "transformers" and corrected and (distortion := self.distortion):
            raise ValueError(
                f"with `{distortion}` vLLM samples from another distribution than is trained, and its importance-"
                "sampling correction makes the gradient vanish (trl#6789); leave it out, let transformers sample, or "
                "`--set trainer.vllm_importance_sampling_correction=false`"
            )
        return self

    @property
    def distortion(self) -> str | None:
        """The first option under which a token's probability when sampled is not that of the full softmax."""
        trainer = self.recipe.trainer
        distorting = {
            "top_p": (self.recipe.top_p, 1.0),
            "top_k": (self.recipe.top_k, 0),
            "trainer.min_p": (trainer.get("min_p") or 0.0, 0.0),
            "trainer.repetition_penalty": (trainer.get("repetition_penalty", 1.0), 1.0),
            "trainer.vllm_structured_outputs_regex": (trainer.get("vllm_structured_outputs_regex"), None),
        }
        return next((f"{name}={value}" for name, (value, neutral) in distorting.items() if value != neutral), None)
