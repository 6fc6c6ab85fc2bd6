"""Rows become examples: prompts, images in the model's size, targets in the family's own units."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from datasets import Dataset, DatasetDict
from transformers import AutoProcessor

from r1sgg_cli.config.reward_names import SCORED
from r1sgg_cli.config.schema import Task
from r1sgg_cli.data.prompts import Prompting
from r1sgg_cli.data.rows import FEATURES, load_rows, undecoded
from r1sgg_cli.errors import DataError
from r1sgg_cli.models.families import FAMILIES, ModelType
from r1sgg_cli.models.images import ImageLimits, PixelLimits, image_limits
from r1sgg_cli.rewards import REWARDS
from r1sgg_cli.training.examples import POSITION, AnswerLimit, ExampleMaker, lazy_examples, tokenizer_texts
from r1sgg_cli.training.schedule import Epoch, Schedule

MODEL_TYPES: tuple[ModelType, ...] = get_args(ModelType)


def maker(model_type: ModelType, limits: ImageLimits, think: bool = True) -> ExampleMaker:
    return ExampleMaker(FAMILIES[model_type], limits, Prompting(think, predefined=False), vocabulary=None)


@pytest.mark.parametrize("task", ["sgg", "det", "cls"])
@pytest.mark.parametrize("model_type", [name for name in MODEL_TYPES if FAMILIES[name].trainable])
def test_every_tasks_answer_earns_every_reward_that_applies(
    model_type: ModelType, task: Task, synthetic_dataset: Path
) -> None:
    row = {**load_rows(str(synthetic_dataset), "train")[0], POSITION: 0}
    schedule = Schedule({task: 1.0}, shuffle=True, num_rows=1, seed=1, epoch=Epoch())
    make = replace(maker(model_type, PixelLimits(20, 400, 10_000)), schedule=schedule)
    sft, grpo = make.sft_example(row), make.grpo_example(row)
    assert sft["prompt"] == grpo["prompt"]
    assert grpo["task"] == task
    answer = sft["completion"][0]["content"][0]["text"]
    named = ("objects", "relationships", "image_wh", "box_space_wh", "task")
    columns: dict[str, Any] = {key: [grpo[key]] for key in named}
    earned = {name: reward([answer], **columns, predicate_weights={})[0] for name, reward in REWARDS.items()}
    for name, most in zip(SCORED, (1, 2, 2, 5, 5, 5, 2, 5, 5, 5, 2, 0, 0), strict=True):
        assert earned[name] == (pytest.approx(most, abs=0.1) if task in SCORED[name] else None)


def test_a_cls_prompt_lists_the_objects_that_its_answer_names(synthetic_dataset: Path) -> None:
    row = {**load_rows(str(synthetic_dataset), "train")[0], POSITION: 0, "prompt_open": "A prompt for whole graphs."}
    schedule = Schedule({"cls": 1.0}, shuffle=False, num_rows=1, seed=1, epoch=Epoch())
    make = replace(maker("qwen2_5_vl", PixelLimits(20, 400, 10_000), think=False), schedule=schedule)
    example = make.sft_example(row)
    prompt = example["prompt"][1]["content"][1]["text"]
    graph = json.loads(maker("qwen2_5_vl", PixelLimits(20, 400, 10_000), think=False).sft_example(row)["completion"][0][
        "content"][0]["text"])  # fmt: skip
    assert json.loads(prompt.split("The objects:\n")[1]) == graph["objects"]
    assert json.loads(example["completion"][0]["content"][0]["text"]) == {"relationships": graph["relationships"]}
    assert "whole graphs" not in prompt


def test_the_ground_truth_of_grpo_is_shortened_as_the_answer_of_sft(
    tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path
) -> None:
    tokenizer = AutoProcessor.from_pretrained(tiny_checkpoint("qwen2_vl")).tokenizer
    row = load_rows(str(synthetic_dataset), "train")[0]
    make = replace(maker("qwen2_vl", PixelLimits(20, 400, 10_000)), shortened_to=AnswerLimit(tokenizer, 30))
    sft, grpo = make.sft_example(row), make.grpo_example(row)
    answer = json.loads(sft["completion"][0]["content"][0]["text"].split("<answer>")[1].removesuffix("</answer>"))
    objects, relationships = json.loads(grpo["objects"]), json.loads(grpo["relationships"])
    assert [item["id"] for item in answer["objects"]] == [item["id"] for item in objects]
    assert answer["relationships"] == relationships
    assert 0 < len(objects) < len(json.loads(row["objects"]))
    assert all(item in json.loads(row["objects"]) for item in objects)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_images_come_in_the_size_that_the_processor_leaves_alone(
    model_type: ModelType, tiny_checkpoint: Callable[[str], Path], synthetic_dataset: Path
) -> None:
    processor = AutoProcessor.from_pretrained(tiny_checkpoint(model_type))
    make = maker(model_type, image_limits(FAMILIES[model_type].fitting, processor, 10_000))
    rows = load_rows(str(synthetic_dataset), "train")
    (image,) = make.sft_example(rows[0])["images"]
    assert (
        image.size == make.grpo_example(rows[0])["image"].size == ((80, 80) if model_type == "internvl" else (100, 100))
    )
    seen = processor.image_processor(images=[image], return_tensors="pt")["pixel_values"]
    untouched = processor.image_processor(images=[image], do_resize=False, do_center_crop=False, return_tensors="pt")
    if model_type != "internvl":  # whose processor resizes each tile; `tests/models/test_images.py` looks at them
        assert torch.equal(seen, untouched["pixel_values"])


def test_a_think_prompt_asks_for_tags_and_its_answer_has_them(synthetic_dataset: Path) -> None:
    row = load_rows(str(synthetic_dataset), "train")[0]
    limits = PixelLimits(20, 400, 10_000)
    for think in (True, False):
        example = maker("qwen2_vl", limits, think).sft_example(row)
        answer = example["completion"][0]["content"][0]["text"]
        assert ("<think>" in example["prompt"][0]["content"][0]["text"]) is think
        assert answer.startswith("<think></think><answer>{") is think


def test_examples_are_made_when_they_are_read_and_once_however_often_they_are_asked_for(
    synthetic_dataset: Path,
) -> None:
    """TRL asks for each image of a step as often as it generates, and for the whole batch at every micro-step."""
    made: list[str] = []

    def make(row: Mapping[str, Any]) -> dict[str, object]:
        made.append(row["image_id"])
        return {"prompt": row["image_id"], "size": row["image"].size}

    rows = load_rows(str(synthetic_dataset), "train")
    examples = lazy_examples(rows, make, key=lambda row: row["image_id"])
    assert made == []
    assert examples[3] == {"prompt": "train-000003", "size": (100, 100)}
    batch = [3, 3, 4, 4]
    assert examples.__getitems__(batch) == examples.__getitems__(batch)
    assert made == ["train-000003", "train-000004"]
    assert [row["prompt"] for row in examples.__getitems__(batch)] == [rows[i]["image_id"] for i in batch]


def test_without_a_key_every_row_is_its_own(synthetic_dataset: Path) -> None:
    made: list[str] = []

    def make(row: Mapping[str, Any]) -> dict[str, object]:
        made.append(row["image_id"])
        return {"prompt": "x"}

    examples = lazy_examples(load_rows(str(synthetic_dataset), "train"), make)
    assert len(examples.__getitems__([3, 3])) == 2
    assert len(made) == 2


def save_cut_short(dataset: Path, folder: Path) -> Path:
    """Four training rows of a data set whose images have a header and little else."""
    rows = undecoded(load_rows(str(dataset), "train").select(range(4)))
    cut = [{**row, "image": {"bytes": row["image"]["bytes"][:100], "path": None}} for row in rows]
    DatasetDict({"train": Dataset.from_list(cut, features=FEATURES)}).save_to_disk(folder)
    return folder


def test_a_picture_that_cannot_be_decoded_is_named(synthetic_dataset: Path, tmp_path: Path) -> None:
    rows = load_rows(str(save_cut_short(synthetic_dataset, tmp_path / "data")))
    examples = lazy_examples(rows, lambda row: {"prompt": "x"})
    with pytest.raises(DataError, match=r"image train-000002 cannot be read: .*; mend it, or leave it out"):
        examples[2]


def test_a_tokenizer_of_no_answers_is_one_line(tmp_path: Path) -> None:
    empty = DatasetDict({"train": Dataset.from_dict({name: [] for name in FEATURES}, FEATURES)})
    empty.save_to_disk(tmp_path, num_shards={"train": 1})
    with pytest.raises(DataError, match=r"split `train` of `.*` is empty; .*: name another set"):
        next(tokenizer_texts(str(tmp_path), "qwen2_vl"))


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_tokenizer_is_trained_on_prompts_and_every_answer_and_no_picture_is_decoded(
    model_type: ModelType, synthetic_dataset: Path, tmp_path: Path
) -> None:
    texts = list(tokenizer_texts(str(save_cut_short(synthetic_dataset, tmp_path / "data")), model_type))
    named = [{item["id"] for item in json.loads(text)["objects"]} for text in texts[-4:]]
    annotated = load_rows(str(synthetic_dataset), "train")["objects"][:4]
    assert named == [{item["id"] for item in json.loads(text)} for text in annotated]
    assert len(texts) == 6 + 4
