"""Workers share one queue: each image is one living worker's, whoever dies, and all are answered in the end."""

import errno
import json
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from r1sgg_cli.errors import AnswersError, ConfigError, OutputError
from r1sgg_cli.files import is_locked, locked
from r1sgg_cli.inference import queue as queue_module
from r1sgg_cli.inference.answers import Answer
from r1sgg_cli.inference.answers_file import AnswersFile, load_answers, worker_file
from r1sgg_cli.inference.queue import (
    BEGIN_LOCK,
    MAX_CHUNK,
    PLAN_FILE,
    QUEUE,
    WorkQueue,
    insist_on_same_images,
    joined,
    live_workers,
)
from tests.conftest import files_no_larger_than

from .conftest import make_answer


def ids(num_images: int) -> list[str]:
    return [f"image-{position}" for position in range(num_images)]


def not_asked(image_id: str) -> Answer:
    return Answer(image_id, (1, 1), (), error=f"image {image_id} cannot be read")


class Worker:
    """One worker in this process, with real files and a real lock; another descriptor's locks keep it out as well."""

    def __init__(self, out: Path, image_ids: Sequence[str]) -> None:
        self._held = ExitStack()
        with locked(out, BEGIN_LOCK, wait=True):
            self.queue: WorkQueue = self._held.enter_context(joined(out, image_ids))
        self.path = out / worker_file(self.queue.worker)
        self._file = self._held.enter_context(AnswersFile(out, self.path.name))
        self._image_ids = image_ids
        self.taken: list[int] = []

    def work(self) -> bool:
        """Answer one image, or take a chunk; False where there is neither."""
        if self.taken:
            self._file.append([make_answer(self._image_ids[self.taken.pop(0)])])
            return True
        self.taken = self.queue.take()
        return bool(self.taken)

    def end(self) -> None:
        """As kill -9 does: descriptors are closed, and nothing else is done."""
        self._held.close()

    def die(self) -> None:
        """In the middle of a line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write('{"image_id": "image-0", "box_')
        self.end()


@contextmanager
def workers_of(out: Path, num_images: int, num_workers: int) -> Iterator[list[Worker]]:
    workers = [Worker(out, ids(num_images)) for _ in range(num_workers)]
    yield workers
    for worker in workers:
        worker.end()


def save_plan(out: Path, num_images: int, chunk_size: int) -> None:
    (out / QUEUE).mkdir(parents=True)
    plan = {"num_images": num_images, "chunk_size": chunk_size, "begun_at": {}}
    (out / QUEUE / PLAN_FILE).write_text(json.dumps(plan), encoding="utf-8")


STEPS = st.lists(st.tuples(st.sampled_from(["join", *["work"] * 6, "kill"]), st.integers(0, 3)), max_size=60)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, num_images=st.integers(1, 14), chunk_size=st.integers(1, 4))
def test_whoever_joins_and_dies_no_two_have_an_image_and_all_are_answered_once(
    steps: list[tuple[str, int]], num_images: int, chunk_size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = tmp_path_factory.mktemp("out")
    save_plan(out, num_images, chunk_size)
    workers: list[Worker] = []
    for step, number in steps:
        if step == "join" and len(workers) < 4:
            workers.append(Worker(out, ids(num_images)))
        elif step == "kill" and number < len(workers):
            workers.pop(number).die()
        elif step == "work" and number < len(workers):
            workers[number].work()
            taken = [position for worker in workers for position in worker.taken]
            assert len(taken) == len(set(taken))
    workers.append(Worker(out, ids(num_images)))
    while any(worker.work() for worker in workers):
        pass
    assert {worker.queue.num_left for worker in workers} == {0}
    for worker in workers:
        worker.end()
    loaded = load_answers(out)
    assert (set(loaded.answers), loaded.repeated) == (set(ids(num_images)), ())


def race(out: Path, num_images: int, barrier: Any) -> None:
    """A process that takes and answers whatever it can."""
    worker = Worker(out, ids(num_images))
    barrier.wait()
    while worker.work():
        pass
    os._exit(0)


def test_processes_at_the_same_moment_never_take_the_same_chunk(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    racers = [context.Process(target=race, args=(tmp_path, 120, barrier)) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(200)
        assert racer.exitcode == 0
    loaded = load_answers(tmp_path)
    assert (len(loaded.answers), loaded.repeated) == (120, ())
    assert len(list(tmp_path.glob("answers-*.jsonl"))) == 4


@pytest.mark.parametrize(
    ("num_images", "chunk_size"), [(1, 1), (127, 1), (128, 2), (5_000, MAX_CHUNK)], ids=["one", "few", "more", "many"]
)
def test_chunks_are_small_beside_the_split(num_images: int, chunk_size: int, tmp_path: Path) -> None:
    with workers_of(tmp_path, num_images, 1) as (worker,):
        assert worker.queue.chunk_size == chunk_size
        assert worker.queue.take() == list(range(chunk_size))


def test_workers_of_a_machine_have_names_and_the_first_free_one_is_taken(tmp_path: Path) -> None:
    with workers_of(tmp_path, 4, 3) as workers:
        names = [worker.queue.worker for worker in workers]
        assert live_workers(tmp_path) == sorted(names)
        assert [name.rpartition("-")[2] for name in names] == ["0", "1", "2"]
        workers[1].end()
        assert live_workers(tmp_path) == [names[0], names[2]]
        with workers_of(tmp_path, 4, 1) as (again,):
            assert again.queue.worker == names[1]


def test_who_takes_the_name_of_a_dead_worker_does_not_bring_its_claims_to_life(tmp_path: Path) -> None:
    save_plan(tmp_path, 4, 2)
    first = Worker(tmp_path, ids(4))
    assert first.queue.take() == [0, 1]
    first.end()
    with workers_of(tmp_path, 4, 2) as (namesake, other):
        assert namesake.queue.worker == first.queue.worker
        assert other.queue.take() == [2, 3]
        assert other.queue.take() == [0, 1]
        assert namesake.queue.take() == []


def test_of_a_dead_workers_chunk_only_what_it_left_is_answered(tmp_path: Path) -> None:
    save_plan(tmp_path, 4, 4)
    first = Worker(tmp_path, ids(4))
    first.work()
    first.work()
    with workers_of(tmp_path, 4, 1) as (second,):
        assert second.queue.take() == []
        first.work()
        first.end()
        assert second.queue.take() == [2, 3]


def test_what_a_worker_answers_between_a_look_and_its_death_is_not_answered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_plan(tmp_path, 2, 2)
    first = Worker(tmp_path, ids(2))
    first.work()

    def answer_and_die(folder: Path, name: str) -> bool:
        first.work()
        first.end()
        return is_locked(folder, name)

    with workers_of(tmp_path, 2, 1) as (second,):
        monkeypatch.setattr(queue_module, "is_locked", answer_and_die)
        assert second.queue.take() == [1]


def test_a_claim_that_a_listing_does_not_show_yet_is_run_into_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with workers_of(tmp_path, 3, 2) as (first, second):
        assert first.queue.take() == [0]
        monkeypatch.setattr(os, "listdir", lambda folder: [])
        assert [second.queue.take(), second.queue.take(), second.queue.take()] == [[1], [2], []]


def test_who_has_nothing_to_do_says_for_whom_it_waits_and_takes_what_the_other_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    console = Console(soft_wrap=True)
    with workers_of(tmp_path, 2, 2) as (first, second):
        first.work()
        second.work()
        second.work()
        polls = iter([lambda: None, first.end])
        monkeypatch.setattr(time, "sleep", lambda seconds: next(polls)())
        assert second.queue.wait(console)
        assert (
            capsys.readouterr().out
            == f"waiting for 1 images that {first.queue.worker} (process {os.getpid()}) answer\n"
        )
        assert second.work()
        assert second.work()
        assert not second.queue.wait(console)


def test_who_was_not_asked_in_an_earlier_run_is_asked_once_more_whoever_joins(tmp_path: Path) -> None:
    """By one of the workers; a second fault is an answer to all of them."""
    with AnswersFile(tmp_path, worker_file("gone-0")) as file:
        file.append([make_answer("image-0"), not_asked("image-1"), make_answer("image-2")])
    with workers_of(tmp_path, 3, 1) as (first,):
        assert first.queue.num_left == 1
        assert first.queue.take() == [1]
        with AnswersFile(tmp_path, first.path.name) as file:
            file.append([not_asked("image-1")])
        second = Worker(tmp_path, ids(3))
        assert (second.queue.num_left, second.queue.take()) == (0, [])
        second.end()
        assert not first.queue.wait(Console())
    assert load_answers(tmp_path).repeated == ()
    with workers_of(tmp_path, 3, 2) as workers:
        assert [worker.queue.num_left for worker in workers] == [1, 1]
        workers[0].taken = workers[0].queue.take()
        assert workers[0].work()
        assert not any(worker.queue.wait(Console()) for worker in workers)
    with workers_of(tmp_path, 3, 1) as (first,):
        assert first.queue.num_left == 0


def test_a_fault_in_place_of_a_line_that_was_cut_short_is_this_runs(tmp_path: Path) -> None:
    with workers_of(tmp_path, 1, 1) as (worker,):
        worker.die()
    with workers_of(tmp_path, 1, 1) as (worker,):
        assert worker.queue.take() == [0]
        with AnswersFile(tmp_path, worker.path.name) as file:
            file.append([not_asked("image-0")])
        assert not worker.queue.wait(Console())


def test_an_engine_that_passes_an_image_over_is_a_bug_and_not_waited_for(tmp_path: Path) -> None:
    with workers_of(tmp_path, 2, 1) as (worker,):
        worker.queue.take()
        with pytest.raises(AssertionError, match="no answer for some images"):
            worker.queue.wait(Console())


def test_other_images_are_refused_while_workers_are_at_work_and_planned_anew_afterwards(tmp_path: Path) -> None:
    with workers_of(tmp_path, 200, 1) as (worker,):
        assert worker.queue.take() == [0, 1, 2]
        assert insist_on_same_images(tmp_path, 200) == [worker.queue.worker]
        with pytest.raises(
            ConfigError, match=rf"answers for 200 images, not 300, by {worker.queue.worker}; give the same `--limit`"
        ):
            insist_on_same_images(tmp_path, 300)
    assert insist_on_same_images(tmp_path, 300) == []
    with workers_of(tmp_path, 300, 1) as (worker,):
        assert worker.queue.take() == [0, 1, 2, 3]


def test_a_claim_that_was_made_though_the_reply_was_lost_is_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def link_twice(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", link_twice)
    with workers_of(tmp_path, 2, 1) as (worker,):
        assert worker.queue.take() == [0]


def test_without_hard_links_or_foreign_locks_every_image_is_answered_if_some_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(source: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_link)
    with workers_of(tmp_path, 3, 2) as (first, second):
        assert [first.queue.take(), second.queue.take(), first.queue.take()] == [[0], [1], [2]]
        assert [first.queue.take(), first.queue.take()] == [[1], []], "others look dead, and what is one's own is not"
        first.taken, second.taken = [0, 2, 1], [1]
        for worker in (first, second):
            while worker.work():
                pass
    loaded = load_answers(tmp_path)
    assert len(loaded.answers) == 3
    assert len(loaded.repeated) <= 2


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.ENOENT], ids=["full", "removed"])
def test_a_queue_that_cannot_be_written_is_one_line(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(source: Path, target: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", no_link)
    with workers_of(tmp_path, 2, 1) as (worker,), pytest.raises(OutputError, match=r"cannot write .*queue`: "):
        worker.queue.take()


def test_a_lock_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with (
        workers_of(tmp_path, 2, 1),
        files_no_larger_than(5),
        pytest.raises(OutputError, match=r"cannot write .*queue`: File too large; run the same again"),
        joined(tmp_path, ids(2)),
    ):
        pytest.fail("joined")


def test_a_plan_that_cannot_be_read_says_what_to_delete(tmp_path: Path) -> None:
    save_plan(tmp_path, 2, 1)
    (tmp_path / QUEUE / PLAN_FILE).write_text("{", encoding="utf-8")
    with pytest.raises(AnswersError, match=r"cannot be read: .*; delete `.*queue`, answers are not in it") as raised:
        insist_on_same_images(tmp_path, 2)
    assert "\n" not in str(raised.value)


def test_where_nothing_is_kept_out_by_locks_processes_are_told_apart_by_their_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "is_locked", lambda folder, name: False)
    with joined(tmp_path, ids(2)) as queue:
        assert queue.worker.endswith(f"-{os.getpid()}")
        assert queue.take() == [0]
