"""A chunk of annotated images: each image is read, decoded, cleaned and written, and what was met is counted."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from r1sgg_cli.data.annotations import AnnotatedImage
from r1sgg_cli.data.cleaning import CleaningRules, clean_image
from r1sgg_cli.data.faults import FAULTS, Tally
from r1sgg_cli.data.images import BrokenImageError, check_image, find_image
from r1sgg_cli.data.rows import Row, make_row
from r1sgg_cli.data.shards import write_shard
from r1sgg_cli.data.statistics import SplitStatistics
from r1sgg_cli.errors import DataError
from r1sgg_cli.files import save_text

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
            raise strict_error(tally)
        result.tally.update(tally)
        if row is not None:
            yield row


def strict_error(tally: Tally) -> DataError:
    """What `--strict` says of the first fault in a tally."""
    kind = next(kind for kind in tally.counts if kind in FAULTS)
    return DataError(f"image `{tally.examples[kind]}`: {kind}: {FAULTS[kind][0]}; mend it, or leave out `--strict`")


def _row(image: AnnotatedImage, chunk: Chunk, tally: Tally, statistics: SplitStatistics) -> Row | None:
    for kind, count in image.faults.items():
        tally.add(kind, image.image_id, count)
    content = image.image if isinstance(image.image, bytes) else _content(image, chunk.images_dir, tally)
    if content is None:
        return None
    try:
        file = check_image(content)
    except BrokenImageError:
        tally.add("broken_image", image.image_id)
        return None
    graph = clean_image(image, file, chunk.rules, tally)
    if graph is None:
        return None
    statistics.add(graph)
    prompt_close = "" if chunk.rules.replaces_categories(image.split) else image.prompt_close
    return make_row(image.image_id, content, graph, image.prompt_open, prompt_close)


def _content(image: AnnotatedImage, images_dir: Path, tally: Tally) -> bytes | None:
    assert not isinstance(image.image, bytes)
    path = find_image(images_dir, image.image, image.split)
    if path is None:
        tally.add("missing_image", image.image_id)
        return None
    try:
        return path.read_bytes()
    except OSError:  # no permission, a bad sector
        tally.add("broken_image", image.image_id)
        return None


def _to_record(result: ChunkResult) -> dict[str, Any]:
    assert result.shard is not None
    return {
        "num_images": result.num_images,
        "num_bytes": result.shard.stat().st_size,
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
    is_whole = shard.is_file() and shard.stat().st_size == record["num_bytes"]
    if not is_whole or any(tally.counts[kind] for kind in CHANGEABLE):
        return None
    return ChunkResult(shard, record["num_images"], tally, SplitStatistics.from_json(record["statistics"]))
