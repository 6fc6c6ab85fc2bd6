"""Whether a data set is sound: its rows looked at as `prepare` would, the files beside them compared with the rows."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from r1sgg_cli.data.annotations import AnnotationSource
from r1sgg_cli.data.cleaning import CleaningRules
from r1sgg_cli.data.cutter import Cutter, Selection
from r1sgg_cli.data.description import load_description
from r1sgg_cli.data.prepare import EVERYTHING, Prepared, num_workers_for
from r1sgg_cli.data.rows import DESCRIPTION_FILE
from r1sgg_cli.data.statistics import STATISTICS_FILE, SplitStatistics, vocabulary_met
from r1sgg_cli.data.vocabularies import vocabulary_of
from r1sgg_cli.data.workers import process_chunks
from r1sgg_cli.errors import MALFORMED, R1SGGError


def check_source(
    source: AnnotationSource,
    rules: CleaningRules,
    selection: Selection = EVERYTHING,
    *,
    num_workers: int = 0,
    on_progress: Callable[[str, int], None] = lambda split, num_images: None,
) -> Prepared:
    """What `prepare_dataset` would find; nothing is written. Raises `DataError` as reading does."""
    cutter = Cutter(source, rules, selection, None, strict=False)
    done = Prepared(cutter.tally)
    for split, result in process_chunks(cutter.chunks(), num_workers_for(source, selection, num_workers)):
        done.tally.update(result.tally)
        done.statistics.setdefault(split, SplitStatistics()).update(result.statistics)
        on_progress(split, result.num_images)
    return done


def faults_beside(folder: Path, done: Prepared) -> list[str]:
    """What is wrong with the files beside the rows of a set that `prepare` wrote, one phrase each; `done` is of it all.

    None of a set that comes from elsewhere: it has no such files.
    """
    if not (folder / DESCRIPTION_FILE).exists():
        return []
    found = []
    try:
        description = load_description(folder)
        rows = description.get("rows")
        counted = {split: statistics.num_images for split, statistics in done.statistics.items()}
        if rows != counted:
            found.append(f"`{DESCRIPTION_FILE}` tells of {rows} images, there are {counted}")
        if vocabulary_of(str(folder)) is None and _has_vocabulary(description, done):
            found.append("`vocabulary.json` is missing")
    except R1SGGError as error:
        found.append(str(error))
    if "train" in done.statistics and not _is_counted(folder / STATISTICS_FILE, done.statistics["train"]):
        found.append(f"`{STATISTICS_FILE}` is missing, broken, or not of these rows")
    return found


def _has_vocabulary(description: Mapping[str, Any], done: Prepared) -> bool:
    """Whether `prepare` had names to write: those of its own vocabulary, or objects and predicates that it met."""
    rules = description.get("rules")
    named = isinstance(rules, dict) and rules.get("vocabulary") is not None
    return named or vocabulary_met(done.statistics.values()) is not None


def _is_counted(path: Path, statistics: SplitStatistics) -> bool:
    try:
        stored = SplitStatistics.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, *MALFORMED):
        return False
    return stored == statistics.with_one_spelling()
