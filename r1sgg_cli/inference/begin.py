"""A folder of answers begun, or taken up again: what ran stands in it, and other settings are refused."""

import importlib.metadata
import json
import math
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datasets import Dataset
from rich.console import Console
from rich.progress import Progress

from r1sgg_cli import __version__
from r1sgg_cli.config.differences import differences
from r1sgg_cli.data.images import BrokenImageError
from r1sgg_cli.data.pictures import pictures_fingerprint
from r1sgg_cli.data.prompts import system_prompt
from r1sgg_cli.data.rows import dataset_fingerprint, parse_ground_truth, rows_with_sizes
from r1sgg_cli.data.training_names import training_names
from r1sgg_cli.errors import AnswersError, ConfigError
from r1sgg_cli.inference.answered import AnsweredImages
from r1sgg_cli.inference.asker import Asker
from r1sgg_cli.inference.ground_truth import ImageTruth, load_ground_truth, save_ground_truth
from r1sgg_cli.inference.request import EngineName, InferRequest
from r1sgg_cli.inference.run_record import RunRecord, load_run, save_run
from r1sgg_cli.inference.training_file import save_training_names
from r1sgg_cli.models.adapter_folder import adapter_of, base_of
from r1sgg_cli.models.adapters import asked_fingerprint
from r1sgg_cli.models.checkpoint import revision

_DISTRIBUTIONS: dict[EngineName, tuple[str, ...]] = {
    "transformers": ("torch", "transformers"),
    "vllm": ("torch", "transformers", "vllm"),
}


def record_of(request: InferRequest, asker: Asker, engine: EngineName, split_size: int) -> RunRecord:
    """What `run.json` is to say."""
    wording, asking, vocabulary = asker.wording, asker.wording.asking, asker.wording.vocabulary
    return {
        "model": request.model,
        "model_fingerprint": asked_fingerprint(request.model),
        "family": wording.family.name,
        "base": base_of(request.model) if adapter_of(request.model) else None,
        "revision": revision(base_of(request.model)),
        "dataset": str(request.images or request.dataset),
        "dataset_fingerprint": pictures_fingerprint(request.images)
        if request.images
        else dataset_fingerprint(request.dataset),
        "annotated": request.images is None,
        "split": request.split,
        "split_size": split_size,
        "limit": request.limit,
        "task": wording.task,
        "prompts": {
            **{key: value for key, value in asdict(asking).items() if key != "tasks"},  # how it was trained, not asked
            "system": system_prompt(wording.prompting, wording.task),
            "vocabulary_named": asking.predefined_categories and wording.vocabulary_named,
        },
        "generation": {**asdict(request.sampling), "engine": engine, "structured": request.structured},
        "vocabulary": {"objects": list(vocabulary.objects), "predicates": list(vocabulary.predicates)}
        if vocabulary
        else None,
        "versions": {"r1sgg": __version__, **_versions(engine)},
        "command": shlex.join(["r1sgg", *sys.argv[1:]]),
    }


def _versions(engine: EngineName) -> dict[str, str]:
    found = {}
    for name in _DISTRIBUTIONS[engine]:
        candidates = (name, f"{name}-cpu") if name == "vllm" else (name,)
        for candidate in candidates:
            try:
                found[candidate] = importlib.metadata.version(candidate)
            except importlib.metadata.PackageNotFoundError:
                continue
    return found


def begin(record: RunRecord, rows: Dataset, out: Path, console: Console, *, has_workers: bool = False) -> None:
    """Start a folder of answers, or make sure that the one that stands is of the same run.

    A folder without an answer is started anew, unless it `has_workers` that are about to write some. Ground truth that
    is broken, missing or of another `--limit` is written again, so that a trial run on a few images can be extended;
    so is that of images which could not be asked about, for a mended picture has another size. Raises `R1SGGError`.
    """
    answered = AnsweredImages(out)
    num_answers = sum(1 for _ in answered.read())
    if has_workers or num_answers:
        changed = changes(load_run(out), record)
        if changed:
            raise ConfigError(f"`{out}` holds answers of another run ({'; '.join(changed)}); give another folder")
        if (has_workers or not answered.has_errors) and _has_ground_truth(rows, out):
            return
    with Progress(console=console) as progress:
        sized = progress.track(rows_with_sizes(rows), total=len(rows), description="annotations")
        truths = [_truth(row, image_wh) for row, image_wh in sized]
    save_run(record, out)  # first: it is what makes the folder ours
    save_ground_truth(truths, out)
    save_training_names(training_names(record["dataset"], [truth.graph for truth in truths]), out)


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What of a new record is another run's than that of the old one, each in words."""
    said = {
        "vocabulary": "another vocabulary",
        "model_fingerprint": "the model's weights changed",
        "dataset_fingerprint": "the data set changed",
    }
    # Versions may move under a long run; the command may be typed in another way; a trial may be extended.
    may_differ = ("versions", "command", "split_size", "limit")
    return [
        change
        for key in new
        if key not in may_differ and old[key] != new[key]
        for change in ([said[key]] if key in said else differences({key: old[key]}, {key: new[key]}))
    ]


def _has_ground_truth(rows: Dataset, out: Path) -> bool:
    try:
        return [truth.image_id for truth in load_ground_truth(out)] == list(rows["image_id"])
    except AnswersError:
        return False


def _truth(row: Mapping[str, Any], image_wh: tuple[int, int] | BrokenImageError) -> ImageTruth:
    """What is annotated; of a picture that cannot be read, in an image that just holds the annotated boxes."""
    if isinstance(image_wh, BrokenImageError):
        image_wh = _extent_wh(row["objects"])
    graph = parse_ground_truth(row["image_id"], row["objects"], row["relationships"], image_wh)
    return ImageTruth(row["image_id"], image_wh, graph)


def _extent_wh(objects: str) -> tuple[int, int]:
    boxes = [row["bbox"] for row in json.loads(objects or "[]")]
    right, bottom = (max([1, *(math.ceil(box[side]) for box in boxes)]) for side in (2, 3))
    return right, bottom
