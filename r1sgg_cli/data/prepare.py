"""From a source to a data set on disk: all of it or nothing, and restartable after any end.

NAME/                       the finished data set
  train/ val/ test/         Arrow shards that `datasets.load_from_disk` reads
  vocabulary.json           its object names and predicates
  base_vocabulary.json      those that training may show (--open-vocabulary)
  train_statistics.json     counts of names and triplets of the training split
  prepare.json              how it came about, and every fault that was met
.NAME.partial/              beside it until it is finished
  prepare.json              what is being prepared; finished chunks of another description are refused, never thrown
                            away: hours of decoding may be in them, and a mistyped option is mended in seconds
  train-00012.arrow         one chunk, whole or absent
  train-00012.json          what was counted in it
"""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import disable_progress_bars

from r1sgg_cli.data.annotations import AnnotationSource
from r1sgg_cli.data.chunks import load_result
from r1sgg_cli.data.cleaning import CleaningRules
from r1sgg_cli.data.cutter import CHUNK_SIZE, Cutter, Selection
from r1sgg_cli.data.description import changes, describe, is_prepared, load_description, written_names
from r1sgg_cli.data.faults import Tally
from r1sgg_cli.data.open_vocabulary import base_names
from r1sgg_cli.data.rows import BASE_VOCABULARY_FILE, DESCRIPTION_FILE, VOCABULARY_FILE
from r1sgg_cli.data.shards import assemble
from r1sgg_cli.data.statistics import STATISTICS_FILE, SplitStatistics, vocabulary_met
from r1sgg_cli.data.workers import process_chunks
from r1sgg_cli.errors import DataError, OutputError
from r1sgg_cli.files import LOCK_FILE, folder_beside, is_locked, save_text, work_beside

ALL_NAMES = CleaningRules()
EVERYTHING = Selection()


@dataclass(slots=True)
class Prepared:
    """What became of a source."""

    tally: Tally = field(default_factory=Tally)
    statistics: dict[str, SplitStatistics] = field(default_factory=dict)
    """Of each split that was written."""
    shards: dict[str, list[Path]] = field(default_factory=dict)


class NothingLeftError(DataError):
    """No image of a source can be written; `tally` says what became of them."""

    def __init__(self, message: str, tally: Tally) -> None:
        super().__init__(message)
        self.tally = tally


def prepare_dataset(
    source: AnnotationSource,
    out: Path,
    rules: CleaningRules = ALL_NAMES,
    selection: Selection = EVERYTHING,
    *,
    strict: bool = False,
    num_workers: int = 0,
    on_progress: Callable[[str, int], None] = lambda split, num_images: None,
) -> Prepared | None:
    """Write the data set to `out`, going on from what a stopped run has finished; None if it is there already.

    `on_progress` hears the split and the number of images of each finished chunk. Raises `DataError` on annotations
    that cannot be read, or with `strict` at the first fault, and `OutputError` where `out` holds something else.
    """
    disable_progress_bars()  # those of `datasets`; `on_progress` is for ours
    out = out.resolve()  # a link to a folder is that folder
    description = describe(source, rules, selection)
    if is_prepared(out, description, strict=strict):
        _clear_away(folder_beside(out), description)
        return None
    with work_beside(out, keeps=_num_finished) as work:
        if is_prepared(out, description, strict=strict):  # by another process, a moment ago
            return None
        _begin(work, description)
        cutter = Cutter(source, rules, selection, work, strict)
        done = Prepared(cutter.tally)
        for split, result in process_chunks(cutter.chunks(), num_workers_for(source, selection, num_workers)):
            done.tally.update(result.tally)
            if result.shard and result.statistics.num_images:
                done.statistics.setdefault(split, SplitStatistics()).update(result.statistics)
                done.shards.setdefault(split, []).append(result.shard)
            on_progress(split, result.num_images)
        if not done.shards:
            raise NothingLeftError(_nothing_left(source, selection, done.tally), done.tally)
        done.statistics = {
            split: done.statistics[split].with_one_spelling() for split in sorted(done.statistics, key=_place)
        }
        _finish(work, out, done, rules, description)
    return done


def _place(split: str) -> tuple[int, str]:
    """Where a split stands: training first, testing last, any other by its name."""
    known = ("train", "val", "validation", "test")
    return (known.index(split) if split in known else len(known), split)


def num_workers_for(source: AnnotationSource, selection: Selection, asked: int) -> int:
    """No process is started for what takes less time than starting it."""
    known = sum(selection.of(source.num_images).values())
    return 0 if 0 < known <= 2 * CHUNK_SIZE else asked


def _nothing_left(source: AnnotationSource, selection: Selection, tally: Tally) -> str:
    met = ", ".join(f"{kind} {count}" for kind, count in tally.counts.most_common())
    if tally.counts["missing_image"]:
        return f"no image is left to write ({met}); is `--images {source.images_dir}` the right folder?"
    if tally.counts["empty_image"]:
        return f"no image is left to write ({met}); `--keep-empty-rels` keeps those without a relationship"
    if met:
        return f"no image is left to write ({met}); mend what the table names"
    if selection.splits and source.num_images and not selection.splits & set(source.num_images):
        return f"the source has no split {_listed(selection.splits)}; it has {_listed(source.num_images)}"
    return f"the source holds no image: is it in the layout {source.layout}?"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def _begin(work: Path, description: Mapping[str, Any]) -> None:
    """Keep what a run of the same description has finished, and clear away what is not finished.

    Raises `OutputError` where a run of another description has finished something.
    """
    record = work / DESCRIPTION_FILE
    new = {"chunk_size": CHUNK_SIZE, **description}
    text = json.dumps(new, indent=2) + "\n"
    if record.is_file() and record.read_bytes() == text.encode():
        return
    num_finished = _num_finished(work)
    if num_finished and not (changed := changes(load_description(work), new)):
        return
    if num_finished:
        raise OutputError(
            f"`{work}` holds {num_finished} finished chunks of a stopped run with other options ({changed}); "
            "give those to go on, choose another `--out`, or remove that folder to start anew"
        )
    for path in work.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK_FILE:
            path.unlink()
    save_text(text, record)


def _clear_away(work: Path, description: Mapping[str, Any]) -> None:
    """Remove what a run of this description left that was killed when its data set stood already."""
    if (work / DESCRIPTION_FILE).is_file() and not is_locked(work) and not changes(load_description(work), description):
        shutil.rmtree(work, ignore_errors=True)


def _num_finished(work: Path) -> int:
    """How many chunks with images in them need not be done again."""
    results = (load_result(path.with_suffix(".arrow")) for path in work.glob("*-*.json"))
    return sum(result is not None and result.statistics.num_images > 0 for result in results)


def _finish(work: Path, out: Path, done: Prepared, rules: CleaningRules, description: Mapping[str, Any]) -> None:
    """Put the data set together beside its place, then move it there in one step."""
    finished = work / "finished"
    counts = {split: statistics.num_images for split, statistics in done.statistics.items()}
    record = {"rows": counts, "met": done.tally.to_json(), **description}
    try:
        shutil.rmtree(finished, ignore_errors=True)
        vocabulary = rules.vocabulary or vocabulary_met(done.statistics.values())
        if vocabulary:
            _save_json(written_names(vocabulary), finished / VOCABULARY_FILE)
            if rules.base_objects is not None or rules.base_predicates is not None:
                _save_json(written_names(base_names(vocabulary, rules)), finished / BASE_VOCABULARY_FILE)
        if "train" in done.statistics:
            _save_json(done.statistics["train"].to_json(), finished / STATISTICS_FILE)
        _save_json(record, finished / DESCRIPTION_FILE)
        assemble({split: done.shards[split] for split in done.statistics}, finished, identity=json.dumps(record))
        finished.replace(out)
    except OSError as error:
        raise OutputError(f"cannot write `{out}`: {error.strerror or error}; choose another `--out`") from error


def _save_json(value: Any, path: Path) -> None:
    save_text(json.dumps(value, indent=2) + "\n", path)
