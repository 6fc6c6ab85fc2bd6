"""Chunks through worker processes, a bounded number at a time: photos take the same memory however many there are."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait

from datasets import disable_progress_bars

from r1sgg_cli.data.chunks import Chunk, ChunkResult, load_result, process_chunk
from r1sgg_cli.errors import R1SGGError


def process_chunks(chunks: Iterator[tuple[str, Chunk]], num_workers: int) -> Iterator[tuple[str, ChunkResult]]:
    """Results in the chunks' order; chunks that are finished already are not done again. 0 workers: in this process.

    Raises `R1SGGError` as the work does, or where a worker was killed.
    """
    if not num_workers:
        for split, chunk in chunks:
            yield split, _finished(chunk) or process_chunk(chunk)
        return
    context = multiprocessing.get_context("spawn")  # forking a process with threads may hang it
    under_way: deque[tuple[str, Callable[[], ChunkResult]]] = deque()
    with ProcessPoolExecutor(num_workers, mp_context=context, initializer=begin_worker) as pool:
        try:
            for split, chunk in chunks:
                under_way.append((split, _submitted(pool, chunk)))
                if len(under_way) > 2 * num_workers:
                    split, result = under_way.popleft()
                    yield split, result()
            while under_way:
                split, result = under_way.popleft()
                yield split, result()
        except BrokenProcessPool as error:
            raise R1SGGError(
                "a worker process was killed, perhaps for want of memory; finished images are kept: run the same"
                " command again, with fewer `--workers` if it happens again"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _finished(chunk: Chunk) -> ChunkResult | None:
    result = load_result(chunk.shard) if chunk.shard else None
    return None if result and chunk.strict and result.tally.num_faults() else result


def _submitted(pool: ProcessPoolExecutor, chunk: Chunk) -> Callable[[], ChunkResult]:
    finished = _finished(chunk)
    if finished:
        return lambda: finished
    with ctrl_c_ignored():  # a worker that starts now inherits it, and prints no trace of its half-done imports
        future: Future[ChunkResult] = pool.submit(process_chunk, chunk)
    return future.result


@contextmanager
def ctrl_c_ignored() -> Iterator[None]:
    """A context in which a process that starts inherits that Ctrl-C does nothing.

    Only the main thread may say what a signal does; another one has none to ignore.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def begin_worker() -> None:
    """Ctrl-C is the parent's affair; a parent that was killed takes its workers with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    disable_progress_bars()
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
