"""Annotated images in chunks: each is read, decoded, cleaned and written by one worker process.

A chunk is a fixed number of images of one split in the source's order, so that the same command finds its finished
chunks again. A bounded number of chunks is under way, and memory does not grow with the data set.
"""

import json
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from datasets import disable_progress_bars

from r1sgg_cli.data.annotations import AnnotatedImage, AnnotationSource
from r1sgg_cli.data.cleaning import CleaningRules, clean_image
from r1sgg_cli.data.faults import FAULTS, Tally
from r1sgg_cli.data.images import BrokenImageError, check_image, find_image
from r1sgg_cli.data.rows import Row, make_row
from r1sgg_cli.data.shards import write_shard
from r1sgg_cli.data.statistics import SplitStatistics
from r1sgg_cli.errors import DataError, R1SGGError
from r1sgg_cli.files import save_text

CHUNK_SIZE = 256
"""Images of one shard: what a killed run does again, about 30 MB of photos."""
CHANGEABLE = ("missing_image", "broken_image")
"""Faults that a user may have mended since: their chunks are done again."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some images of one split, and the file they go to."""

    images: tuple[AnnotatedImage, ...]
    images_dir: Path
    rules: CleaningRules
    strict: bool
    shard: Path | None
    """None: nothing is written, only counted."""


@dataclass(slots=True)
class ChunkResult:
    """What became of a chunk."""

    shard: Path | None
    num_images: int
    """As they came; `statistics` counts those that were written."""
    tally: Tally = field(default_factory=Tally)
    statistics: SplitStatistics = field(default_factory=SplitStatistics)


def process_chunk(chunk: Chunk) -> ChunkResult:
    """Read, check, clean and write the images of a chunk. Raises `DataError` at the first fault if it is strict."""
    result = ChunkResult(chunk.shard, len(chunk.images))
    if chunk.shard is None:
        for _ in _rows(chunk, result):
            pass
        return result
    write_shard(_rows(chunk, result), chunk.shard)
    save_text(json.dumps(_to_record(result)), chunk.shard.with_suffix(".json"))
    return result


def _rows(chunk: Chunk, result: ChunkResult) -> Iterator[Row]:
    for image in chunk.images:
        tally = Tally()
        row = _row(image, chunk, tally, result.statistics)
        if chunk.strict and tally.num_faults():
            kind = next(kind for kind in tally.counts if kind in FAULTS)
            raise DataError(f"image `{image.image_id}`: {kind}: {FAULTS[kind][0]}; mend it, or leave out `--strict`")
        result.tally.update(tally)
        if row is not None:
            yield row


def _row(image: AnnotatedImage, chunk: Chunk, tally: Tally, statistics: SplitStatistics) -> Row | None:
    content = image.image
    if not isinstance(content, bytes):
        path = find_image(chunk.images_dir, content)
        if path is None:
            tally.add("missing_image", image.image_id)
            return None
        content = path.read_bytes()
    try:
        file = check_image(content)
    except BrokenImageError:
        tally.add("broken_image", image.image_id)
        return None
    graph = clean_image(image, file, chunk.rules, tally)
    if graph is None:
        return None
    statistics.add(graph)
    return make_row(image.image_id, content, graph, image.prompt_open, image.prompt_close)


def _to_record(result: ChunkResult) -> dict[str, Any]:
    return {
        "num_images": result.num_images,
        "tally": result.tally.to_json(),
        "statistics": result.statistics.to_json(),
    }


def load_result(shard: Path) -> ChunkResult | None:
    """What a finished chunk counted; None where it is not finished, or has faults that may be gone by now."""
    try:
        record = json.loads(shard.with_suffix(".json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    tally = Tally.from_json(record["tally"])
    if not shard.is_file() or any(tally.counts[kind] for kind in CHANGEABLE):
        return None
    return ChunkResult(shard, record["num_images"], tally, SplitStatistics.from_json(record["statistics"]))


def cut_chunks(
    source: AnnotationSource,
    rules: CleaningRules,
    splits: frozenset[str] | None,
    limit: int | None,
    work: Path | None,
    strict: bool,
    repeated: Tally,
) -> Iterator[tuple[str, Chunk]]:
    """The source's images in chunks, each of one split, at most `limit` images of a split; `splits` None takes all.

    Images with an id used before go to `repeated`. Raises `DataError` as reading does.
    """
    waiting: dict[str, list[AnnotatedImage]] = {}
    taken: dict[str, int] = {}
    numbers: dict[str, int] = {}
    ids: set[str] = set()

    def chunk(split: str) -> tuple[str, Chunk]:
        images, waiting[split] = tuple(waiting[split]), []
        number = numbers[split] = numbers.get(split, -1) + 1
        shard = work / f"{split}-{number:05d}.arrow" if work else None
        return split, Chunk(images, source.images_dir, rules, strict, shard)

    for image in source.read():
        split = image.split
        if (splits is not None and split not in splits) or (limit is not None and taken.get(split, 0) >= limit):
            continue
        if image.image_id in ids:
            repeated.add("repeated_image", image.image_id)
            if strict:
                raise DataError(f"image `{image.image_id}`: repeated_image: {FAULTS['repeated_image'][0]}")
            continue
        ids.add(image.image_id)
        taken[split] = taken.get(split, 0) + 1
        waiting.setdefault(split, []).append(image)
        if len(waiting[split]) == CHUNK_SIZE:
            yield chunk(split)
    for split in waiting:
        if waiting[split]:
            yield chunk(split)


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
    with ProcessPoolExecutor(num_workers, mp_context=context, initializer=_begin_worker) as pool:
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
    return load_result(chunk.shard) if chunk.shard else None


def _submitted(pool: ProcessPoolExecutor, chunk: Chunk) -> Callable[[], ChunkResult]:
    finished = _finished(chunk)
    if finished:
        return lambda: finished
    future: Future[ChunkResult] = pool.submit(process_chunk, chunk)
    return future.result


def _begin_worker() -> None:
    """Ctrl-C is the parent's affair; a parent that was killed takes its workers with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    disable_progress_bars()
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
