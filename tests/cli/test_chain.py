"""The whole chain on real photos with real annotations, for every family that is trained."""

import json
from pathlib import Path

import pytest

from r1sgg_cli.cli.app import app
from r1sgg_cli.models.families import FAMILIES, ModelType

pytestmark = pytest.mark.slow


def r1sgg(*argv: str | Path) -> None:
    app([str(part) for part in argv], standalone_mode=False)


@pytest.mark.parametrize("model_type", [name for name, family in FAMILIES.items() if family.trainable])
def test_two_photos_go_from_annotations_to_numbers(model_type: ModelType, shared_dir: Path, tmp_path: Path) -> None:
    sample = shared_dir / "data" / "coco_panoptic_sample"
    data, tiny, sft, grpo = (tmp_path / name for name in ("data", "tiny", "sft", "grpo"))
    r1sgg("prepare", sample / "psg_style.json", "--images", sample, "--out", data)
    r1sgg("tiny", tiny, "--dataset", data, "--family", model_type)
    given = ("--dataset", data, "--set", "max_steps=2", "--micro-batch", "2", "--set", "max_pixels=40000")
    r1sgg("sft", "--model", tiny, "--out", sft, *given, "--set", "batch_size=2", "--set", "predefined_categories=true")
    sampled = ("--set", "prompts_per_step=1", "--set", "num_generations=2", "--set", "max_new_tokens=16")
    r1sgg("grpo", "--model", sft, "--out", grpo, *given, *sampled, "--set", "predefined_categories=true")
    answers, predictions = tmp_path / "answers", tmp_path / "preds.json"
    r1sgg("infer", grpo, answers, "--dataset", data, "--split", "test", "--max-new-tokens", "32")
    r1sgg("gather", answers, predictions)
    r1sgg("eval", predictions)
    metrics = json.loads((tmp_path / "preds.metrics.json").read_text(encoding="utf-8"))
    values = {metric["name"]: metric["value"] for metric in metrics["metrics"] if metric["k"] is None}
    assert metrics["num_images"] == 1
    assert values["annotated_relationships_per_image"] == 17
    assert values["triplet_recall"] == 0  # two steps from random weights
    gathered = json.loads(predictions.read_text(encoding="utf-8"))
    assert [image["image_wh"] for image in gathered["images"]] == [[640, 360]]
    assert gathered["provenance"]["prompts"]["predefined_categories"] is True
