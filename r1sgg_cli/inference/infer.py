"""One answer for every image of a split, kept as it comes: a run that was stopped goes on with the images left."""

import importlib.metadata
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from r1sgg_cli import __version__
from r1sgg_cli.config.record import LAUNCHER_FILES, differences
from r1sgg_cli.config.schema import SFTRecipe
from r1sgg_cli.data.prompts import Prompting, build_messages, system_prompt, user_prompt
from r1sgg_cli.data.rows import dataset_fingerprint, decoded, load_rows, parse_ground_truth, sized_rows, undecoded
from r1sgg_cli.data.vocabularies import vocabulary_of
from r1sgg_cli.errors import AnswersError, ConfigError, DataError
from r1sgg_cli.files import LOCK_FILE, insist_on_own_folder, locked
from r1sgg_cli.inference.answers import (
    ANSWERS_FILE,
    COMPLETE_FILE,
    RUN_FILE,
    Answer,
    AnswersFile,
    ImageTruth,
    Part,
    RunRecord,
    Sample,
    load_answers,
    load_ground_truth,
    load_run,
    mark_complete,
    save_ground_truth,
    save_run,
)
from r1sgg_cli.inference.engine import TransformersEngine
from r1sgg_cli.models.asking import Asking, load_asking
from r1sgg_cli.models.checkpoint import check_weights, fingerprint, load_processor
from r1sgg_cli.models.families import ModelFamily, family_of
from r1sgg_cli.models.images import ImageLimits, fit_image, image_limits
from r1sgg_cli.scene_graph.vocabulary import Vocabulary

_BEGIN_LOCK = f"{LOCK_FILE}-begin"
"""Held while a folder is started: parts of a split begin at the same time."""
MAX_PIXELS = SFTRecipe().max_pixels
"""Of a checkpoint that remembers none: published inference has the limit of published SFT."""


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
    part: Part | None = None
    """The share of the images that this process answers, where others answer the rest."""


@dataclass(frozen=True, slots=True)
class Asker:
    """What turns a row into the model's question and its box space."""

    family: ModelFamily
    asking: Asking
    limits: ImageLimits
    vocabulary: Vocabulary | None
    vocabulary_named: bool
    """Named by the command: it then wins over the row's own list of categories."""

    @property
    def prompting(self) -> Prompting:
        """Which prompts are used."""
        return Prompting(self.asking.think, self.asking.predefined_categories, self.asking.think_prompt)

    def prompt(self, row: Mapping[str, Any]) -> str:
        """The user's text for a row. Raises `ConfigError` without a vocabulary where one is needed."""
        return user_prompt(
            row, self.prompting, self.family.box_sentence, self.vocabulary, vocabulary_named=self.vocabulary_named
        )


def infer(request: InferRequest) -> None:
    """Write an answer for each image that has none yet into `request.out`. Raises `R1SGGError` on a user's mistake."""
    console = Console(stderr=True, soft_wrap=True, emoji=False)
    family = family_of(request.model)
    check_weights(request.model)
    asking = resolve_asking(request, console)
    rows, split_size = _load(request)
    limits = image_limits(family.fitting, load_processor(request.model), asking.max_pixels)
    vocabulary = vocabulary_of(request.dataset, request.vocabulary)
    asker = Asker(family, asking, limits, vocabulary, vocabulary_named=request.vocabulary is not None)
    for row in rows.remove_columns("image"):
        asker.prompt(row)  # what cannot be asked is said before anything is written
    record = _record(request, asker, split_size)
    with _alone(request):
        with locked(request.out, _BEGIN_LOCK, wait=True):
            _begin(record, rows, request.out, console)
        left = _left(rows, request, console)
        if left:
            (request.out / COMPLETE_FILE).unlink(missing_ok=True)
            _answer(rows.select(left), request, asker, console)
        if set(rows["image_id"]) <= load_answers(request.out).answers.keys():
            mark_complete(request.out, len(rows))
    console.print(f"answers: {escape(str(request.out))}")


@contextmanager
def _alone(request: InferRequest) -> Iterator[None]:
    """The folder for this process alone, or a part of it where several share a split. Raises `OutputError`."""
    part = request.part
    insist_on_own_folder(request.out, RUN_FILE, LAUNCHER_FILES)
    with locked(request.out, shared=part is not None), ExitStack() as held:
        if part:
            held.enter_context(locked(request.out, f"{LOCK_FILE}-{part}"))
        yield


def _left(rows: Dataset, request: InferRequest, console: Console) -> list[int]:
    """Positions of the images that this process is to answer: its part, less those that have an answer."""
    answered = load_answers(request.out)
    for line in answered.broken:
        reason = escape(line.reason)
        console.print(f"[yellow]line {line.line_number} of {line.file} passed over[/]: {reason}")
    part = request.part
    mine = [i for i in range(len(rows)) if part is None or i % part.num_parts == part.index]
    image_ids = rows["image_id"]
    left = [i for i in mine if image_ids[i] not in answered.answers]
    of_part = f" of part {part}" if part else ""
    if len(left) < len(mine):
        console.print(f"{len(mine) - len(left)} of {len(mine)} images{of_part} are answered already")
    return left


def _load(request: InferRequest) -> tuple[Dataset, int]:
    """The rows that are asked for, and how many the split has."""
    rows = load_rows(request.dataset, request.split)
    split_size = len(rows)
    if request.limit is not None:
        rows = rows.select(range(min(request.limit, len(rows))))
    if len(set(rows["image_id"])) != len(rows):
        raise DataError(f"`{request.dataset}` repeats image ids, so its answers could not be told apart")
    return rows, split_size


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
        think_prompt=remembered.think_prompt,
        tasks=remembered.tasks,
    )
    form = "think and answer" if asking.think else "JSON alone"
    categories = "predefined" if asking.predefined_categories else "open"
    console.print(f"asking for: {form}, {categories} categories, at most {asking.max_pixels} pixels")
    if trained and asking != trained:
        changed = "; ".join(differences(asdict(trained), asdict(asking), ("in training", "here")))
        console.print(f"[yellow]note:[/] the checkpoint was trained with another form ({changed})")
    if "sgg" not in asking.tasks:
        console.print(
            f"[yellow]note:[/] the checkpoint was trained on {', '.join(asking.tasks)} alone, not on whole graphs"
        )
    return asking


def _record(request: InferRequest, asker: Asker, split_size: int) -> RunRecord:
    packages = ("torch", "transformers")
    asking, vocabulary = asker.asking, asker.vocabulary
    return {
        "model": request.model,
        "model_fingerprint": fingerprint(request.model),
        "family": asker.family.name,
        "dataset": request.dataset,
        "dataset_fingerprint": dataset_fingerprint(request.dataset),
        "split": request.split,
        "split_size": split_size,
        "limit": request.limit,
        "prompts": {
            **{key: value for key, value in asdict(asking).items() if key != "tasks"},  # how it was trained, not asked
            "system": system_prompt(asker.prompting),
            "vocabulary_named": asking.predefined_categories and asker.vocabulary_named,
        },
        "generation": {"max_new_tokens": request.max_new_tokens, "decoding": "greedy"},
        "vocabulary": {"objects": list(vocabulary.objects), "predicates": list(vocabulary.predicates)}
        if vocabulary
        else None,
        "versions": {"r1sgg": __version__, **{name: importlib.metadata.version(name) for name in packages}},
        "command": shlex.join(["r1sgg", *sys.argv[1:]]),
    }


def _begin(record: RunRecord, rows: Dataset, out: Path, console: Console) -> None:
    """Start a folder of answers, or make sure that the one that stands is of the same run.

    A folder without an answer is started anew; ground truth that is broken, missing or of another `--limit` is written
    again, so that a trial run on a few images can be extended.
    """
    answered = bool(load_answers(out).answers)
    if answered:
        changed = _changes(load_run(out), record)
        if changed:
            raise ConfigError(f"`{out}` holds answers of another run ({'; '.join(changed)}); give another folder")
        if _has_ground_truth(rows, out):
            return
    with Progress(console=console) as progress:
        sized = progress.track(sized_rows(rows), total=len(rows), description="annotations")
        truths = [_truth(row, image_wh) for row, image_wh in sized]
    save_run(record, out)  # first: it is what makes the folder ours
    save_ground_truth(truths, out)


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    said = {
        "vocabulary": "another vocabulary",
        "model_fingerprint": "the model's weights changed",
        "dataset_fingerprint": "the data set changed",
    }
    old = {**old, "prompts": {"think_prompt": "system", **old.get("prompts", {})}}  # older records leave this unsaid
    # Versions may move under a long run; the command may be typed in another way; a trial may be extended.
    may_differ = ("versions", "command", "split_size", "limit")
    return [
        change
        for key in new
        if key not in may_differ and old.get(key) != new[key]
        for change in ([said[key]] if key in said else differences({key: old.get(key)}, {key: new[key]}))
    ]


def _has_ground_truth(rows: Dataset, out: Path) -> bool:
    try:
        return [truth.image_id for truth in load_ground_truth(out)] == list(rows["image_id"])
    except AnswersError:
        return False


def _truth(row: Mapping[str, Any], image_wh: tuple[int, int]) -> ImageTruth:
    graph = parse_ground_truth(row["image_id"], row["objects"], row["relationships"], image_wh)
    return ImageTruth(row["image_id"], image_wh, graph)


def _answer(rows: Dataset, request: InferRequest, asker: Asker, console: Console) -> None:
    engine = TransformersEngine(request.model, request.max_new_tokens)
    stored = undecoded(rows)
    system = system_prompt(asker.prompting)
    columns = (TextColumn("infer"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    name = request.part.answers_file if request.part else ANSWERS_FILE
    with AnswersFile(request.out, name) as file, Progress(*columns, console=console) as progress:
        task = progress.add_task("infer", total=len(rows))
        for start in range(0, len(rows), request.batch_size):
            batch = [decoded(stored[i]) for i in range(start, min(start + request.batch_size, len(rows)))]
            images = [fit_image(row["image"], asker.limits) for row in batch]
            completions = engine.complete([build_messages(system, asker.prompt(row)) for row in batch], images)
            file.append(
                [
                    Answer(
                        row["image_id"],
                        asker.family.box_space_wh(row["image"].size, image.size),
                        (Sample(completion.text, completion.finish_reason, completion.num_tokens),),
                        asker.family.box_origin(row["image"].size),
                    )
                    for row, image, completion in zip(batch, images, completions, strict=True)
                ]
            )
            progress.advance(task, len(batch))
            if not console.is_terminal:  # a log file shows no bar
                console.print(f"infer {start + len(batch)} of {len(rows)}")
