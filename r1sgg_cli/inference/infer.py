"""One answer for every image of a split, kept as it comes: a run that was stopped goes on with the images left."""

import importlib.metadata
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from r1sgg_cli import __version__
from r1sgg_cli.data.prompts import Prompting, build_messages, system_prompt, user_prompt
from r1sgg_cli.data.rows import ground_truth_graph, load_rows
from r1sgg_cli.data.vocabularies import vocabulary_of
from r1sgg_cli.errors import ConfigError, DataError
from r1sgg_cli.inference.answers import (
    RUN_FILE,
    Answer,
    AnswersFile,
    ImageTruth,
    RunRecord,
    load_answers,
    load_run,
    save_ground_truth,
    save_run,
)
from r1sgg_cli.inference.engine import TransformersEngine
from r1sgg_cli.models.asking import Asking, load_asking
from r1sgg_cli.models.families import ModelFamily, family_of, fit_image, pixel_limits
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

MAX_PIXELS = 1024 * 28 * 28  # published inference


@dataclass(frozen=True, slots=True)
class InferRequest:
    """What `infer` is asked for; None leaves the choice to what the checkpoint remembers of its training."""

    model: str
    out: Path
    dataset: str
    split: str | None
    vocabulary: str | None
    predefined_categories: bool | None
    think: bool | None
    max_pixels: int | None
    max_new_tokens: int
    batch_size: int
    limit: int | None


def infer(request: InferRequest) -> None:
    """Write an answer for each image that has none yet into `request.out`. Raises `R1SGGError` on a user's mistake."""
    console = Console(stderr=True)
    family = family_of(request.model)
    asking = resolve_asking(request, console)
    rows = load_rows(request.dataset, request.split)
    if request.limit is not None:
        rows = rows.select(range(min(request.limit, len(rows))))
    if len(set(rows["image_id"])) != len(rows):
        raise DataError(f"`{request.dataset}` repeats image ids, so its answers could not be told apart")
    vocabulary = vocabulary_of(request.dataset, request.vocabulary)
    record = _record(request, family, asking, vocabulary)
    _begin(record, rows, request.out)
    answered = load_answers(request.out)
    for line in answered.broken:
        console.print(f"[yellow]line {line.line_number} of answers.jsonl passed over[/]: {line.reason}")
    left = [i for i, image_id in enumerate(rows["image_id"]) if image_id not in answered.answers]
    if len(left) < len(rows):
        console.print(f"{len(rows) - len(left)} of {len(rows)} images are answered already")
    if left:
        _answer(rows.select(left), request, family, asking, vocabulary, console)
    console.print(f"answers: {request.out}")


def resolve_asking(request: InferRequest, console: Console) -> Asking:
    """How to ask: the command's options, else what the checkpoint remembers, else open categories and plain JSON."""
    trained = load_asking(request.model)
    remembered = trained or Asking(think=False, predefined_categories=False, max_pixels=MAX_PIXELS)
    asking = Asking(
        think=remembered.think if request.think is None else request.think,
        predefined_categories=remembered.predefined_categories
        if request.predefined_categories is None
        else request.predefined_categories,
        max_pixels=request.max_pixels or remembered.max_pixels,
    )
    form = "think and answer" if asking.think else "JSON alone"
    categories = "predefined" if asking.predefined_categories else "open"
    console.print(f"asking for: {form}, {categories} categories, at most {asking.max_pixels} pixels")
    if trained and asking != trained:
        console.print(f"[yellow]note:[/] the checkpoint was trained with another form: {asdict(trained)}")
    return asking


def _record(request: InferRequest, family: ModelFamily, asking: Asking, vocabulary: Vocabulary | None) -> RunRecord:
    packages = ("torch", "transformers")
    return {
        "model": request.model,
        "family": family.name,
        "dataset": request.dataset,
        "split": request.split,
        "prompts": {**asdict(asking), "system": system_prompt(asking.think)},
        "generation": {"max_new_tokens": request.max_new_tokens, "decoding": "greedy", "limit": request.limit},
        "vocabulary": {"objects": list(vocabulary.objects), "predicates": list(vocabulary.predicates)}
        if vocabulary
        else None,
        "versions": {"r1sgg": __version__, **{name: importlib.metadata.version(name) for name in packages}},
        "command": shlex.join(["r1sgg", *sys.argv[1:]]),
    }


def _begin(record: RunRecord, rows: Dataset, out: Path) -> None:
    """Start a folder of answers, or make sure that the one that stands is of the same run."""
    if (out / RUN_FILE).exists():
        changed = _changes(load_run(out), record)
        if changed:
            raise ConfigError(f"`{out}` holds answers of another run ({'; '.join(changed)}); give another folder")
        return
    save_ground_truth((_truth(row) for row in rows), out)
    save_run(record, out)


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    # Versions may move under a long run; the command may be typed in another way.
    return [
        f"{key}: {old.get(key)} there, {new[key]} here" if key != "vocabulary" else "another vocabulary"
        for key in new
        if key not in ("versions", "command") and old.get(key) != new[key]
    ]


def _truth(row: Mapping[str, Any]) -> ImageTruth:
    width, height = row["image"].size
    return ImageTruth(row["image_id"], (width, height), ground_truth_graph(row))


def _answer(
    rows: Dataset,
    request: InferRequest,
    family: ModelFamily,
    asking: Asking,
    vocabulary: Vocabulary | None,
    console: Console,
) -> None:
    engine = TransformersEngine(request.model, request.max_new_tokens)
    limits = pixel_limits(engine.processor, asking.max_pixels)
    prompting = Prompting(asking.think, asking.predefined_categories)
    system = system_prompt(asking.think)
    columns = (TextColumn("infer"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with AnswersFile(request.out) as file, Progress(*columns, console=console) as progress:
        task = progress.add_task("infer", total=len(rows))
        for start in range(0, len(rows), request.batch_size):
            batch = [rows[i] for i in range(start, min(start + request.batch_size, len(rows)))]
            images = [fit_image(row["image"], limits) for row in batch]
            prompts = [user_prompt(row, prompting, family.box_sentence, vocabulary) for row in batch]
            completions = engine.complete([build_messages(system, prompt) for prompt in prompts], images)
            file.append(
                [
                    Answer(
                        row["image_id"],
                        family.box_space_wh(row["image"].size, image.size),
                        completion.text,
                        completion.finish_reason,
                        completion.num_tokens,
                    )
                    for row, image, completion in zip(batch, images, completions, strict=True)
                ]
            )
            progress.advance(task, len(batch))
