"""Files of answers in the folder that `infer` fills and `gather` reads.

    run.json             what ran (`inference.run_record`)
    ground_truth.jsonl   every image of the split (`inference.ground_truth`)
    training.json        what the training split showed, where that is known (`inference.training_file`)
    answers-WORKER.jsonl one line per answered image; only ever appended to, by one worker
    queue/               which worker has which images (`inference.queue`)
    complete.json        there once every image is answered

An appended batch is on the disk, every line of it, or not there at all. A line that kill -9 cut short is
dropped by the next writer and passed over by readers.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from r1sgg_cli.errors import MALFORMED, OutputError, in_words
from r1sgg_cli.files import unwritable
from r1sgg_cli.inference.answers import Answer, answer_row, parse_answer_line
from r1sgg_cli.inference.run_record import unreadable

_BLOCK = 65_536  # bytes


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """A line of a file of answers that holds no answer; numbers start at 1."""

    line_number: int
    reason: str
    file: str


@dataclass(frozen=True, slots=True)
class LoadedAnswers:
    """All readable answers by image id, and what was passed over.

    The first of each image counts, but any text before a record that the image could not be asked about.
    """

    answers: Mapping[str, Answer]
    repeated: tuple[str, ...]
    """The image of each later answer that was passed over; such a record is none."""
    broken: tuple[BrokenLine, ...]


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
        raise unreadable(path, error) from error


def _found_in(line: bytes, file: str, line_number: int) -> Answer | BrokenLine:
    try:
        return parse_answer_line(line.removesuffix(b"\n"))
    except MALFORMED as error:
        is_cut = not line.endswith(b"\n")
        reason = "cut short, as by a killed run" if is_cut else f"no answer in it ({in_words(error)})"
        return BrokenLine(line_number, reason, file)


def worker_file(worker: str) -> str:
    """Name of the file that this worker alone appends to."""
    return f"answers-{worker}.jsonl"


def answers_files(out_dir: Path) -> list[Path]:
    """All files of answers in a folder, in the order in which the first answer of an image counts."""
    return sorted(out_dir.glob(worker_file("*")))


def ended_bytes(path: Path) -> int:
    """Bytes of a file of answers up to the end of its last line that has one. Raises `AnswersError`."""
    try:
        with path.open("rb") as file:
            return _ended_bytes(file.fileno())
    except OSError as error:
        raise unreadable(path, error) from error


def _ended_bytes(descriptor: int) -> int:
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _BLOCK)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


class AnswersFile:
    """A file of answers opened for appending: `with AnswersFile(out_dir, name) as file: file.append(batch)`."""

    def __init__(self, out_dir: Path, name: str) -> None:
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
        lines = b"".join(json.dumps(answer_row(answer)).encode() + b"\n" for answer in answers)
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
        return OutputError(f"{unwritable(self._path, error)}; finished answers are kept")
