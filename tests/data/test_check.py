"""Checking a data set: every row is looked at, the files beside it are compared, nothing is written."""

from pathlib import Path

import pytest

from r1sgg_cli.data.check import check_source, faults_beside
from r1sgg_cli.data.cleaning import CleaningRules
from r1sgg_cli.data.prepare import prepare_dataset
from r1sgg_cli.data.readers.rows import open_rows
from r1sgg_cli.scene_graph.vocabulary import Vocabulary
from tests.data.annotated import annotated
from tests.data.sources import numbered, source_of


def test_a_check_counts_everything_and_writes_nothing(tmp_path: Path) -> None:
    prepare_dataset(
        source_of(*numbered(3), annotated(image_id="e", relationships=())),
        tmp_path / "data",
        CleaningRules(keep_empty=True),
    )
    before = sorted(path for path in tmp_path.rglob("*"))
    done = check_source(open_rows(str(tmp_path / "data")), CleaningRules(keep_empty=True))
    assert sorted(path for path in tmp_path.rglob("*")) == before
    assert done.tally.counts == {}
    assert done.statistics["train"].num_images == 4


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        pytest.param("train_statistics.json", None, "`train_statistics.json` is missing", id="no statistics"),
        pytest.param("train_statistics.json", "{}", "`train_statistics.json` is missing, broken", id="empty ones"),
        pytest.param("vocabulary.json", None, "`vocabulary.json` is missing", id="no vocabulary"),
        pytest.param("prepare.json", "{", "cannot be read", id="a broken description"),
        pytest.param("prepare.json", "{}", "tells of None images, there are {'train': 3}", id="another description"),
    ],
)
def test_files_that_do_not_fit_the_rows_are_said(tmp_path: Path, name: str, content: str | None, said: str) -> None:
    folder = tmp_path / "data"
    prepare_dataset(source_of(*numbered(3)), folder)
    done = check_source(open_rows(str(folder)), CleaningRules(keep_empty=True))
    assert faults_beside(folder, done) == []
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    (fault,) = faults_beside(folder, done)
    assert said in fault


@pytest.mark.parametrize(
    ("vocabulary", "expected"),
    [
        pytest.param(None, [], id="none was met"),
        pytest.param(Vocabulary(("man", "horse"), ("on",)), ["`vocabulary.json` is missing"], id="one was named"),
    ],
)
def test_a_set_without_relationships_has_a_vocabulary_only_where_one_was_named(
    tmp_path: Path, vocabulary: Vocabulary | None, expected: list[str]
) -> None:
    folder = tmp_path / "data"
    rules = CleaningRules(vocabulary, keep_empty=True)
    prepare_dataset(source_of(*numbered(3, relationships=())), folder, rules)
    assert (folder / "vocabulary.json").exists() == (vocabulary is not None)
    (folder / "vocabulary.json").unlink(missing_ok=True)
    done = check_source(open_rows(str(folder)), CleaningRules(keep_empty=True))
    assert faults_beside(folder, done) == expected


def test_a_set_from_elsewhere_has_no_files_to_compare(tmp_path: Path) -> None:
    done = check_source(source_of(*numbered(1)), CleaningRules())
    assert faults_beside(tmp_path, done) == []
