"""Supervised fine-tuning: TRL's `SFTTrainer`, with the loss on the answer and its end token and on nothing else."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from datasets import Dataset
from rich.console import Console
from torch.utils.data import Sampler
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from r1sgg_cli.config.schema import SFTRun
from r1sgg_cli.errors import ModelError
from r1sgg_cli.models.checkpoint import end_token_ids
from r1sgg_cli.models.families import ModelFamily, trainable_family_of
from r1sgg_cli.training.checkpoints import ResumesRight
from r1sgg_cli.training.evaluation import Evaluates
from r1sgg_cli.training.examples import NUM_TOKENS, lazy_examples
from r1sgg_cli.training.head import IGNORED, AnswersAlone
from r1sgg_cli.training.held_out import hold_out
from r1sgg_cli.training.loading import loader_options
from r1sgg_cli.training.lora import lora_config
from r1sgg_cli.training.optimizer import optimizer_class_and_options
from r1sgg_cli.training.order import LongestFirst
from r1sgg_cli.training.processes import console_of_run, joined
from r1sgg_cli.training.run_data import RunData, load_run_data
from r1sgg_cli.training.schedule import Epoch
from r1sgg_cli.training.showing import Sight
from r1sgg_cli.training.speed import TellsSpeed
from r1sgg_cli.training.worker import begun, examples_of, load_model, num_micro_batches, train, trainer_config


@dataclass
class AnswerCollator(DataCollatorForVisionLanguageModeling):
    """TRL's collator, with no loss on what the chat template writes after the answer's end token."""

    end_token_ids: tuple[int, ...] = field(kw_only=True)

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """One batch; `labels` are -100 everywhere but on the answer and its end token."""
        batch = super().torch_call(examples)
        labels = batch["labels"]
        is_end = torch.isin(labels, torch.tensor(self.end_token_ids))
        # Tokens after which no end token follows lie behind the answer.
        ends_to_come = is_end.flip(-1).cumsum(-1).flip(-1)
        batch["labels"] = torch.where(ends_to_come > 0, labels, IGNORED)
        return batch


def check_answers_end(processor: Any, end_ids: Sequence[int], model: str) -> None:
    """Make sure that the chat template closes an answer with an end token. Raises `ModelError`."""
    turn = {"role": "assistant", "content": [{"type": "text", "text": "ANSWER"}]}
    after = processor.apply_chat_template([turn], tokenize=False).partition("ANSWER")[2]
    ends = processor.tokenizer.convert_ids_to_tokens(list(end_ids))
    if not any(end in after for end in ends):
        named = " or ".join(f"`{end}`" for end in ends)
        raise ModelError(f"`{model}` does not end an answer with its end token {named}; use its Instruct version")


class SceneGraphSFTTrainer(TellsSpeed, ResumesRight, Evaluates, SFTTrainer):
    """TRL's trainer that resumes from the weights it saved, and whose loss is a mean over the answer tokens of a step.

    transformers 5.17 marks Qwen2.5-VL and Qwen3-VL as not taking the step's number of tokens (`accepts_loss_kwargs`),
    though they hand it to their loss as every other family does; the Trainer then averages the micro-batches' means,
    and a GPU's memory would change what is learned.
    """

    def __init__(self, *, epoch: Epoch, **options: Any) -> None:
        super().__init__(**options)
        self.epoch = epoch
        self.model_accepts_loss_kwargs = True
        needs_logits = self.label_smoother is not None
        self.answers = AnswersAlone(self.model) if self.args.device.type == "cpu" and not needs_logits else None

    def compute_loss(self, model: Any, inputs: dict[str, Any], *options: Any, **named: Any) -> Any:
        """TRL's loss, over the answers' positions alone."""
        return super().compute_loss(
            model, self.answers.scored(inputs) if self.answers and model.training else inputs, *options, **named
        )

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler[int] | None:
        """Rows of like length in each micro-batch, unless the recipe's `train_sampling_strategy` asks for others."""
        if self.args.train_sampling_strategy != "random":
            return super()._get_train_sampler(train_dataset)
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        lengths = self.train_dataset.with_format(None)[NUM_TOKENS][:]
        return LongestFirst(lengths, self._rows_of_a_step(), seed, self.epoch)

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Any], Any]:
        """A step's micro-batches of this process, and the number of tokens that all processes learn in it.

        accelerate fills an epoch's last step up with rows from its beginning, so that every process has as many as the
        others; no loss falls on those, or a row would count as often as there are processes.
        """
        batches, num_tokens = super().get_batch_samples(epoch_iterator, num_batches, device)
        if self.args.world_size == 1 or self.args.dataloader_drop_last:
            return batches, num_tokens
        step_of_epoch = self.state.global_step % math.ceil(len(self.train_dataset) / self._rows_of_a_step())
        for number, batch in enumerate(batches, start=step_of_epoch * self.args.gradient_accumulation_steps):
            begin = (number * self.args.world_size + self.args.process_index) * self.args.per_device_train_batch_size
            batch["labels"][max(0, len(self.train_dataset) - begin) :] = IGNORED
        return batches, self._get_num_items_in_batch(batches, device)

    def _rows_of_a_step(self) -> int:
        args = self.args
        return int(args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size)


def sft_config(run: SFTRun, console: Console) -> SFTConfig:
    """TRL's configuration of a run. Raises `ConfigError`."""
    accumulation = num_micro_batches(run, run.recipe.batch_size)
    return trainer_config(
        SFTConfig,
        run,
        {"gradient_checkpointing": run.gradient_checkpointing, **loader_options(run, accumulation, console)},
        gradient_accumulation_steps=accumulation,
        max_length=None,  # TRL's 1,024 would cut image tokens off
        completion_only_loss=True,
    )


def train_sft(run: SFTRun, sight: Sight | None = None) -> None:
    """Fine-tune as `run` says; continue if its folder holds a part of it. Raises `R1SGGError` on a user's mistake.

    `sight` draws what the run shows of itself.
    """
    with joined(run):
        console = console_of_run()
        trainable_family_of(run.model)
        arguments = sft_config(run, console)
        data = load_run_data(run)
        with begun(run, console) as is_new:
            if is_new:
                trainer, epoch = sft_trainer(run, arguments, data, load_model(run), console)
                train(trainer, run, epoch, sight, console)


def sft_trainer(
    run: SFTRun,
    arguments: SFTConfig,
    data: RunData,
    loaded: tuple[ModelFamily, Any, Any],
    console: Console,
) -> tuple[SceneGraphSFTTrainer, Epoch]:
    """The trainer of a run, and the epoch that its rows go by; `loaded` is what `load_model` gives.

    Raises `R1SGGError` where the model or a row cannot be used.
    """
    recipe = run.recipe
    family, processor, model = loaded
    end_ids = end_token_ids(processor, model)
    check_answers_end(processor, end_ids, run.model)
    maker, rows, epoch = examples_of(run, data, family, processor, recipe.max_answer_tokens, console)
    trainer = SceneGraphSFTTrainer(
        run=run,
        model=model,
        args=arguments,
        processing_class=processor,
        data_collator=AnswerCollator(processor=processor, completion_only_loss=True, end_token_ids=end_ids),
        train_dataset=lazy_examples(rows, maker.sft_example, maker.key),
        epoch=epoch,
        optimizer_cls_and_kwargs=optimizer_class_and_options(recipe),
        peft_config=lora_config(recipe.lora, model),
        held_out=hold_out(run, data.held_out, family, processor) if data.held_out else None,
    )
    return trainer, epoch
