"""Fine-tuning: the loss falls on the answer and its end token, and on nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoModelForImageTextToText, AutoProcessor

from r1sgg_cli.config.recipes import resolve_run
from r1sgg_cli.config.schema import SFTRun
from r1sgg_cli.data.prompts import Prompting
from r1sgg_cli.data.rows import load_rows
from r1sgg_cli.data.run_logs import load_metric_rows
from r1sgg_cli.errors import ModelError
from r1sgg_cli.models.asking import Asking, load_asking
from r1sgg_cli.models.checkpoint import end_token_ids
from r1sgg_cli.models.families import FAMILIES, ModelType
from r1sgg_cli.models.images import image_limits
from r1sgg_cli.training.examples import ExampleMaker
from r1sgg_cli.training.sft import AnswerCollator, check_answers_end, train_sft

TRAINABLE = [name for name, family in FAMILIES.items() if family.trainable]


@pytest.mark.parametrize("model_type", TRAINABLE)
def test_labels_are_the_answer_and_its_end_token(
    model_type: ModelType, tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path
) -> None:
    """The published code trains on the prompt as well."""
    processor = AutoProcessor.from_pretrained(tiny_checkpoint(model_type))
    limits = image_limits(FAMILIES[model_type].fitting, processor, 10_000)
    maker = ExampleMaker(FAMILIES[model_type], limits, Prompting(True, False), None)
    rows = load_rows(str(synthetic_dataset), "train")
    examples = [maker.sft_example(rows[i]) for i in range(4)]
    answers = [example["completion"][0]["content"][0]["text"] for example in examples]
    ends = (processor.tokenizer.eos_token_id,)
    batch = AnswerCollator(processor=processor, completion_only_loss=True, end_token_ids=ends)(examples)
    for answer, ids, labels in zip(answers, batch["input_ids"], batch["labels"], strict=True):
        trained = labels[labels != -100]
        assert trained.tolist() == processor.tokenizer(answer + "<|im_end|>").input_ids
        assert (ids[labels != -100] == trained).all()
        num_image_tokens = 4 * (2 * 2 + 1) if model_type == "internvl" else 25
        assert (ids == processor.image_token_id).sum() == num_image_tokens


def test_an_answer_may_end_with_a_token_that_only_the_generation_config_names(
    tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path: Path
) -> None:
    """As in InternVL 2.5, whose tokenizer ends texts with one token and whose template ends turns with another."""
    folder = tiny_checkpoint("internvl")
    processor = AutoProcessor.from_pretrained(folder)
    processor.tokenizer.eos_token = processor.tokenizer.pad_token
    ends = end_token_ids(processor, AutoModelForImageTextToText.from_pretrained(folder))
    assert set(processor.tokenizer.convert_ids_to_tokens(list(ends))) == {"<|endoftext|>", "<|im_end|>"}
    check_answers_end(processor, ends, "internvl")
    limits = image_limits("tiles", processor, 10_000)
    maker = ExampleMaker(FAMILIES["internvl"], limits, Prompting(True, False), None)
    examples = [maker.sft_example(row) for row in load_rows(str(synthetic_dataset), "train").select(range(3))]
    labels = AnswerCollator(processor=processor, completion_only_loss=True, end_token_ids=ends)(examples)["labels"]
    for example, label in zip(examples, labels, strict=True):
        answer = example["completion"][0]["content"][0]["text"]
        assert processor.tokenizer.decode(label[label != -100]) == answer + "<|im_end|>"


def test_a_chat_format_that_leaves_answers_open_is_refused(tiny_checkpoint: Callable[[str], Path]) -> None:
    processor = AutoProcessor.from_pretrained(tiny_checkpoint("llava"))
    with pytest.raises(ModelError, match=r"`m` does not end an answer with its end token `</s>`"):
        check_answers_end(processor, (processor.tokenizer.eos_token_id,), "m")


def test_a_family_that_is_not_trained_is_refused_before_anything_is_written(
    tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path: Path
) -> None:
    given = {"model": str(tiny_checkpoint("llava")), "dataset": str(synthetic_dataset), "split": "train"}
    run = resolve_run(SFTRun, "demo-sft", (), **given, out=tmp_path / "run", precision="float32")
    with pytest.raises(ModelError, match=r"is a LLaVA-1\.5, which .* does not train"):
        train_sft(run)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("model_type", TRAINABLE)
def test_every_family_learns_and_leaves_a_checkpoint_that_loads(
    model_type: ModelType, tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path, tmp_path: Path
) -> None:
    overrides = ("max_steps=12", "batch_size=8", "max_pixels=6400", "trainer.logging_steps=1")
    run = resolve_run(
        SFTRun,
        "demo-sft",
        overrides,
        model=str(tiny_checkpoint(model_type)),
        dataset=str(synthetic_dataset),
        split="train",
        out=tmp_path,
        precision="float32",
    )
    train_sft(run)
    losses = [row["loss"] for row in load_metric_rows(tmp_path / "metrics.jsonl") if "loss" in row]
    assert losses[-1] < losses[0]
    assert load_asking(str(tmp_path)) == Asking(think=True, predefined_categories=False, max_pixels=6400)
    AutoModelForImageTextToText.from_pretrained(tmp_path)
    AutoProcessor.from_pretrained(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("model_type", [name for name in FAMILIES if FAMILIES[name].trainable])
def test_the_micro_batch_changes_nothing_that_is_learned(
    model_type: ModelType, tiny_checkpoint: Callable[[str], Path], mixed_dataset: Path, tmp_path: Path
) -> None:
    """Answers of other lengths and images of other sizes in each micro-batch; Qwen2.5-VL and Qwen3-VL fail it alone."""
    learned = []
    for micro_batch in (4, 1):
        run = resolve_run(
            SFTRun,
            None,
            ("max_steps=2", "batch_size=4", "shuffle_objects=true", "tasks={sgg: 1, det: 1, cls: 1}", "warmup=0"),
            model=str(tiny_checkpoint(model_type)),
            dataset=str(mixed_dataset),
            split="train",
            out=tmp_path / str(micro_batch),
            precision="float32",
            micro_batch=micro_batch,
        )
        train_sft(run)
        rows = load_metric_rows(tmp_path / str(micro_batch) / "metrics.jsonl")
        learned.append([row[key] for row in rows if "loss" in row for key in ("loss", "grad_norm")])
    assert learned[0] == pytest.approx(learned[1], rel=1e-4)
