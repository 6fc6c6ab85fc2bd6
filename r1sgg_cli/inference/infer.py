"""One answer for every image of a split, kept as it comes: a run that was stopped goes on with the images left.

Each process that is asked for the same answers in the same folder is one more worker of `inference.queue`.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from datasets import Dataset
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from r1sgg_cli.config.record import LAUNCHER_FILES
from r1sgg_cli.data.pictures import picture_rows
from r1sgg_cli.data.rows import load_rows, undecoded
from r1sgg_cli.errors import DataError
from r1sgg_cli.files import insist_on_own_folder, locked
from r1sgg_cli.inference.ahead import in_order_ahead, num_threads
from r1sgg_cli.inference.answers import Answer, Sample
from r1sgg_cli.inference.answers_file import AnswersFile, worker_file
from r1sgg_cli.inference.asker import Asker, make_asker
from r1sgg_cli.inference.begin import begin, record_of
from r1sgg_cli.inference.engine import Engine, Question, Reply
from r1sgg_cli.inference.engines import choose_engine, images_of_a_turn, load_engine
from r1sgg_cli.inference.push_once import forget_push
from r1sgg_cli.inference.queue import BEGIN_LOCK, WorkQueue, insist_on_same_images, joined, live_workers
from r1sgg_cli.inference.request import EngineName, InferRequest
from r1sgg_cli.inference.run_record import COMPLETE_FILE, RUN_FILE, RunRecord, mark_complete
from r1sgg_cli.models.adapters import check_to_ask
from r1sgg_cli.models.completion import Completion
from r1sgg_cli.models.probabilities import answer_logprob, graph_probabilities
from r1sgg_cli.scene_graph.graph import SceneGraph, SpaceWH
from r1sgg_cli.scene_graph.parse import ParseError, parse_answer

CHUNKS_AHEAD = 2
"""Chunks at most of which pictures are prepared ahead: those are no other worker's any more."""


def infer(request: InferRequest) -> None:
    """Write an answer for each image that has none yet into `request.out`. Raises `R1SGGError` on a user's mistake."""
    console = Console(stderr=True, soft_wrap=True, emoji=False)
    insist_on_own_folder(request.out, RUN_FILE, LAUNCHER_FILES)
    check_to_ask(request.model)
    rows, split_size = _load(request)
    engine_name = choose_engine(request, console)
    asker = make_asker(request, console, rows.remove_columns("image"))
    if request.vocabulary is not None and not asker.wording.asking.predefined_categories:
        console.print("vocabulary: no prompt lists it (`--predefined-cats` does); `gather` maps labels into it")
    record = record_of(request, asker, engine_name, split_size)
    with _at_work(request, record, rows, console) as queue:
        _answer(rows, request, asker, engine_name, queue, console)
        with locked(request.out, BEGIN_LOCK, wait=True):  # who joins removes the file where images are left
            mark_complete(request.out, len(rows))
    console.print(f"answers: {escape(str(request.out))}")


@contextmanager
def _at_work(request: InferRequest, record: RunRecord, rows: Dataset, console: Console) -> Iterator[WorkQueue]:
    """Join those who fill the folder, or begin it. Raises `R1SGGError` where it holds something else."""
    out = request.out
    insist_on_own_folder(out, RUN_FILE, LAUNCHER_FILES)
    with ExitStack() as held:
        held.enter_context(locked(out, shared=True))
        with locked(out, BEGIN_LOCK, wait=True):
            others = insist_on_same_images(out, len(rows))
            begin(record, rows, out, console, has_workers=bool(others))
            queue = held.enter_context(joined(out, rows["image_id"]))
            if queue.num_left:
                (out / COMPLETE_FILE).unlink(missing_ok=True)
                forget_push(out)
        _say_what_is_there(request, len(rows), queue, others, console)
        yield queue


def _say_what_is_there(
    request: InferRequest, num_images: int, queue: WorkQueue, others: list[str], console: Console
) -> None:
    for line in queue.broken:
        reason = escape(line.reason)
        console.print(f"[yellow]line {line.line_number} of {line.file} passed over[/]: {reason}")
    if queue.num_left < num_images:
        console.print(f"{num_images - queue.num_left} of {num_images} images are answered already")
    if others:
        console.print(f"{escape(queue.worker)} joins {escape(', '.join(others))}")


def _load(request: InferRequest) -> tuple[Dataset, int]:
    """The rows that are asked for, and how many the split has."""
    rows = picture_rows(request.images) if request.images else load_rows(request.dataset, request.split)
    split_size = len(rows)
    if request.limit is not None:
        rows = rows.select(range(min(request.limit, len(rows))))
    if len(set(rows["image_id"])) != len(rows):
        raise DataError(f"`{request.dataset}` repeats image ids, so its answers could not be told apart")
    return rows, split_size


def _answer(
    rows: Dataset, request: InferRequest, asker: Asker, engine_name: EngineName, queue: WorkQueue, console: Console
) -> None:
    """Answer what the queue gives until every image has an answer, by whomever."""
    if not queue.wait(console):
        return
    of_a_turn = images_of_a_turn(queue.num_left, len(live_workers(request.out)))
    engine = load_engine(request, engine_name, asker, console, of_a_turn)
    columns = (TextColumn("infer"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    name = worker_file(queue.worker)
    with AnswersFile(request.out, name) as file, Progress(*columns, console=console) as progress:
        writing = _Writing(file, progress, progress.add_task("infer", total=queue.num_left), console)
        is_free = True
        while is_free:
            for reply in engine.replies(_questions(rows, asker, queue, writing)):
                writing.add(answer_of(reply, asker, engine))
            is_free = queue.wait(console)
        writing.show(queue.num_left)


class _Writing:
    """Answers on their way to the disk, and how far they are: those of all workers."""

    def __init__(self, file: AnswersFile, progress: Progress, task: TaskID, console: Console) -> None:
        self._file = file
        self._progress = progress
        self._task = task
        self._console = console
        self._num_shown = 0

    def add(self, answer: Answer) -> None:
        """Keep an answer, and say it where an image could not be asked about."""
        self._file.append([answer])
        if answer.error is not None:
            self._console.print(f"[yellow]not asked:[/] {escape(answer.error)}")
        self._progress.advance(self._task)
        self._log()

    def show(self, num_left: int) -> None:
        """So many images have no answer by any worker."""
        total = self._progress.tasks[self._task].total or 0
        self._progress.update(self._task, completed=total - num_left)
        self._log()

    def _log(self) -> None:
        """A line for each twentieth, where the console is a log file and shows no bar."""
        bar = self._progress.tasks[self._task]
        total = int(bar.total or 0)
        num_done = int(bar.completed)
        every = max(1, total // 20)
        has_more = num_done // every > self._num_shown // every or (num_done == total > self._num_shown)
        if has_more and not self._console.is_terminal:
            self._num_shown = num_done
            self._console.print(f"infer {num_done} of {total}")


def _questions(rows: Dataset, asker: Asker, queue: WorkQueue, writing: _Writing) -> Iterator[Question]:
    """Questions about chunk after chunk, prepared ahead by threads; what cannot be asked about is answered here."""
    taken = _taken(rows, queue, writing)
    with ThreadPoolExecutor(num_threads()) as threads:
        for found in in_order_ahead(threads, asker.question, taken, at_most=CHUNKS_AHEAD * queue.chunk_size):
            if isinstance(found, Answer):
                writing.add(found)
            else:
                yield found


def _taken(rows: Dataset, queue: WorkQueue, writing: _Writing) -> Iterator[Mapping[str, Any]]:
    stored = undecoded(rows)
    while positions := queue.take():
        writing.show(queue.num_left)
        for position in positions:
            yield stored[position]


def answer_of(reply: Reply, asker: Asker, engine: Engine) -> Answer:
    """A reply as it is kept."""
    question = reply.question
    space_wh, origin = asker.box_space(question)
    samples = tuple(_sample(completion, space_wh, origin, question.given, engine) for completion in reply.completions)
    return Answer(
        question.image_id,
        space_wh,
        samples,
        origin,
        question.image_wh,
        reply.num_prompt_tokens,
        None if reply.error is None else f"image {question.image_id}: {reply.error}",
    )


def _sample(
    completion: Completion, space_wh: SpaceWH, origin: tuple[float, float], given: SceneGraph | None, engine: Engine
) -> Sample:
    try:
        parsed = parse_answer(completion.text, space_wh, origin, given)
    except ParseError:
        found = None
    else:
        found = graph_probabilities(completion, parsed, engine.tokenizer, origin)
    return Sample(
        completion.text,
        completion.finish_reason,
        completion.num_tokens,
        answer_logprob(completion),
        None if found is None else found.objects,
        None if found is None else found.triplets,
    )
