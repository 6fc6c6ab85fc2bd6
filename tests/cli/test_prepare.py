"""`r1sgg prepare`: every layout in, one data set out, every fault in a table."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from typer.testing import CliRunner, Result

from r1sgg_cli.cli import prepare as command
from r1sgg_cli.cli.prepare import prepare
from r1sgg_cli.data import open_vocabulary
from r1sgg_cli.data.rows import ground_truth_graph, load_rows, load_splits
from r1sgg_cli.errors import DataError, OutputError, R1SGGError
from tests.data.readers.layouts import WRITERS, random_samples, write_images, write_jsonl, write_psg


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(prepare)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def prepare_synthetic(out: Path, *options: str) -> Result:
    return run("synthetic", "--out", out, "--num-images", "4", "--num-test", "2", *options)


def test_synthetic_scenes_are_written_sparse_for_training_and_whole_for_testing(tmp_path: Path) -> None:
    result = prepare_synthetic(tmp_path / "data", "--drop-relationships", "1")
    assert result.stdout == f"4 train, 2 test images: {tmp_path / 'data'}\n"
    assert (tmp_path / "data" / "vocabulary.json").is_file()
    numbers = {
        split: {len(ground_truth_graph(row).triplets) for row in load_rows(str(tmp_path / "data"), split)}
        for split in ("train", "test")
    }
    assert numbers == {"train": {1}, "test": {3}}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="already there"),
        pytest.param(("--seed", "1"), id="other options"),
        pytest.param(("--split", "tset", "--check"), id="no such split"),
        pytest.param(("--split", "tset", "--seed", "1"), id="other options and no such split"),
    ],
)
def test_no_bar_stands_before_what_is_refused_or_there(options: tuple[str, ...], tmp_path: Path) -> None:
    prepare_synthetic(tmp_path / "data")
    app = typer.Typer()
    app.command()(prepare)
    place = () if "--check" in options else ("--out", str(tmp_path / "data"))
    argv = ["synthetic", *place, "--num-images", "4", "--num-test", "2", *options]
    assert CliRunner().invoke(app, argv).stderr == ""


def test_the_same_command_again_keeps_what_is_there(tmp_path: Path) -> None:
    prepare_synthetic(tmp_path / "data")
    written = (tmp_path / "data" / "prepare.json").stat().st_mtime_ns
    assert prepare_synthetic(tmp_path / "data").stdout == f"already there: {tmp_path / 'data'}\n"
    assert (tmp_path / "data" / "prepare.json").stat().st_mtime_ns == written


def test_other_options_never_overwrite(tmp_path: Path) -> None:
    prepare_synthetic(tmp_path / "data")
    with pytest.raises(OutputError, match="other options"):
        prepare_synthetic(tmp_path / "data", "--seed", "1")


@pytest.mark.parametrize("layout", sorted(WRITERS))
def test_every_layout_is_prepared_and_its_name_is_said(layout: str, tmp_path: Path) -> None:
    samples = random_samples(0)
    (tmp_path / "files").mkdir()
    path = WRITERS[layout](tmp_path / "files", samples)
    write_images(tmp_path / "images", samples)
    result = run(path, "--images", tmp_path / "images", "--out", tmp_path / "data")
    assert "layout: " in result.stderr
    assert "8 train images" in result.stdout or "6 train, 2 test images" in result.stdout


def dirty(folder: Path) -> Path:
    """Own images, of which one is cut short, one has a relationship with itself and one is not there."""
    samples = random_samples(0)
    path = write_jsonl(folder, samples)
    write_images(folder, samples[:-1])
    cut = folder / f"{samples[0].image_id}.jpg"
    cut.write_bytes(cut.read_bytes()[:-30])
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    entries[1]["relationships"].append(
        {**entries[1]["relationships"][0], "object": entries[1]["relationships"][0]["subject"]}
    )
    path.write_text("\n".join(map(json.dumps, entries)))
    return path


def test_faults_are_shown_with_an_example_and_their_rule(tmp_path: Path) -> None:
    path = dirty(tmp_path)
    result = run(path, "--out", tmp_path / "data")
    assert "5 train, 1 test images" in result.stdout
    said = " ".join(result.stderr.split())
    for kind, example in (("broken_image", "101"), ("self_relationship", "108"), ("missing_image", "150")):
        row = next(line for line in result.stderr.splitlines() if kind in line)
        assert example in row
    assert "image dropped" in said


def test_strict_stops_at_the_first_fault(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="image `101`: broken_image"):
        run(dirty(tmp_path), "--out", tmp_path / "data", "--strict")
    assert not (tmp_path / "data").exists()


def test_check_describes_a_sound_set_and_refuses_another(tmp_path: Path) -> None:
    path = dirty(tmp_path)
    with pytest.raises(DataError, match=r"3 faults; `r1sgg prepare` with `--out DIR`"):
        run(path, "--check")
    run(path, "--out", tmp_path / "data")
    result = run(tmp_path / "data", "--check")
    assert "sound" in result.stdout
    assert any("train" in line and " 5 " in line for line in result.stdout.splitlines())


def test_splits_limit_and_vocabulary_select(tmp_path: Path) -> None:
    samples = random_samples(0)
    write_images(tmp_path, samples)
    path = write_psg(tmp_path, samples)
    vocabulary = tmp_path / "names.json"
    vocabulary.write_text(json.dumps({"objects": ["person", "bike", "Traffic Light"], "predicates": ["on", "riding"]}))
    run(path, "--out", tmp_path / "data", "--split", "train", "--limit", "5", "--vocabulary", vocabulary)
    splits = load_splits(str(tmp_path / "data"))
    assert list(splits) == ["train"]
    names = {row["id"].rpartition(".")[0] for text in splits["train"]["objects"] for row in json.loads(text)}
    assert names <= {"person", "bike", "Traffic Light"}


def test_a_test_split_is_held_out_and_novel_names_leave_the_training_split(tmp_path: Path) -> None:
    samples = random_samples(0, 40)
    write_images(tmp_path, samples)
    path = write_jsonl(tmp_path, samples)
    path.write_text(path.read_text().replace('"split": "test"', '"split": "train"'))
    base = tmp_path / "base.json"
    base.write_text(json.dumps({"objects": ["person", "bike", "tree-merged"], "predicates": ["on"]}))
    options = ("--test-share", "0.25", "--open-vocabulary", "ovd+r", "--base-classes", base)
    run(path, "--out", tmp_path / "data", *options)
    splits = load_splits(str(tmp_path / "data"))
    predicates = {
        split: {row["predicate"] for text in rows["relationships"] for row in json.loads(text)}
        for split, rows in splits.items()
    }
    assert predicates["train"] == {"on"}
    assert len(predicates["test"]) > 1
    assert json.loads((tmp_path / "data" / "base_vocabulary.json").read_text())["predicates"] == ["on"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(("nowhere.json", "--out", "d"), r"no file or folder `nowhere.json`; give annot", id="no file"),
        pytest.param(("sythetic", "--out", "d"), r"no file or folder `sythetic`; did you mean `synth", id="no word"),
        pytest.param(("{psg}",), r"where to\?.*--out DIR", id="no --out"),
        pytest.param(
            ("{psg}", "--out", "d", "--num-images", "3"), "is for `synthetic`; try `--limit`", id="--num-images"
        ),
        pytest.param(
            ("{psg}", "--out", "d", "--num-val", "3"), "`--num-val` is for vg150-h5, and this is psg", id="--num-val"
        ),
        pytest.param(("{psg}", "--out", "d", "--base-classes", "b.json"), "says nothing without", id="--base-classes"),
        pytest.param(("{psg}", "--out", "d", "--open-vocabulary", "ovd"), "base classes are known for VG150", id="ovd"),
        pytest.param(("{psg}", "--out", "d", "--test-share", "0.5"), "its own splits", id="--test-share"),
        pytest.param(("{psg}", "--check", "--strict"), "`--strict` says nothing with `--check`", id="--check --strict"),
        pytest.param(("{psg}", "--check", "--out", "d"), "`--out` says nothing with `--check`", id="--check --out"),
        pytest.param(("synthetic", "x", "--out", "d"), "`x` means nothing to `synthetic`", id="synthetic PATH"),
        pytest.param(
            ("{psg}", "--out", "d", "--split", "nope"), "no split `nope`; it has `test`, `train`", id="--split"
        ),
    ],
)
def test_a_mistake_is_one_line(arguments: Any, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_psg(tmp_path, random_samples(0))
    with pytest.raises(R1SGGError, match=expected) as caught:
        run(*[str(argument).format(psg=path) for argument in arguments])
    assert "\n" not in str(caught.value)


def test_the_wrong_folder_of_images_is_said(tmp_path: Path) -> None:
    path = write_psg(tmp_path, random_samples(0))
    with pytest.raises(DataError, match=r"no image is left to write \(missing_image 8\); is `--images"):
        run(path, "--images", tmp_path / "elsewhere", "--out", tmp_path / "data")


def test_real_photos_become_a_data_set(tmp_path: Path, shared_dir: Path) -> None:
    folder = shared_dir / "data" / "coco_panoptic_sample"
    result = run(folder / "psg_style.json", "--images", folder, "--out", tmp_path / "data")
    assert result.stdout.startswith("1 train, 1 test images")
    assert load_rows(str(tmp_path / "data"), "test")[0]["image"].size == (640, 360)


def test_a_probability_above_one_is_a_usage_error(tmp_path: Path) -> None:
    assert prepare_synthetic(tmp_path / "data", "--drop-relationships", "2").exit_code == 2


def test_a_set_that_lacks_images_says_so_when_it_is_there_already(tmp_path: Path) -> None:
    path = dirty(tmp_path)
    run(path, "--out", tmp_path / "data")
    result = run(path, "--out", tmp_path / "data")
    assert "already there" in result.stdout
    assert "missing or broken images when it was made: 2" in result.stderr


def test_what_became_of_the_images_is_shown_where_none_is_left(tmp_path: Path) -> None:
    samples = [replace(sample, relationships=()) for sample in random_samples(0)]
    write_images(tmp_path, samples)
    path = write_jsonl(tmp_path, samples)
    app = typer.Typer()
    app.command()(prepare)
    result = CliRunner().invoke(app, [str(path), "--out", str(tmp_path / "data")])
    assert "empty_image 8" in str(result.exception)
    assert "--keep-empty-rels" in str(result.exception)
    assert any("empty_image" in line and "101" in line for line in result.stderr.splitlines())


def test_a_base_name_that_occurs_nowhere_is_said(tmp_path: Path) -> None:
    samples = random_samples(0)
    write_images(tmp_path, samples)
    base = tmp_path / "base.json"
    base.write_text(json.dumps({"objects": ["person", "bike"], "predicates": ["on", "rideing"]}))
    options = ("--open-vocabulary", "ovd", "--base-classes", base)
    result = run(write_jsonl(tmp_path, samples), "--out", tmp_path / "one", *options)
    assert "rideing" not in result.stderr, "predicates do not matter to this setting"
    base.write_text(json.dumps({"objects": ["person", "biek", "tree-merged"], "predicates": ["on"]}))
    result = run(tmp_path / "own.jsonl", "--out", tmp_path / "two", *options)
    assert "base name `biek` occurs nowhere" in result.stderr


def test_a_split_of_which_nothing_is_left_is_said(tmp_path: Path) -> None:
    samples = random_samples(0)
    write_images(tmp_path, [sample for sample in samples if sample.split == "train"])
    result = run(write_jsonl(tmp_path, samples), "--out", tmp_path / "data")
    assert "nothing is left of split `test`" in result.stderr


def test_the_settings_of_the_command_are_those_of_the_data() -> None:
    assert get_args(command.Setting) == get_args(open_vocabulary.Setting)
