"""Preparing: all or nothing, restartable after kill -9, with every fault on record."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.data import cutter
from r1sgg_cli.data.annotations import AnnotatedImage, AnnotationSource, StrayAnnotations
from r1sgg_cli.data.cleaning import CleaningRules
from r1sgg_cli.data.cutter import Selection
from r1sgg_cli.data.prepare import prepare_dataset
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.data.readers.synthetic import open_synthetic
from r1sgg_cli.data.rows import load_rows, load_splits
from r1sgg_cli.data.sources import open_source
from r1sgg_cli.data.statistics import SplitStatistics
from r1sgg_cli.data.vocabularies import vocabulary_of
from r1sgg_cli.errors import DataError, OutputError, R1SGGError
from r1sgg_cli.scene_graph.vocabulary import Vocabulary
from tests.data.annotated import HAT, HORSE, MAN, annotated, encoded
from tests.data.readers.layouts import random_samples, write_images, write_jsonl, write_sgg_benchmark


def source_of(*images: AnnotatedImage, images_dir: Path = Path(), **changes: Any) -> AnnotationSource:
    source = AnnotationSource("jsonl", (), images_dir, lambda: images, Counter(image.split for image in images))
    return replace(source, **changes)


def numbered(count: int, **changes: Any) -> list[AnnotatedImage]:
    return [annotated(image_id=str(number), **changes) for number in range(count)]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four images a chunk, so that few images make many."""
    monkeypatch.setattr(cutter, "CHUNK_SIZE", 4)


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


def test_every_fault_is_on_record_with_an_example(tmp_path: Path) -> None:
    cut = encoded()[:-200]
    images = (
        annotated(image_id="good"),
        annotated(image_id="good"),
        annotated(image_id="cut", image=cut),
        annotated(image_id="gone", image=("gone.jpg",)),
        annotated(image_id="self", relationships=((0, "riding", 1), (1, "on", 1))),
    )
    done = prepare_dataset(source_of(*images), tmp_path / "data")
    assert done is not None
    expected = {
        "repeated_image": {"count": 1, "example": "good"},
        "broken_image": {"count": 1, "example": "cut"},
        "missing_image": {"count": 1, "example": "gone"},
        "self_relationship": {"count": 1, "example": "self"},
    }
    assert json.loads((tmp_path / "data" / "prepare.json").read_text())["met"] == expected
    assert load_rows(str(tmp_path / "data"))["image_id"][:] == ["good", "self"]


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        pytest.param({"relationships": ((0, "on", 0), (0, "riding", 1))}, "self_relationship", id="a relationship"),
        pytest.param({"image": ("gone.jpg",)}, "missing_image", id="an image"),
        pytest.param({"image_id": "0"}, "repeated_image", id="an id"),
    ],
)
def test_strict_stops_at_the_first_fault_and_names_it(tmp_path: Path, bad: Any, kind: str) -> None:
    images = [*numbered(2), annotated(**{"image_id": "x", **bad})]
    with pytest.raises(DataError, match=rf"image `{bad.get('image_id', 'x')}`: {kind}"):
        prepare_dataset(source_of(*images), tmp_path / "data", strict=True)
    assert not (tmp_path / "data").exists()


def test_the_limit_and_the_splits_select(tmp_path: Path) -> None:
    images = [*numbered(5), *(annotated(image_id=f"t{i}", split="test") for i in range(3))]
    prepare_dataset(source_of(*images), tmp_path / "few", selection=Selection(limit=2))
    assert {name: len(rows) for name, rows in load_splits(str(tmp_path / "few")).items()} == {"train": 2, "test": 2}
    prepare_dataset(source_of(*images), tmp_path / "test", selection=Selection(splits=frozenset({"test"})))
    assert list(load_splits(str(tmp_path / "test"))) == ["test"]
    assert not (tmp_path / "test" / "train_statistics.json").exists()


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


def interrupted(images: Iterable[AnnotatedImage], after: int) -> Iterable[AnnotatedImage]:
    for number, image in enumerate(images):
        if number == after:
            raise KeyboardInterrupt
        yield image


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
def test_strict_is_strict_on_what_a_stopped_run_has_finished(tmp_path: Path) -> None:
    images = [annotated(image_id="bad", relationships=((0, "riding", 1), (0, "on", 0))), *numbered(11)]
    with pytest.raises(KeyboardInterrupt):
        prepare_dataset(source_of(read=lambda: interrupted(images, 9)), tmp_path / "data")
    with pytest.raises(DataError, match="image `bad`: self_relationship"):
        prepare_dataset(source_of(*images), tmp_path / "data", strict=True)
    prepare_dataset(source_of(*images), tmp_path / "data")
    with pytest.raises(DataError, match="image `bad`: self_relationship"):
        prepare_dataset(source_of(*images), tmp_path / "data", strict=True)


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


@pytest.mark.parametrize("split", ["../../evil", "a/b", "my split", ""])
def test_a_split_that_is_no_name_is_refused_before_it_is_a_file(tmp_path: Path, split: str) -> None:
    with pytest.raises(DataError, match=f"image `7`: `{split}` is no name of a split"):
        prepare_dataset(source_of(annotated(split=split)), tmp_path / "in" / "data")
    assert [path.name for path in tmp_path.rglob("*") if path.suffix == ".arrow"] == []


def test_a_change_in_any_file_of_a_source_is_another_source(tmp_path: Path) -> None:
    """SGG-Benchmark's files share one name."""
    samples = random_samples(0)
    write_images(tmp_path / "images", samples)
    folder = write_sgg_benchmark(tmp_path / "files", samples)
    options = ReadOptions(tmp_path / "images")
    prepare_dataset(open_source(str(folder), None, options), tmp_path / "data")
    test_file = folder / "test" / "_annotations.coco.json"
    test_file.write_text(test_file.read_text().replace('"iscrowd": 0', '"iscrowd": 1'))
    with pytest.raises(OutputError, match="other options"):
        prepare_dataset(open_source(str(folder), None, options), tmp_path / "data")


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


def test_strays_and_faults_of_lost_images_are_counted(tmp_path: Path) -> None:
    lost = annotated(image_id="gone", image=("gone.jpg",), faults={"added_end": 2})
    source = source_of(read=lambda: [StrayAnnotations("train/x.json", 3), lost, *numbered(1)])
    done = prepare_dataset(source, tmp_path / "data")
    assert done is not None
    assert done.tally.counts == {"stray_annotation": 3, "added_end": 2, "missing_image": 1}
    assert done.tally.examples["stray_annotation"] == "train/x.json"


def test_a_trial_reads_no_more_of_a_source_than_it_needs(tmp_path: Path) -> None:
    read = []

    def images() -> Iterable[AnnotatedImage]:
        for image in numbered(50):
            read.append(image.image_id)
            yield image

    prepare_dataset(source_of(read=images, num_images={"train": 50}), tmp_path / "data", selection=Selection(limit=3))
    assert len(read) == 4


def test_the_folder_that_one_is_in_is_no_place_for_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="the folder you are in"):
        prepare_dataset(source_of(*numbered(1)), Path())


@pytest.mark.usefixtures("small_chunks")
def test_other_options_start_anew(tmp_path: Path) -> None:
    images = numbered(11)
    with pytest.raises(KeyboardInterrupt):
        prepare_dataset(source_of(read=lambda: interrupted(images, 9)), tmp_path / "data")
    prepare_dataset(source_of(*images), tmp_path / "data", CleaningRules(Vocabulary(("man", "horse"), ("riding",))))
    assert len(load_rows(str(tmp_path / "data"))) == 11


@pytest.mark.usefixtures("small_chunks")
def test_images_that_were_missing_are_looked_for_again(tmp_path: Path) -> None:
    images = numbered(6, image=("later.jpg",))
    with pytest.raises(DataError, match=r"missing_image 6.*--images"):
        prepare_dataset(source_of(*images, images_dir=tmp_path), tmp_path / "data")
    (tmp_path / "later.jpg").write_bytes(encoded())
    prepare_dataset(source_of(*images, images_dir=tmp_path), tmp_path / "data")
    assert len(load_rows(str(tmp_path / "data"))) == 6


def test_the_same_description_is_kept_and_another_never_overwrites(tmp_path: Path) -> None:
    assert prepare_dataset(source_of(*numbered(2)), tmp_path / "data") is not None
    assert prepare_dataset(source_of(*numbered(2)), tmp_path / "data") is None
    with pytest.raises(OutputError, match=r"other options \(rules\.keep_empty: False there, True here\)"):
        prepare_dataset(source_of(*numbered(2)), tmp_path / "data", CleaningRules(keep_empty=True))


@pytest.mark.parametrize("text", ["{", "\xff", "[]"], ids=["cut off", "no text", "a list"])
def test_a_broken_description_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "prepare.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(OutputError, match=r"prepare\.json.*choose another `--out`") as caught:
        prepare_dataset(source_of(*numbered(1)), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_of_something_else_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(OutputError, match="no data set of ours"):
        prepare_dataset(source_of(*numbered(1)), tmp_path)


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot write .*file"):
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


PROCESS = """
import sys
from pathlib import Path
from r1sgg_cli.data import cutter
cutter.CHUNK_SIZE = 8
from r1sgg_cli.data.prepare import prepare_dataset
from r1sgg_cli.data.readers.options import ReadOptions
from r1sgg_cli.data.sources import open_source
if __name__ == "__main__":
    source = open_source(sys.argv[1], None, ReadOptions())
    prepare_dataset(source, Path(sys.argv[2]), num_workers=2)
"""


@pytest.fixture
def killable(tmp_path: Path) -> Callable[[Path], subprocess.Popen[bytes]]:
    """Starts the preparing of 1,600 own images by two worker processes."""
    script = tmp_path / "run.py"
    script.write_text(PROCESS)
    folder = tmp_path / "own"
    samples = [sample for seed in range(200) for sample in random_samples(seed)]
    samples = [replace(sample, image_id=number) for number, sample in enumerate(samples)]
    write_images(folder, samples)
    write_jsonl(folder, samples)

    def start(out: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, str(script), str(folder), str(out)])

    return start


@pytest.mark.slow
def test_kill_9_loses_no_finished_chunk_and_takes_the_workers_along(
    tmp_path: Path, killable: Callable[[Path], subprocess.Popen[bytes]]
) -> None:
    out, work = tmp_path / "data", tmp_path / ".data.partial"
    process = killable(out)
    deadline = time.monotonic() + 120
    while len(list(work.glob("*.json"))) < 10:
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline, "did not get going"
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()
    assert len(children) >= 2
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.01)
    finished = {path.with_suffix(".arrow").stat().st_ino for path in work.glob("train-*.json")}
    assert killable(out).wait() == 0
    kept = {path.stat().st_ino for path in (out / "train").glob("*.arrow")}
    assert finished <= kept
    assert killable(tmp_path / "whole").wait() == 0
    files = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert files == sorted(
        path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*") if path.is_file()
    )
    assert all((out / file).read_bytes() == (tmp_path / "whole" / file).read_bytes() for file in files)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_one_line(tmp_path: Path) -> None:
    def read() -> Iterable[AnnotatedImage]:
        yield from numbered(600)
        for child in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(int(child), signal.SIGKILL)
        yield from (annotated(image_id=f"later {number}") for number in range(600))

    source = source_of(read=read, num_images={"train": 1200})
    with pytest.raises(R1SGGError, match=r"a worker process was killed.*--workers"):
        prepare_dataset(source, tmp_path / "data", num_workers=2)


def test_workers_and_one_process_give_the_same_rows(tmp_path: Path) -> None:
    source = open_synthetic(600, 10, 0, 0.5)
    for name, num_workers in (("one", 0), ("two", 2)):
        prepare_dataset(source, tmp_path / name, num_workers=num_workers)
    one, two = ((tmp_path / name / "train").glob("*.arrow") for name in ("one", "two"))
    assert [path.read_bytes() for path in sorted(one)] == [path.read_bytes() for path in sorted(two)]
