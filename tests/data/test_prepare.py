"""Preparing: all or nothing, restartable after kill -9, with every fault on record."""

import json
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from r1sgg_cli.data.annotations import AnnotatedImage
from r1sgg_cli.data.cleaning import CleaningRules
from r1sgg_cli.data.cutter import Selection
from r1sgg_cli.data.description import describe
from r1sgg_cli.data.prepare import prepare_dataset
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.data.readers.synthetic import open_synthetic
from r1sgg_cli.data.rows import load_rows, load_splits
from r1sgg_cli.data.sources import open_source
from r1sgg_cli.data.statistics import SplitStatistics
from r1sgg_cli.data.vocabularies import vocabulary_of
from r1sgg_cli.errors import DataError, OutputError
from r1sgg_cli.scene_graph.vocabulary import Vocabulary
from tests.data.annotated import HAT, HORSE, MAN, annotated
from tests.data.sources import interrupted, numbered, source_of


@pytest.mark.usefixtures("small_chunks")
def test_a_data_set_holds_what_was_annotated_and_how_it_came_about(tmp_path: Path) -> None:
    images = [*numbered(9), annotated(image_id="t", split="test", objects=(MAN, HORSE, HAT))]
    done = prepare_dataset(source_of(*images), tmp_path / "data")
    assert done is not None
    splits = load_splits(str(tmp_path / "data"))
    assert {name: rows["image_id"][:] for name, rows in splits.items()} == {
        "train": [str(number) for number in range(9)],
        "test": ["t"],
    }
    record = json.loads((tmp_path / "data" / "prepare.json").read_text())
    assert record["rows"] == {"train": 9, "test": 1}
    counts = SplitStatistics.from_json(json.loads((tmp_path / "data" / "train_statistics.json").read_text()))
    assert counts.objects == {"man": 9, "horse": 9}
    assert counts.triplets == {("man", "riding", "horse"): 9}
    vocabulary = vocabulary_of(str(tmp_path / "data"))
    assert vocabulary is not None
    assert vocabulary.objects == ("hat", "horse", "man")
    assert [path.name for path in tmp_path.iterdir()] == ["data"], "nothing else is left"


def test_base_names_alone_are_shown_in_training(tmp_path: Path) -> None:
    vocabulary = Vocabulary(("man", "horse", "hat"), ("riding", "on"))
    rules = CleaningRules(vocabulary, base_objects=frozenset({"man", "horse"}))
    images = (annotated(objects=(MAN, HORSE, HAT)), annotated(image_id="t", split="test", objects=(MAN, HORSE, HAT)))
    prepare_dataset(source_of(*images), tmp_path / "data", rules)
    named = {split: json.loads(rows[0]["objects"]) for split, rows in load_splits(str(tmp_path / "data")).items()}
    assert [row["id"] for row in named["train"]] == ["man.1", "horse.2"]
    assert [row["id"] for row in named["test"]] == ["man.1", "horse.2", "hat.3"]
    training, whole = (vocabulary_of(str(tmp_path / "data"), training=training) for training in (True, False))
    assert training == Vocabulary(("man", "horse"), ("riding", "on"))
    assert whole == vocabulary


@pytest.mark.usefixtures("small_chunks")
def test_a_stopped_run_leaves_no_data_set_and_goes_on_from_its_finished_chunks(tmp_path: Path) -> None:
    images, out = numbered(11), tmp_path / "data"
    with pytest.raises(KeyboardInterrupt):
        prepare_dataset(source_of(read=lambda: interrupted(images, 9)), out)
    assert not out.exists()
    shard = tmp_path / ".data.partial" / "train-00001.arrow"
    written = shard.stat().st_ino
    (shard.parent / "train-00000.arrow").unlink()  # as if it had been lost
    seen = []
    prepare_dataset(source_of(*images), out, on_progress=lambda split, count: seen.append(count))
    assert seen == [4, 4, 3]
    assert (out / "train" / "data-00001-of-00003.arrow").stat().st_ino == written, "the very file was kept"
    assert len(load_rows(str(out))) == 11


@pytest.mark.usefixtures("small_chunks")
def test_a_disk_that_is_full_at_the_very_end_costs_no_finished_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last step fails, as when the place has become a mount point; the next run needs that step only."""
    images = numbered(11)
    (tmp_path / "data").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", failing_for("finished", Path.replace))
        with pytest.raises(OutputError, match="cannot write"):
            prepare_dataset(source_of(*images), tmp_path / "data")
    shards = {path.stat().st_ino for path in (tmp_path / ".data.partial").glob("*.arrow")}
    assert len(shards) == 3
    prepare_dataset(source_of(*images), tmp_path / "data")
    assert {path.stat().st_ino for path in (tmp_path / "data" / "train").glob("*.arrow")} == shards


def failing_for(name: str, replace_file: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
    def replaced(path: Path, target: Path) -> Path:
        if path.name == name:
            raise OSError(28, "No space left on device")
        return replace_file(path, target)

    return replaced


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        pytest.param(CleaningRules(), ["closed", "closed"], id="as they are"),
        pytest.param(CleaningRules(Vocabulary(("man", "horse"), ("riding",)), renamed=True), ["", ""], id="renamed"),
        pytest.param(CleaningRules(base_objects=frozenset({"man", "horse"})), ["", "closed"], id="base names"),
    ],
)
def test_prompts_that_list_other_categories_are_left_out(tmp_path: Path, rules: CleaningRules, kept: list[str]) -> None:
    """Else an open-vocabulary training would be shown the novel names by the rows' own prompts."""
    images = [
        annotated(image_id=split, split=split, prompt_open="open", prompt_close="closed") for split in ("train", "test")
    ]
    prepare_dataset(source_of(*images), tmp_path / "data", rules)
    splits = load_splits(str(tmp_path / "data"))
    assert [splits[split][0]["prompt_close"] for split in ("train", "test")] == kept
    assert splits["train"][0]["prompt_open"] == "open"


def test_two_spellings_of_a_name_are_one_name(tmp_path: Path) -> None:
    images = [annotated(image_id=str(i), relationships=((0, word, 1),)) for i, word in enumerate(("on", "ON", "on"))]
    done = prepare_dataset(source_of(*images), tmp_path / "data")
    assert done is not None
    assert done.statistics["train"].predicates == {"on": 3}
    assert done.statistics["train"].triplets == {("man", "on", "horse"): 3}
    assert json.loads((tmp_path / "data" / "vocabulary.json").read_text())["predicates"] == ["on"]


@pytest.mark.usefixtures("small_chunks")
def test_finished_chunks_are_not_thrown_away_for_other_options(tmp_path: Path) -> None:
    images, out, work = numbered(11), tmp_path / "data", tmp_path / ".data.partial"
    with pytest.raises(KeyboardInterrupt):
        prepare_dataset(source_of(read=lambda: interrupted(images, 9)), out)
    written = {path: path.read_bytes() for path in work.iterdir()}
    with pytest.raises(OutputError, match=r"2 finished chunks .*rules\.keep_empty: False there, True here.*`--out`"):
        prepare_dataset(source_of(*images), out, CleaningRules(keep_empty=True))
    assert {path: path.read_bytes() for path in work.iterdir()} == written
    shutil.rmtree(work)  # the way out that the message names
    prepare_dataset(source_of(*images), out, CleaningRules(keep_empty=True))
    assert len(load_rows(str(out))) == 11


@pytest.mark.usefixtures("small_chunks")
def test_chunks_that_are_not_finished_stand_in_no_ones_way(tmp_path: Path) -> None:
    work = tmp_path / ".data.partial"
    with pytest.raises(KeyboardInterrupt):
        prepare_dataset(source_of(read=lambda: interrupted(numbered(11), 5)), tmp_path / "data")
    (work / "train-00000.json").unlink()
    prepare_dataset(source_of(*numbered(3)), tmp_path / "data", CleaningRules(keep_empty=True))
    assert len(load_rows(str(tmp_path / "data"))) == 3


@pytest.mark.parametrize(
    ("images", "selection"),
    [
        pytest.param(numbered(2), Selection(frozenset({"tset"})), id="no such split"),
        pytest.param(numbered(2, relationships=()), Selection(), id="nothing is left"),
        pytest.param([*numbered(2), annotated(split="a/b")], Selection(), id="the source is broken"),
    ],
)
def test_a_mistake_leaves_nothing_behind(images: list[AnnotatedImage], selection: Selection, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        prepare_dataset(source_of(*images), tmp_path / "data", selection=selection)
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_after_the_last_step_left_is_cleared_away_unless_it_is_of_other_options(tmp_path: Path) -> None:
    out, left = tmp_path / "data", tmp_path / ".data.partial"
    prepare_dataset(source_of(*numbered(3)), out)
    for rules, is_kept in ((CleaningRules(), False), (CleaningRules(keep_empty=True), True)):
        left.mkdir()
        (left / "prepare.json").write_text(json.dumps(describe(source_of(*numbered(3)), rules, Selection())))
        assert prepare_dataset(source_of(*numbered(3)), out) is None
        assert left.exists() == is_kept


def test_what_needs_no_folder_is_the_same_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_dataset(open_synthetic(2, 1, 0, 0.0), tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    assert prepare_dataset(open_synthetic(2, 1, 0, 0.0), tmp_path / "data") is None


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write `.*/file/data`: `.*/file` is a file; name another place"):
        prepare_dataset(source_of(*numbered(1)), tmp_path / "file" / "data")


def test_a_full_disk_ends_without_a_data_set_and_the_run_can_go_on(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    source = source_of(*numbered(20))
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # writing more fails as it does on a full disk
    try:
        with pytest.raises(OSError, match=r"File too large|cannot write"):
            prepare_dataset(source, tmp_path / "data")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert not (tmp_path / "data").exists()
    assert prepare_dataset(source, tmp_path / "data") is not None


def test_a_prepared_set_can_be_prepared_again_with_other_rules(tmp_path: Path) -> None:
    prepare_dataset(source_of(*numbered(3, objects=(MAN, HORSE, HAT))), tmp_path / "first")
    source = open_source(str(tmp_path / "first"), None, ReadOptions())
    prepare_dataset(source, tmp_path / "second", CleaningRules(Vocabulary(("man", "horse"), ("riding",))))
    assert [row["id"] for row in json.loads(load_rows(str(tmp_path / "second"))[0]["objects"])] == ["man.1", "horse.2"]
