"""The queue from which all workers of a folder take their images: files alone, no server and no clock.

    OUT/queue/plan.json    how many images are asked for, in chunks of how many, and where the files of answers ended
                           when the first of the workers began
    OUT/queue/HOST-0.lock  a worker: its process holds a lock on the file for as long as it lives
    OUT/queue/00012-1      a claim on chunk 12: a hard link to the lock file of the worker that has it

A worker is any process that runs the same command. Only one of them can make a link of a name, and the link is the
locked file itself: a claim is alive exactly as long as its worker, through kill -9. What a dead one left unanswered is
claimed again, as `00012-2`, once no chunk is left that nobody has claimed. A worker that starts under the name of a
dead one makes its lock file anew, so that the old claims stay dead.

Where another node's locks are not seen (Lustre with `localflock`), where there are none, and where there are no hard
links, other workers look dead: each chunk is still claimed first by one of them alone, but some of the last may be
answered twice. The first answer of an image counts.
"""

import errno
import itertools
import json
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from r1sgg_cli.errors import AnswersError, ConfigError, OutputError, in_words
from r1sgg_cli.files import LOCK_FILE, is_locked, locked, save_text
from r1sgg_cli.inference.answered import AnsweredImages
from r1sgg_cli.inference.answers_file import BrokenLine, answers_files, ended_bytes

QUEUE, PLAN_FILE = "queue", "plan.json"
BEGIN_LOCK = f"{LOCK_FILE}-begin"
"""Held while a worker joins: several begin a folder at the same time."""
MAX_CHUNK = 16
"""Images that are claimed at once: some of the last are another's at worst, and a claim is rare beside answers."""
NUM_CHUNKS = 64
"""Chunks of a split that has fewer than so many times `MAX_CHUNK` images, so that few images are shared out as well."""
POLL_SECONDS = 1.0

_SUFFIX = ".lock"
_CLAIM = re.compile(r"(\d{5,})-(\d+)")
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


@dataclass(frozen=True, slots=True)
class Plan:
    """What all workers of a folder go by."""

    num_images: int
    chunk_size: int
    begun_at: Mapping[str, int]
    """Bytes of each file of answers when the first of them began: images that could not be asked about before that are
    asked about once more, by one of them."""


def live_workers(out: Path) -> list[str]:
    """Names of the workers that answer into a folder at this moment, as far as their locks are seen from here."""
    found = sorted((out / QUEUE).glob(f"*{_SUFFIX}"))
    return [path.name.removesuffix(_SUFFIX) for path in found if is_locked(path.parent, path.name)]


def insist_on_same_images(out: Path, num_images: int) -> list[str]:
    """The workers at work in a folder; other images than theirs are refused. Raises `ConfigError`."""
    workers = live_workers(out)
    planned = _load_plan(out / QUEUE)
    if workers and planned is not None and planned.num_images != num_images:
        raise ConfigError(
            f"`{out}` is being filled with answers for {planned.num_images:,} images, not {num_images:,}, by "
            f"{', '.join(workers)}; give the same `--limit`, or wait for them"
        )
    return workers


@contextmanager
def joined(out: Path, image_ids: Sequence[str]) -> Iterator["WorkQueue"]:
    """One more worker of a folder, for as long as it works. Raises `OutputError`.

    The caller holds `BEGIN_LOCK` of the folder while it joins, and has made sure that others answer the same images.
    """
    folder = out / QUEUE
    plan = _shared_plan(out, len(image_ids))
    host = re.sub(r"[^\w-]", "-", socket.gethostname().partition(".")[0]) or "host"
    # Where nothing is kept out by locks, not even by the one that is held here, processes are told apart by their ids.
    indices = itertools.count() if is_locked(out, BEGIN_LOCK) else iter([os.getpid()])
    worker = next(name for i in indices if not is_locked(folder, (name := f"{host}-{i}") + _SUFFIX))
    lock = folder / f"{worker}{_SUFFIX}"
    try:
        lock.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    with locked(folder, lock.name, wait=True):
        try:
            lock.write_text(f"{worker} (process {os.getpid()})", encoding="utf-8")
        except OSError as error:
            raise _unwritable(folder, error) from error
        yield WorkQueue(out, worker, image_ids, plan)


class WorkQueue:
    """The images that are left, as one worker sees them; `joined` makes it."""

    def __init__(self, out: Path, worker: str, image_ids: Sequence[str], plan: Plan) -> None:
        """`image_ids` in the order of the rows; the worker's lock is held."""
        self.worker = worker
        self.chunk_size = plan.chunk_size
        self._folder = out / QUEUE
        self._answered = AnsweredImages(out, plan.begun_at)
        self._position_of = {image_id: position for position, image_id in enumerate(image_ids)}
        self._left: dict[int, set[int]] = {}  # positions without an answer by chunk; a chunk without any is not there
        for position in range(len(image_ids)):
            self._left.setdefault(position // plan.chunk_size, set()).add(position)
        self._taken: set[int] = set()
        self._claimed: dict[int, int] = {}  # the last claim that was seen on each chunk
        self._names: set[str] = set()  # of the files that it was read from
        self._read_answers()

    @property
    def num_left(self) -> int:
        """Images without an answer, as of the last look."""
        return sum(map(len, self._left.values()))

    @property
    def broken(self) -> tuple[BrokenLine, ...]:
        """Lines of files of answers that hold none, as of the last look."""
        return self._answered.broken

    def take(self) -> list[int]:
        """Positions of the next free chunk's images without an answer, now this worker's own; empty: none is free.

        Raises `OutputError`.
        """
        self._read_answers()
        for chunk, generation in self._free():
            self._note_claim(chunk, generation)  # a listing of the folder may be older than what a claim runs into
            if not self._claim(chunk, generation):
                continue
            self._read_answers()  # the one who had it may have answered more of it before it died
            if chunk in self._left:
                self._taken.add(chunk)
                return sorted(self._left[chunk])
        return []

    def wait(self, console: Console) -> bool:
        """Whether a chunk is free, now or once a worker has died; False: every image has an answer.

        All that this worker has taken must have one.
        """
        has_said = False
        self._read_answers()
        while self._left:
            assert not self._left.keys() & self._taken, "an engine gave no answer for some images"
            if next(self._free(), None) is not None:
                return True
            if not has_said:
                names = ", ".join(sorted(self._holders())) or "others"
                console.print(f"waiting for {self.num_left:,} images that {escape(names)} answer")
                has_said = True
            time.sleep(POLL_SECONDS)
            self._read_answers()
        return False

    def _read_answers(self) -> None:
        for image_id in self._answered.read():
            position = self._position_of.get(image_id)  # of another `--limit` otherwise
            if position is None:
                continue
            chunk = position // self.chunk_size
            left = self._left.get(chunk, set())
            left.discard(position)
            if not left:
                self._left.pop(chunk, None)

    def _free(self) -> Iterator[tuple[int, int]]:
        """Chunks that may be claimed, and as which generation: first those that nobody had, then those of the dead."""
        self._read_claims()
        open_ones = [chunk for chunk in self._left if chunk not in self._taken]
        claimed = {chunk: self._claimed[chunk] for chunk in open_ones if chunk in self._claimed}
        yield from ((chunk, 1) for chunk in open_ones if chunk not in claimed)
        for chunk, generation in claimed.items():
            if not is_locked(self._folder, _claim_name(chunk, generation)):
                yield chunk, generation + 1

    def _read_claims(self) -> None:
        try:
            names = set(os.listdir(self._folder))  # noqa: PTH208  # thousands of names, once for each chunk
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        for claim in filter(None, map(_CLAIM.fullmatch, names - self._names)):
            self._note_claim(int(claim[1]), int(claim[2]))
        self._names = names

    def _note_claim(self, chunk: int, generation: int) -> None:
        self._claimed[chunk] = max(generation, self._claimed.get(chunk, 0))

    def _holders(self) -> set[str]:
        """Who has the chunks that are left."""
        claimed = [(chunk, self._claimed[chunk]) for chunk in self._left if chunk in self._claimed]
        claims = [self._folder / _claim_name(*claim) for claim in claimed]
        return {claim.read_text(encoding="utf-8") for claim in claims if claim.exists()}

    def _claim(self, chunk: int, generation: int) -> bool:
        own, claim = self._folder / f"{self.worker}{_SUFFIX}", self._folder / _claim_name(chunk, generation)
        try:
            os.link(own, claim)
        except FileExistsError:
            return own.samefile(claim)  # made after all: over NFS a request may be repeated whose reply was lost
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise _unwritable(self._folder, error) from error
            return _claimed_by_a_file(claim, self.worker)
        return True


def _claimed_by_a_file(claim: Path, worker: str) -> bool:
    try:
        with claim.open("x", encoding="utf-8") as file:
            file.write(worker)
    except FileExistsError:
        return False
    except OSError as error:
        raise _unwritable(claim.parent, error) from error
    return True


def _claim_name(chunk: int, generation: int) -> str:
    return f"{chunk:05}-{generation}"


def _shared_plan(out: Path, num_images: int) -> Plan:
    """The plan of the workers at work, else one that begins now; that for other images is made without its claims."""
    folder = out / QUEUE
    planned = _load_plan(folder)
    if planned is not None and planned.num_images == num_images:
        if live_workers(out):
            return planned
        chunk_size = planned.chunk_size
    else:
        _drop_claims(folder)
        chunk_size = min(MAX_CHUNK, max(1, num_images // NUM_CHUNKS))
    plan = Plan(num_images, chunk_size, {path.name: ended_bytes(path) for path in answers_files(out)})
    save_text(json.dumps(asdict(plan)) + "\n", folder / PLAN_FILE)
    return plan


def _drop_claims(folder: Path) -> None:
    try:
        for path in folder.glob("*-*"):
            if _CLAIM.fullmatch(path.name):
                path.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _load_plan(folder: Path) -> Plan | None:
    """The plan that stands, if one does. Raises `AnswersError`."""
    path = folder / PLAN_FILE
    try:
        plan = json.loads(path.read_bytes())
        begun_at = {str(name): int(size) for name, size in plan["begun_at"].items()}
        return Plan(int(plan["num_images"]), int(plan["chunk_size"]), begun_at)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AnswersError(
            f"`{path}` cannot be read: {in_words(error)}; delete `{folder}`, answers are not in it"
        ) from error


def _unwritable(folder: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write `{folder}`: {error.strerror}; run the same again, finished answers are kept")
