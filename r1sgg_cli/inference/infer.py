"""One answer for every image of a split, kept as it comes: a run that was stopped goes on with the images left."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

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
from r1sgg_cli.data.rows import load_rows, undecoded
from r1sgg_cli.errors import DataError
from r1sgg_cli.files import LOCK_FILE, insist_on_own_folder, locked
from r1sgg_cli.inference.ahead import in_order_ahead, num_threads
from r1sgg_cli.inference.answers import (
    ANSWERS_FILE,
    COMPLETE_FILE,
    RUN_FILE,
    Answer,
    AnswersFile,
    Sample,
    load_answers,
    mark_complete,
)
from r1sgg_cli.inference.asker import Asker, make_asker
from r1sgg_cli.inference.begin import begin, record_of
from r1sgg_cli.inference.engine import Engine, Question, Reply
from r1sgg_cli.inference.engines import choose_engine, load_engine
from r1sgg_cli.inference.probabilities import answer_logprob, graph_probabilities
from r1sgg_cli.inference.request import InferRequest
from r1sgg_cli.models.adapters import check_to_ask
from r1sgg_cli.models.completion import Completion
from r1sgg_cli.scene_graph.graph import SpaceWH
from r1sgg_cli.scene_graph.parse import ParseError, parse_answer

_BEGIN_LOCK = f"{LOCK_FILE}-begin"
"""Held while a folder is started: several processes begin at the same time."""


def infer(request: InferRequest) -> None:
    """Write an answer for each image that has none yet into `request.out`. Raises `R1SGGError` on a user's mistake."""
    console = Console(stderr=True, soft_wrap=True, emoji=False)
    check_to_ask(request.model)
    asker = make_asker(request, console)
    rows, split_size = _load(request)
    for row in rows.remove_columns("image"):
        if asker.task != "cls":
            asker.prompt(row)  # what cannot be asked is said before anything is written
    engine_name = choose_engine(request, console)
    record = record_of(request, asker, engine_name, split_size)
    with _alone(request):
        with locked(request.out, _BEGIN_LOCK, wait=True):
            begin(record, rows, request.out, console)
        left = _left(rows, request, console)
        if left:
            (request.out / COMPLETE_FILE).unlink(missing_ok=True)
            engine = load_engine(request, engine_name, asker, console)
            _answer(rows.select(left), request, asker, engine, console)
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


def _answer(rows: Dataset, request: InferRequest, asker: Asker, engine: Engine, console: Console) -> None:
    columns = (TextColumn("infer"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    name = request.part.answers_file if request.part else ANSWERS_FILE
    with AnswersFile(request.out, name) as file, Progress(*columns, console=console) as progress:
        writing = _Writing(file, progress, progress.add_task("infer", total=len(rows)), console)
        for reply in engine.replies(_questions(rows, asker, writing)):
            writing.add(answer_of(reply, asker, engine))


class _Writing:
    """Answers on their way to the disk, and how far they are."""

    def __init__(self, file: AnswersFile, progress: Progress, task: TaskID, console: Console) -> None:
        self._file = file
        self._progress = progress
        self._task = task
        self._console = console

    def add(self, answer: Answer) -> None:
        """Keep an answer, and say it where an image could not be asked about."""
        self._file.append([answer])
        self._progress.advance(self._task)
        if answer.error is not None:
            self._console.print(f"[yellow]not asked:[/] {escape(answer.error)}")
        bar = self._progress.tasks[self._task]
        every = max(1, (bar.total or 0) // 20)
        if not self._console.is_terminal and (bar.completed % every == 0 or bar.completed == bar.total):
            self._console.print(f"infer {bar.completed:g} of {bar.total:g}")  # a log file shows no bar


def _questions(rows: Dataset, asker: Asker, writing: _Writing) -> Iterator[Question]:
    """The questions of all rows, prepared ahead by threads; a picture that cannot be asked about is answered here."""
    stored = undecoded(rows)
    with ThreadPoolExecutor(num_threads()) as threads:
        for found in in_order_ahead(threads, asker.question, (stored[i] for i in range(len(stored)))):
            if isinstance(found, Answer):
                writing.add(found)
            else:
                yield found


def answer_of(reply: Reply, asker: Asker, engine: Engine) -> Answer:
    """A reply as it is kept."""
    question = reply.question
    space_wh, origin = asker.box_space(question)
    samples = tuple(_sample(completion, space_wh, origin, engine) for completion in reply.completions)
    return Answer(
        question.image_id,
        space_wh,
        samples,
        origin,
        question.image_wh,
        reply.num_prompt_tokens,
        None if reply.error is None else f"image {question.image_id}: {reply.error}",
    )


def _sample(completion: Completion, space_wh: SpaceWH, origin: tuple[float, float], engine: Engine) -> Sample:
    try:
        parsed = parse_answer(completion.text, space_wh, origin)
    except ParseError:
        found = None
    else:
        found = graph_probabilities(completion, parsed, engine.tokenizer)
    return Sample(
        completion.text,
        completion.finish_reason,
        completion.num_tokens,
        answer_logprob(completion),
        None if found is None else found.objects,
        None if found is None else found.triplets,
    )
