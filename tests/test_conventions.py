"""One convention of boxes per family from end to end: what SFT teaches is perfect for the rewards and for `eval`.

The published code fails this for Qwen2.5-VL, whose targets have IoU 0.15 with what its rewards and inference read.
"""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from PIL import Image

from r1sgg_cli.cli.app import app
from r1sgg_cli.data.prompts import Prompting
from r1sgg_cli.data.rows import ground_truth_graph
from r1sgg_cli.inference.answered_split import load_answered_split
from r1sgg_cli.inference.answers import Answer, Sample
from r1sgg_cli.inference.answers_file import AnswersFile
from r1sgg_cli.inference.gather import gather_split
from r1sgg_cli.inference.ground_truth import ImageTruth, save_ground_truth
from r1sgg_cli.inference.run_record import save_run
from r1sgg_cli.models.families import FAMILIES, ModelType
from r1sgg_cli.rewards import REWARDS
from r1sgg_cli.training.examples import ExampleMaker
from tests.inference.conftest import ANSWERS_FILE, make_run
from tests.models.conftest import published_limits

MODEL_TYPES: tuple[ModelType, ...] = get_args(ModelType)
TO_1000 = {"qwen2_vl", "qwen3_vl", "internvl"}
OTHERS = [(a, b) for a, b in itertools.permutations(MODEL_TYPES, 2) if not {a, b} <= TO_1000]
REWARD_COLUMNS = ("objects", "relationships", "image_wh", "box_space_wh", "box_origin")


def make_row(image_id: str, image_wh: tuple[int, int]) -> dict[str, Any]:
    """An image with three objects; the flat one is missed if the padding of a square is forgotten."""
    width, height = image_wh
    boxes = {"man.1": (0.1, 0.1, 0.4, 0.9), "horse.2": (0.3, 0.2, 0.95, 1.0), "sky.3": (0.0, 0.0, 1.0, 0.12)}
    objects = [
        {"id": name, "bbox": [x1 * width, y1 * height, x2 * width, y2 * height]}
        for name, (x1, y1, x2, y2) in boxes.items()
    ]
    relationships = [
        {"subject": "man.1", "predicate": "riding", "object": "horse.2"},
        {"subject": "sky.3", "predicate": "above", "object": "man.1"},
    ]
    return {
        "image_id": image_id,
        "image": Image.new("RGB", image_wh),
        "prompt_open": "",
        "objects": json.dumps(objects),
        "relationships": json.dumps(relationships),
    }


ROWS = [make_row("wide", (640, 480)), make_row("tall", (1067, 1600)), make_row("square", (333, 333))]


def maker(model_type: ModelType) -> ExampleMaker:
    return ExampleMaker(FAMILIES[model_type], published_limits(model_type), Prompting(True, False), None)


def taught_answer(model_type: ModelType, row: dict[str, Any]) -> str:
    text: str = maker(model_type).sft_example(row)["completion"][0]["content"][0]["text"]
    return text


def earned(answer: str, example: dict[str, Any], *, without: str = "") -> dict[str, float | None]:
    columns: dict[str, Any] = {key: [example[key]] for key in REWARD_COLUMNS if key != without}
    return {name: reward([answer], **columns, predicate_weights={})[0] for name, reward in REWARDS.items()}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["image_id"])
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_answer_that_sft_teaches_earns_every_reward_in_full(model_type: ModelType, row: dict[str, Any]) -> None:
    rewards = earned(taught_answer(model_type, row), maker(model_type).grpo_example(row))
    assert rewards.pop("node_box_reward") == pytest.approx(2, abs=0.05)
    assert rewards == {
        "format_reward": 1,
        "node_acc_reward": 2,
        "edge_reward": 5,
        "edge_hard_reward": 5,
        "edge_hard_relax_reward": 5,
        "object_f1_reward": 2,
        "edge_f1_reward": 5,
        "mean_recall_reward": 5,
        "weighted_recall_reward": 5,
        "cluster_coverage_reward": 2,
        "repetition_penalty_reward": 0,
        "length_penalty_reward": 0,
    }


@pytest.mark.parametrize(("writer", "reader"), OTHERS)
def test_an_answer_in_another_familys_convention_earns_no_hard_recall(writer: ModelType, reader: ModelType) -> None:
    """What the tests above are worth: a side that used another convention would be seen."""
    reward = earned(taught_answer(writer, ROWS[0]), maker(reader).grpo_example(ROWS[0]))["edge_hard_reward"]
    assert reward == 0


def test_rewards_that_forget_the_padding_of_a_square_miss_a_flat_object() -> None:
    example = maker("llava").grpo_example(ROWS[0])
    assert earned(taught_answer("llava", ROWS[0]), example, without="box_origin")["edge_hard_reward"] == 2.5


def save_answers(out: Path, model_type: ModelType, answer_of: Callable[[dict[str, Any]], Answer]) -> None:
    save_run({**make_run(vocabulary=False), "family": FAMILIES[model_type].name}, out)
    save_ground_truth([ImageTruth(row["image_id"], row["image"].size, ground_truth_graph(row)) for row in ROWS], out)
    with AnswersFile(out, ANSWERS_FILE) as file:
        file.append([answer_of(row) for row in ROWS])


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_answer_that_sft_teaches_is_perfect_for_eval(model_type: ModelType, tmp_path: Path) -> None:
    def answer_of(row: dict[str, Any]) -> Answer:
        example = maker(model_type).grpo_example(row)
        (width, height), (left, top) = example["box_space_wh"], example["box_origin"]
        return Answer(
            row["image_id"], (width, height), (Sample(taught_answer(model_type, row), "stop", 1),), (left, top)
        )

    out = tmp_path / "answers"
    save_answers(out, model_type, answer_of)
    app(["gather", str(out), str(tmp_path / "preds.json")], standalone_mode=False)
    app(["eval", str(tmp_path / "preds.json")], standalone_mode=False)
    metrics = json.loads((tmp_path / "preds.metrics.json").read_text(encoding="utf-8"))["metrics"]
    values = {metric["name"]: metric["value"] for metric in metrics if metric["k"] is None}
    assert values["failure_rate"] == 0
    for name in ("triplet_recall", "triplet_precision", "object_recall"):
        assert values[name] == 1, name
    assert not any(image.defects for image in gather_split(load_answered_split(out)).images)
