"""The folder that `infer` fills and `gather` reads.

    run.json             what ran: model, data, prompts, generation settings, vocabulary, versions, command
    ground_truth.jsonl   every image of the split, boxes in pixels of the original image
    answers-WORKER.jsonl one line per answered image; only ever appended to, by one worker
    queue/               which worker has which images (`inference.queue`)
    complete.json        there once every image is answered

Older versions wrote `answers.jsonl`, or `answers-I-of-N.jsonl` where several processes shared a split.

An appended batch is on the disk, every line of it, or not there at all. A line that kill -9 cut short is
dropped by the next writer and passed over by readers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, NotRequired, Self, TypedDict, get_args

from r1sgg_cli.data.predictions import LARGEST, checked_graph, checked_image_wh
from r1sgg_cli.data.provenance import checked_names, checked_provenance
from r1sgg_cli.errors import MALFORMED, AnswersError, OutputError
from r1sgg_cli.files import save_text
from r1sgg_cli.models.completion import FinishReason
from r1sgg_cli.scene_graph.graph import SceneGraph, SpaceWH

if TYPE_CHECKING:  # it imports pydantic, and `gather` should start fast
    from r1sgg_cli.config.schema import Task

RUN_FILE, GROUND_TRUTH_FILE, ANSWERS_FILE = "run.json", "ground_truth.jsonl", "answers.jsonl"
COMPLETE_FILE = "complete.json"
_BLOCK = 65_536  # bytes
_SMALLEST_SPACE = 1e-6  # boxes as fractions of a square have a side of 1, and less where an image is flat
_LARGEST_LOGPROB = 1e-3  # a sum of rounded ones may be a little above 0


class VocabularyRow(TypedDict):
    """A vocabulary as `run.json` writes it."""

    objects: list[str]
    predicates: list[str]


class RunRecord(TypedDict):
    """What `run.json` says; all of it but the vocabulary becomes the provenance of `preds.json`."""

    model: str
    model_fingerprint: str | None
    """None for a name on the hub, as that of the data set."""
    base: NotRequired[str | None]
    """The model that adapters belong to; None for a whole one. Older records do not say it."""
    revision: NotRequired[str | None]
    """The commit of a model on the hub; None for a folder. Older records do not say it."""
    family: str
    dataset: str
    """Its name or folder; the folder of pictures where nothing is annotated."""
    dataset_fingerprint: str | None
    annotated: NotRequired[bool]
    """Whether the images have a ground truth; they do in older records, which do not say it."""
    split: str | None
    split_size: NotRequired[int]
    """Images in the split; older records do not say it, nor the `limit`."""
    limit: NotRequired[int | None]
    """Only so many first images of the split were last asked for; None: all."""
    task: NotRequired[Task]
    """What the answers list; whole graphs where nothing is said."""
    prompts: Mapping[str, Any]
    generation: Mapping[str, Any]
    vocabulary: VocabularyRow | None
    """The one that was named, else the data set's own, also where the prompt listed no categories; None without any."""
    versions: Mapping[str, str]
    command: str


@dataclass(frozen=True, slots=True)
class ImageTruth:
    """One image of the split as annotated, in pixels of the original image."""

    image_id: str
    image_wh: tuple[int, int]
    graph: SceneGraph


@dataclass(frozen=True, slots=True)
class Sample:
    """One text that the model wrote about an image."""

    text: str
    finish_reason: FinishReason
    num_tokens: int
    logprob: float | None = None
    """Natural logarithm of the whole text's probability, its end included; None where the engine gives none."""
    object_logprobs: tuple[float | None, ...] | None = None
    """Of the name of each object that the text lists (`scene_graph.parse` order); None for what cannot be told."""
    triplet_logprobs: tuple[float | None, ...] | None = None
    """Of subject, predicate and object of each relationship, as written, likewise."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model wrote about one image; its boxes are in the space `box_space_wh`.

    `samples` holds as many texts as were asked for; none where `error` says why the image could not be asked about.
    """

    image_id: str
    box_space_wh: SpaceWH
    samples: tuple[Sample, ...]
    box_origin: tuple[float, float] = (0.0, 0.0)
    """The image's top left corner in the numbers of the boxes; files of older versions do not name it."""
    image_wh: tuple[int, int] | None = None
    """Size of the original in pixels; None in files of older versions, and for a picture that cannot be decoded."""
    num_prompt_tokens: int | None = None
    """With the image's; None where the engine does not count them."""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """A line of a file of answers that holds no answer; numbers start at 1."""

    line_number: int
    reason: str
    file: str = ANSWERS_FILE


@dataclass(frozen=True, slots=True)
class LoadedAnswers:
    """All readable answers by image id, and what was passed over.

    The first of each image counts, but any text before a record that the image could not be asked about.
    """

    answers: Mapping[str, Answer]
    repeated: tuple[str, ...]
    """The image of each later answer that was passed over; such a record is none."""
    broken: tuple[BrokenLine, ...]

    @property
    def num_duplicates(self) -> int:
        """Later answers that were passed over."""
        return len(self.repeated)


def save_run(run: RunRecord, out_dir: Path) -> None:
    """Write `run.json`. Raises `OutputError`."""
    save_text(json.dumps(run, indent=2) + "\n", out_dir / RUN_FILE)


def load_run(out_dir: Path) -> RunRecord:
    """Read `run.json`. Raises `AnswersError`."""
    path = out_dir / RUN_FILE
    try:
        run: Any = checked_provenance(json.loads(_load_bytes(path)))
        vocabulary = run["vocabulary"]
        if vocabulary is not None:
            run["vocabulary"] = {key: checked_names(vocabulary[key]) for key in ("objects", "predicates")}
    except MALFORMED as error:
        raise AnswersError(
            f"`{path}` is not what `r1sgg infer` writes: {error!r}; name a folder that it filled"
        ) from error
    return run


def save_ground_truth(truths: Iterable[ImageTruth], out_dir: Path) -> None:
    """Write `ground_truth.jsonl`, all of it or nothing. Raises `OutputError`."""
    lines = []
    for truth in truths:
        objects, relationships = truth.graph.to_rows()
        row = {"image_id": truth.image_id, "image_wh": truth.image_wh}
        lines.append(json.dumps(row | {"objects": objects, "relationships": relationships}, allow_nan=False) + "\n")
    save_text("".join(lines), out_dir / GROUND_TRUTH_FILE)


def load_ground_truth(out_dir: Path) -> tuple[ImageTruth, ...]:
    """Read `ground_truth.jsonl` in its own order. Raises `AnswersError` with the line number."""
    path = out_dir / GROUND_TRUTH_FILE
    truths: dict[str, ImageTruth] = {}
    for line_number, line in enumerate(_load_bytes(path).splitlines(), start=1):
        try:
            truth = _parse_truth(line)
        except MALFORMED as error:
            raise AnswersError(
                f"line {line_number} of `{path}` cannot be read: {error!r}; run `r1sgg infer` again"
            ) from error
        if truth.image_id in truths:
            raise AnswersError(f"line {line_number} of `{path}` repeats image `{truth.image_id}`; make the ids unique")
        truths[truth.image_id] = truth
    return tuple(truths.values())


def load_answers(out_dir: Path) -> LoadedAnswers:
    """Read the answers of all workers; broken lines are listed and the rest kept. No file: no answers yet."""
    answers: dict[str, Answer] = {}
    broken: list[BrokenLine] = []
    repeated: list[str] = []
    for path in answers_files(out_dir):
        for _, _, found in answer_lines(path):
            if isinstance(found, BrokenLine):
                broken.append(found)
                continue
            known = answers.setdefault(found.image_id, found)
            if known.error is not None:
                answers[found.image_id] = found if found.error is None else known
            elif known is not found and found.error is None:
                repeated.append(found.image_id)
    return LoadedAnswers(answers, tuple(repeated), tuple(broken))


class Place(NamedTuple):
    """Where a line of a file begins."""

    offset: int = 0
    """In bytes."""
    line_number: int = 1


def answer_lines(path: Path, place: Place = Place()) -> Iterator[tuple[Place, Place, Answer | BrokenLine]]:  # noqa: B008
    """The lines of a file from a place on: where each begins, where the next one does, and what it holds.

    One line is in memory at a time. Blank lines are left out. After a last line without its newline there is no next
    one: it begins where it does itself. Raises `AnswersError`.
    """
    try:
        with path.open("rb") as file:
            file.seek(place.offset)
            for line in file:
                is_ended = line.endswith(b"\n")
                after = Place(place.offset + len(line), place.line_number + 1) if is_ended else place
                if line.strip():
                    yield place, after, _found_in(line, path.name, place.line_number)
                if not is_ended:
                    return  # what has been added meanwhile is the rest of this line
                place = after
    except OSError as error:
        raise _unreadable(path, error) from error


def _found_in(line: bytes, file: str, line_number: int) -> Answer | BrokenLine:
    try:
        return parse_answer_line(line.removesuffix(b"\n"))
    except MALFORMED as error:
        is_cut = not line.endswith(b"\n")
        reason = "cut short, as by a killed run" if is_cut else f"no answer in it ({error})"
        return BrokenLine(line_number, reason, file)


def worker_file(worker: str) -> str:
    """Name of the file that this worker alone appends to."""
    return f"answers-{worker}.jsonl"


def answers_files(out_dir: Path) -> list[Path]:
    """All files of answers in a folder, in the order in which the first answer of an image counts."""
    whole = out_dir / ANSWERS_FILE
    return [*([whole] if whole.exists() else []), *sorted(out_dir.glob(worker_file("*")))]


def ended_bytes(path: Path) -> int:
    """Bytes of a file of answers up to the end of its last line that has one. Raises `AnswersError`."""
    try:
        with path.open("rb") as file:
            return _ended_bytes(file.fileno())
    except OSError as error:
        raise _unreadable(path, error) from error


def _ended_bytes(descriptor: int) -> int:
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _BLOCK)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def mark_complete(out_dir: Path, num_images: int) -> None:
    """Write `complete.json`. Raises `OutputError`."""
    save_text(json.dumps({"images": num_images}) + "\n", out_dir / COMPLETE_FILE)


class AnswersFile:
    """A file of answers opened for appending: `with AnswersFile(out_dir) as file: file.append(batch)`."""

    def __init__(self, out_dir: Path, name: str = ANSWERS_FILE) -> None:
        """Open the file, made if absent, and drop a last line that was cut short. Raises `OutputError`."""
        self._path = out_dir / name
        try:
            out_dir.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            self._end_last_line()
        except OSError as error:
            raise self._unwritable(error) from error

    def append(self, answers: Sequence[Answer]) -> None:
        """Add a batch: all of its lines are on the disk afterwards, or none. Raises `OutputError`."""
        lines = b"".join(json.dumps(_answer_row(answer)).encode() + b"\n" for answer in answers)
        size = os.fstat(self._descriptor).st_size
        try:
            self._write(lines)
        except OSError as error:
            os.ftruncate(self._descriptor, size)
            raise self._unwritable(error) from error

    def __enter__(self) -> Self:
        """The file itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _write(self, content: bytes) -> None:
        while content:
            content = content[os.write(self._descriptor, content) :]
        os.fsync(self._descriptor)

    def _end_last_line(self) -> None:
        end = _ended_bytes(self._descriptor)
        last = os.pread(self._descriptor, os.fstat(self._descriptor).st_size - end, end)
        if not last:
            return
        try:
            parse_answer_line(last)
        except MALFORMED:
            os.ftruncate(self._descriptor, end)
        else:
            self._write(b"\n")  # whole but for its newline, as an editor leaves it

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(
            f"cannot write `{self._path}`: {error.strerror}; free some space or name another place,"
            " finished answers are kept"
        )


def _load_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> AnswersError:
    return AnswersError(f"cannot read `{path}`: {error.strerror}; `r1sgg infer MODEL {path.parent}` fills that folder")


def _parse_truth(line: bytes) -> ImageTruth:
    row = json.loads(line)
    width, height = checked_image_wh(row["image_wh"])
    graph = checked_graph(row["objects"], row["relationships"], (width, height))
    return ImageTruth(str(row["image_id"]), (width, height), graph)


def _answer_row(answer: Answer) -> dict[str, Any]:
    """A line's content: the first text beside the rest, further ones under `more`, and nothing that is not known."""
    known = {key: value for key, value in asdict(answer).items() if value is not None}
    samples = [{key: value for key, value in sample.items() if value is not None} for sample in known.pop("samples")]
    return known | (samples[0] if samples else {}) | ({"more": samples[1:]} if len(samples) > 1 else {})


def parse_answer_line(line: bytes) -> Answer:
    """A line of a file of answers. Raises one of `errors.MALFORMED` where it holds no answer."""
    row = json.loads(line)
    width, height = checked_space_wh(row["box_space_wh"], "box_space_wh")
    left, top = (float(number) for number in row.get("box_origin", (0.0, 0.0)))
    if not (abs(left) <= LARGEST and abs(top) <= LARGEST):
        raise ValueError("box_origin is not two finite numbers")
    error = row.get("error")
    samples = () if error is not None else tuple(_parse_sample(each) for each in (row, *row.get("more", ())))
    image_wh = checked_image_wh(row["image_wh"]) if "image_wh" in row else None
    return Answer(
        str(row["image_id"]),
        (width, height),
        samples,
        (left, top),
        image_wh,
        int(row["num_prompt_tokens"]) if "num_prompt_tokens" in row else None,
        None if error is None else str(error),
    )


def checked_space_wh(value: Any, name: str) -> SpaceWH:
    """The space of an answer's boxes that came from a file, there called `name`. Raises one of `errors.MALFORMED`."""
    width, height = (float(side) for side in value)
    if not (_SMALLEST_SPACE <= width <= LARGEST and _SMALLEST_SPACE <= height <= LARGEST):
        raise ValueError(f"{name} is not two positive numbers")
    return width, height


def _parse_sample(row: Mapping[str, Any]) -> Sample:
    if not isinstance(row["text"], str):
        raise TypeError("text is not a string")
    if row["finish_reason"] not in get_args(FinishReason):
        raise ValueError(f"finish_reason is {row['finish_reason']!r}")
    return Sample(
        row["text"],
        row["finish_reason"],
        int(row["num_tokens"]),
        _parse_logprob(row.get("logprob")),
        _parse_logprobs(row.get("object_logprobs")),
        _parse_logprobs(row.get("triplet_logprobs")),
    )


def _parse_logprobs(values: Sequence[Any] | None) -> tuple[float | None, ...] | None:
    return None if values is None else tuple(map(_parse_logprob, values))


def _parse_logprob(value: Any) -> float | None:
    if value is None:
        return None
    logprob = float(value)
    if not logprob <= _LARGEST_LOGPROB:  # nor is a NaN
        raise ValueError("a log-probability is no number up to 0")
    return logprob
