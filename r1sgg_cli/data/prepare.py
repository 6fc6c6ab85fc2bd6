"""From a source to a data set on disk: all of it or nothing, and restartable after any end.

NAME/                       the finished data set
  train/ val/ test/         Arrow shards that `datasets.load_from_disk` reads
  vocabulary.json           its object names and predicates
  base_vocabulary.json      those that training may show (--open-vocabulary)
  train_statistics.json     counts of names and triplets of the training split
  prepare.json              how it came about, and every fault that was met
.NAME.partial/              beside it until it is finished
  prepare.json              what is being prepared; another description starts anew
  train-00012.arrow         one chunk, whole or absent
  train-00012.json          what was counted in it
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from datasets import disable_progress_bars

from r1sgg_cli.data.annotations import AnnotationSource
from r1sgg_cli.data.chunks import CHUNK_SIZE, cut_chunks, process_chunks
from r1sgg_cli.data.cleaning import CleaningRules
from r1sgg_cli.data.faults import Tally
from r1sgg_cli.data.rows import BASE_VOCABULARY_FILE, DESCRIPTION_FILE, VOCABULARY_FILE
from r1sgg_cli.data.shards import assemble
from r1sgg_cli.data.statistics import STATISTICS_FILE, SplitStatistics
from r1sgg_cli.errors import DataError, OutputError
from r1sgg_cli.files import LOCK_FILE, locked, save_text
from r1sgg_cli.scene_graph.labels import normalise_label
from r1sgg_cli.scene_graph.vocabulary import Vocabulary, vocabulary_from_names


@dataclass(frozen=True, slots=True)
class Selection:
    """Which images of a source are taken."""

    splits: frozenset[str] | None = None
    """None: all."""
    limit: int | None = None
    """The first so many of each split, as they are annotated; None: all."""


ALL_NAMES = CleaningRules()
EVERYTHING = Selection()


@dataclass(slots=True)
class Prepared:
    """What became of a source."""

    tally: Tally = field(default_factory=Tally)
    statistics: dict[str, SplitStatistics] = field(default_factory=dict)
    """Of each split that was written."""
    shards: dict[str, list[Path]] = field(default_factory=dict)


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
    description = describe(source, rules, selection)
    if is_prepared(out, description):
        return None
    disable_progress_bars()  # those of `datasets`; `on_progress` is for ours
    work = out.parent / f".{out.name}.partial"
    with locked(work):
        _begin(work, description)
        done = Prepared()
        chunks = cut_chunks(source, rules, selection.splits, selection.limit, work, strict, done.tally)
        for split, result in process_chunks(chunks, _num_workers(source, num_workers)):
            done.tally.update(result.tally)
            if result.shard and result.statistics.num_images:
                done.statistics.setdefault(split, SplitStatistics()).update(result.statistics)
                done.shards.setdefault(split, []).append(result.shard)
            on_progress(split, result.num_images)
        if not done.shards:
            raise DataError(_nothing_left(source, done.tally))
        done.statistics = {split: done.statistics[split] for split in sorted(done.statistics, key=_place)}
        _finish(work, out, done, rules, description)
    return done


def check_source(
    source: AnnotationSource,
    selection: Selection = EVERYTHING,
    *,
    num_workers: int = 0,
    on_progress: Callable[[str, int], None] = lambda split, num_images: None,
) -> Prepared:
    """What `prepare_dataset` would find, every image decoded, nothing left out by choice and nothing written."""
    done = Prepared()
    rules = CleaningRules(vocabulary=source.vocabulary, keep_empty=True)
    chunks = cut_chunks(source, rules, selection.splits, selection.limit, None, False, done.tally)
    for split, result in process_chunks(chunks, _num_workers(source, num_workers)):
        done.tally.update(result.tally)
        done.statistics.setdefault(split, SplitStatistics()).update(result.statistics)
        on_progress(split, result.num_images)
    return done


def _place(split: str) -> tuple[int, str]:
    """Where a split stands: training first, testing last, any other by its name."""
    known = ("train", "val", "validation", "test")
    return (known.index(split) if split in known else len(known), split)


def _num_workers(source: AnnotationSource, asked: int) -> int:
    """No process is started for what takes less time than starting it."""
    known = sum(source.num_images.values())
    return 0 if 0 < known <= 2 * CHUNK_SIZE else asked


def _nothing_left(source: AnnotationSource, tally: Tally) -> str:
    met = ", ".join(f"{kind} {count}" for kind, count in tally.counts.most_common())
    if tally.counts["missing_image"]:
        return f"no image is left to write ({met}); is `--images {source.images_dir}` the right folder?"
    return f"no image is left to write ({met or 'the source holds none of these splits'})"


def describe(source: AnnotationSource, rules: CleaningRules, selection: Selection) -> dict[str, Any]:
    """All that decides the rows of a data set, as JSON values; equal descriptions give equal rows."""
    vocabulary = rules.vocabulary
    kept = {key: sorted(value) if isinstance(value, frozenset) else value for key, value in asdict(rules).items()}
    kept["vocabulary"] = vocabulary and _names(vocabulary)
    return {
        "source": source.layout,
        **source.details,
        "files": {path.name: _sha256(path) for path in source.files},
        "images": str(source.images_dir),
        "rules": kept,
        "splits": selection.splits and sorted(selection.splits),
        "limit": selection.limit,
    }


def _names(vocabulary: Vocabulary) -> dict[str, list[str]]:
    return {"objects": list(vocabulary.written_objects), "predicates": list(vocabulary.written_predicates)}


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read `{path}`: {error.strerror}") from error


def _begin(work: Path, description: Mapping[str, Any]) -> None:
    """Keep what a run of the same description has finished; clear away everything else."""
    record = work / DESCRIPTION_FILE
    text = json.dumps(description, indent=2) + "\n"
    if record.is_file() and record.read_bytes() == text.encode():
        return
    for path in work.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK_FILE:
            path.unlink()
    save_text(text, record)


def _finish(work: Path, out: Path, done: Prepared, rules: CleaningRules, description: Mapping[str, Any]) -> None:
    """Put the data set together beside its place, then move it there in one step."""
    finished = work / "finished"
    counts = {split: statistics.num_images for split, statistics in done.statistics.items()}
    record = {"rows": counts, "met": done.tally.to_json(), **description}
    try:
        shutil.rmtree(finished, ignore_errors=True)
        vocabulary = rules.vocabulary or _vocabulary_met(done)
        if vocabulary:
            _save_json(_names(vocabulary), finished / VOCABULARY_FILE)
            if rules.base_objects is not None or rules.base_predicates is not None:
                _save_json(_names(_base(vocabulary, rules)), finished / BASE_VOCABULARY_FILE)
        if "train" in done.statistics:
            _save_json(done.statistics["train"].to_json(), finished / STATISTICS_FILE)
        _save_json(record, finished / DESCRIPTION_FILE)
        assemble({split: done.shards[split] for split in done.statistics}, finished, identity=json.dumps(record))
        finished.replace(out)
    except OSError as error:
        raise OutputError(f"cannot write `{out}`: {error.strerror or error}; choose another `--out`") from error
    shutil.rmtree(work, ignore_errors=True)


def _save_json(value: Any, path: Path) -> None:
    save_text(json.dumps(value, indent=2) + "\n", path)


def _vocabulary_met(done: Prepared) -> Vocabulary | None:
    """Every name that was written, in alphabetical order; None where there are none to list."""
    objects = _distinct(name for statistics in done.statistics.values() for name in statistics.objects)
    predicates = _distinct(name for statistics in done.statistics.values() for name in statistics.predicates)
    return vocabulary_from_names(objects, predicates, "the source") if objects and predicates else None


def _distinct(names: Iterable[str]) -> list[str]:
    """Of several spellings of one name, the first."""
    return list({normalise_label(name): name for name in sorted(set(names), reverse=True)}.values())[::-1]


def _base(vocabulary: Vocabulary, rules: CleaningRules) -> Vocabulary:
    """The names that the training split may show."""
    objects, predicates = (
        tuple(w for n, w in zip(normal, written, strict=True) if base is None or n in base)
        for normal, written, base in (
            (vocabulary.objects, vocabulary.written_objects, rules.base_objects),
            (vocabulary.predicates, vocabulary.written_predicates, rules.base_predicates),
        )
    )
    return vocabulary_from_names(objects, predicates, "the base classes")


def is_prepared(folder: Path, description: Mapping[str, Any]) -> bool:
    """Whether `folder` holds the finished data set of this very description; False where there is nothing yet.

    Raises `OutputError` where the folder holds anything else: it is never overwritten.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    path = folder / DESCRIPTION_FILE
    if not path.is_file():
        raise OutputError(f"`{folder}` exists and is no data set of ours; choose another `--out`, or remove it")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"`{path}` cannot be read: {error}; choose another `--out`, or remove the folder") from error
    if not isinstance(found, dict) or any(found.get(key) != value for key, value in description.items()):
        raise OutputError(f"`{folder}` was prepared with other options (see `{path}`); choose another `--out`")
    return True
