"""The whole chain on real photos with real annotations, and on every family."""

import json
from collections.abc import Callable
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


def test_the_answer_that_sft_teaches_is_perfect_in_eval(
    tiny_checkpoint: Callable[[str], Path], shared_dir: Path, tmp_path: Path
) -> None:
    """Ground truth written as each family writes it, gathered and scored: hard recall 1."""
    from r1sgg_cli.data.prompts import format_answer
    from r1sgg_cli.data.rows import ground_truth_graph, load_rows
    from r1sgg_cli.inference.answers import Answer, AnswersFile, ImageTruth, save_ground_truth, save_run

    sample = shared_dir / "data" / "coco_panoptic_sample"
    r1sgg("prepare", sample / "psg_style.json", "--images", sample, "--out", tmp_path / "data")
    for model_type, family in FAMILIES.items():
        out = tmp_path / model_type
        rows = [row for split in ("train", "test") for row in load_rows(str(tmp_path / "data"), split)]
        graphs = {row["image_id"]: ground_truth_graph(row) for row in rows}
        save_run(
            {
                "model": "ground truth",
                "model_fingerprint": None,
                "family": family.name,
                "dataset": "coco",
                "dataset_fingerprint": None,
                "split": None,
                "prompts": {},
                "generation": {},
                "vocabulary": None,
                "versions": {},
                "command": "",
            },
            out,
        )
        sizes = {image_id: (round(graph.space_wh[0]), round(graph.space_wh[1])) for image_id, graph in graphs.items()}
        save_ground_truth([ImageTruth(image_id, sizes[image_id], graph) for image_id, graph in graphs.items()], out)
        with AnswersFile(out) as file:
            for image_id, graph in graphs.items():
                resized_wh = (560, 392)
                text = format_answer(family.encode(graph, resized_wh), think=True, decimals=family.decimals)
                space_wh, origin = family.box_space_wh(sizes[image_id], resized_wh), family.box_origin(sizes[image_id])
                file.append([Answer(image_id, space_wh, text, "stop", 1, origin)])
        r1sgg("gather", out, out / "preds.json")
        r1sgg("eval", out / "preds.json")
        metrics = json.loads((out / "preds.metrics.json").read_text(encoding="utf-8"))
        values = {(metric["name"], metric["k"]): metric["value"] for metric in metrics["metrics"]}
        assert values["failure_rate", None] == 0
        assert values["triplet_recall", None] == 1, model_type
        assert values["object_recall", None] == 1, model_type
