"""Supervised fine-tuning: TRL's `SFTTrainer`, with the loss on the answer and its end token and on nothing else."""

from typing import Any

import torch
from datasets import Dataset
from rich.console import Console
from trl import SFTConfig, SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from r1sgg_cli.config.schema import SFTRun
from r1sgg_cli.data.rows import check_graphs, load_rows
from r1sgg_cli.data.vocabularies import vocabulary_of
from r1sgg_cli.errors import ModelError
from r1sgg_cli.scene_graph.vocabulary import Vocabulary
from r1sgg_cli.training.checkpoints import ResumesRight
from r1sgg_cli.training.examples import lazy_examples
from r1sgg_cli.training.optimizer import optimizer_class_and_options
from r1sgg_cli.training.worker import begun, examples_of, load_model, train, trainer_config


class AnswerCollator(DataCollatorForVisionLanguageModeling):  # a dataclass of TRL's; no field is added
    """TRL's collator, with no loss on what the chat template writes after the answer's end token."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """One batch; `labels` are -100 everywhere but on the answer and its end token."""
        batch = super().torch_call(examples)
        labels = batch["labels"]
        is_end = labels == self.processor.tokenizer.eos_token_id
        # Tokens after which no end token follows lie behind the answer.
        ends_to_come = is_end.flip(-1).cumsum(-1).flip(-1)
        batch["labels"] = torch.where(ends_to_come > 0, labels, -100)
        return batch


def check_answers_end(processor: Any, model: str) -> None:
    """Make sure that the chat template closes an answer with the end token. Raises `ModelError`."""
    turn = {"role": "assistant", "content": [{"type": "text", "text": "x"}]}
    end_token = processor.tokenizer.eos_token
    if end_token not in processor.apply_chat_template([turn], tokenize=False).partition("x")[2]:
        raise ModelError(f"`{model}` does not end an answer with its end token `{end_token}`; use its Instruct version")


class SceneGraphSFTTrainer(ResumesRight, SFTTrainer):
    """TRL's trainer that resumes from the weights it saved."""


def train_sft(run: SFTRun) -> None:
    """Fine-tune as `run` says; continue if its folder holds a part of it. Raises `R1SGGError` on a user's mistake."""
    console = Console(stderr=True, soft_wrap=True)
    recipe = run.recipe
    arguments = trainer_config(
        SFTConfig,
        run,
        {},
        gradient_accumulation_steps=recipe.batch_size // run.micro_batch,
        max_length=None,  # TRL's 1,024 would cut image tokens off
        completion_only_loss=True,
    )
    rows = load_rows(run.dataset, run.split)
    vocabulary = vocabulary_of(run.dataset, run.vocabulary)
    check_graphs(rows)
    with begun(run, console) as is_new:
        if is_new:
            _train(run, arguments, rows, vocabulary, console)


def _train(run: SFTRun, arguments: SFTConfig, rows: Dataset, vocabulary: Vocabulary | None, console: Console) -> None:
    recipe = run.recipe
    family, processor, model = load_model(run)
    check_answers_end(processor, run.model)
    maker, rows, epoch = examples_of(run, rows, vocabulary, family, processor, recipe.max_answer_tokens, console)
    trainer = SceneGraphSFTTrainer(
        model=model,
        args=arguments,
        processing_class=processor,
        data_collator=AnswerCollator(processor=processor, completion_only_loss=True),
        train_dataset=lazy_examples(rows, maker.sft_example),
        optimizer_cls_and_kwargs=optimizer_class_and_options(recipe),
    )
    train(trainer, run, epoch, console)
