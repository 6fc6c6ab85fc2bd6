"""GRPO on graph rewards: TRL's `GRPOTrainer`, with the settings that make its update the paper's.

Departures from TRL's defaults, and from the published settings, each of which would change the run without a word:
1. The loss is the mean over all answer tokens of a step (`loss_type="dapo"`, as by default). The published "bnpo" takes
   that mean per micro-batch, so that a GPU's memory would change what is learned; on one micro-batch both are equal.
2. The policy never samples an image, video or vision token: one in an answer breaks the next forward pass
   (verl#7038, EasyR1#110). TRL suppresses the image token alone.
3. Images stay out of the logs (`log_multimodal`), which hold every picture of a step otherwise.
4. Who samples follows from `rollouts`; what TRL 1.16 does wrong with vLLM is mended in `training.rollouts`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from datasets import Dataset
from rich.console import Console
from torch.utils.data import Sampler
from trl import GRPOConfig, GRPOTrainer
from trl.trainer.utils import RepeatSampler

from r1sgg_cli.config.reward_names import check_rewards, needs_statistics
from r1sgg_cli.config.schema import GRPORun
from r1sgg_cli.data.statistics import load_train_statistics
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.models.families import trainable_family_of, unsampled_token_ids
from r1sgg_cli.rewards import REWARDS
from r1sgg_cli.rewards.chosen import chosen_rewards
from r1sgg_cli.scene_graph.similarity import load_similarity
from r1sgg_cli.training.checkpoints import ResumesRight
from r1sgg_cli.training.counts import CountsGraphs
from r1sgg_cli.training.evaluation import Evaluates
from r1sgg_cli.training.examples import lazy_examples
from r1sgg_cli.training.held_out import hold_out
from r1sgg_cli.training.importance import RatioFromUpdate
from r1sgg_cli.training.lora import lora_config
from r1sgg_cli.training.preflight import EnginesCompared, Preflight, WarnsOfDrift
from r1sgg_cli.training.processes import console_of_run, joined
from r1sgg_cli.training.rollouts import (
    SamplesRight,
    check_engine,
    default_options,
    end_engine,
    max_model_length,
    say_rollouts,
    stated_options,
    vllm_engine,
)
from r1sgg_cli.training.run_data import RunData, load_run_data
from r1sgg_cli.training.samples import KeepsRollouts
from r1sgg_cli.training.schedule import Epoch
from r1sgg_cli.training.scoring import SharesPrompts
from r1sgg_cli.training.showing import Sight
from r1sgg_cli.training.speed import TellsSpeedOfRollouts
from r1sgg_cli.training.worker import begun, examples_of, load_model, num_micro_batches, train, trainer_config


class EpochSampler(Sampler[int]):
    """TRL's sampler, whose order follows from the seed and the epoch.

    TRL draws each order from where the one before left its generator, which a resumed run does not know.
    """

    def __init__(self, sampler: RepeatSampler, epoch: Epoch) -> None:
        self.sampler = sampler
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        if self.sampler.shuffle:
            self.sampler.generator.manual_seed(self.sampler.seed + self.epoch.number)
        return iter(self.sampler)

    def __len__(self) -> int:
        return len(self.sampler)


class SceneGraphGRPOTrainer(
    KeepsRollouts,
    TellsSpeedOfRollouts,
    ResumesRight,
    Evaluates,
    CountsGraphs,
    EnginesCompared,
    SamplesRight,
    RatioFromUpdate,
    SharesPrompts,
    GRPOTrainer,
):
    """TRL's trainer that resumes from the weights it saved, in the order of rows that it had, samples right, scores
    held-out images, counts what the answers hold, runs the model once where TRL does so again and again, and tells how
    fast it is and what it samples."""

    def __init__(self, *, epoch: Epoch, **options: Any) -> None:
        super().__init__(**options)
        self.epoch = epoch

    def _get_train_sampler(self, dataset: Dataset | None = None) -> EpochSampler:
        return EpochSampler(super()._get_train_sampler(dataset), self.epoch)


def reward_functions(run: GRPORun) -> list[Any]:
    """The recipe's rewards with all that they need filled in, under the names that TRL logs. Raises `R1SGGError`."""
    recipe = run.recipe
    check_rewards(recipe, REWARDS)
    counts = load_train_statistics(run.dataset).predicates if needs_statistics(recipe.rewards) else None
    return list(chosen_rewards(recipe.rewards, load_similarity(recipe.similarity), counts))


def grpo_config(run: GRPORun, unsampled: Sequence[int] = (), max_model_length: int | None = None) -> GRPOConfig:
    """TRL's configuration of a run. Raises `ConfigError` for options that cannot be used.

    The checkpoint says which tokens are `unsampled`, and how long a vLLM engine's sequences are at most.
    """
    recipe = run.recipe
    accumulation = num_micro_batches(run, recipe.prompts_per_step * recipe.num_generations)
    config = trainer_config(
        GRPOConfig,
        run,
        {
            "loss_type": "dapo",
            "log_multimodal": False,
            "gradient_checkpointing": run.gradient_checkpointing,
            **default_options(run.rollouts, max_model_length),
        },
        gradient_accumulation_steps=accumulation,
        steps_per_generation=accumulation,  # one rollout of the whole batch a step: on policy
        num_generations=recipe.num_generations,
        max_completion_length=recipe.max_new_tokens,
        temperature=recipe.temperature,
        top_p=recipe.top_p,
        top_k=recipe.top_k,
        beta=recipe.beta,
        reward_weights=list(recipe.rewards.values()),
        **stated_options(run.rollouts, unsampled),
    )
    if config.num_iterations > 1 and recipe.checkpoint_every % config.num_iterations:
        raise ConfigError(  # a resumed run would sample at other steps than one that was never stopped
            f"`checkpoint_every` {recipe.checkpoint_every} must be a multiple of {config.num_iterations} iterations"
        )
    return config


def train_grpo(run: GRPORun, sight: Sight | None = None) -> None:
    """Train as `run` says; continue if its folder holds a part of it. Raises `R1SGGError` on a user's mistake.

    `sight` draws what the run shows of itself.
    """
    with joined(run):
        console = console_of_run()
        trainable_family_of(run.model)
        rewards = reward_functions(run)
        check_engine(run)
        arguments = grpo_config(run, unsampled_token_ids(run.model), max_model_length(run))
        data = load_run_data(run)
        _check_rows_suffice(run, data.rows)
        with begun(run, console) as is_new:
            if is_new:
                _train(run, arguments, data, rewards, sight, console)


def _check_rows_suffice(run: GRPORun, rows: Dataset) -> None:
    if len(rows) < run.recipe.prompts_per_step:
        raise ConfigError(
            f"`{run.dataset}` has {len(rows)} images, fewer than the {run.recipe.prompts_per_step} of one step; "
            f"`--set prompts_per_step={len(rows)}` or less"
        )


def _train(
    run: GRPORun,
    arguments: GRPOConfig,
    data: RunData,
    rewards: list[Any],
    sight: Sight | None,
    console: Console,
) -> None:
    recipe = run.recipe
    named = ", ".join(f"{weight:g} x {name}" for name, weight in recipe.rewards.items())
    console.print(f"rewards: {named}; label similarity: {recipe.similarity}")
    family, processor, model = load_model(run)
    maker, rows, epoch = examples_of(run, data, family, processor, recipe.max_new_tokens, console)
    _check_rows_suffice(run, rows)  # some may have been dropped
    say_rollouts(arguments, run.rollouts, console)
    with vllm_engine(run, maker.limits):
        trainer = SceneGraphGRPOTrainer(
            run=run,
            model=model,
            args=arguments,
            processing_class=processor,
            reward_funcs=rewards,
            epoch=epoch,
            train_dataset=lazy_examples(rows, maker.grpo_example, maker.key),
            peft_config=lora_config(recipe.lora, model),
            held_out=hold_out(run, data.held_out, family, processor) if data.held_out else None,
        )
    trainer.preflight = Preflight(run, maker.limits, console)
    trainer.add_callback(WarnsOfDrift(console))
    train(trainer, run, epoch, sight, console)
    end_engine(trainer)
