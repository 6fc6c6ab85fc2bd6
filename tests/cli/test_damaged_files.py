"""Damaged files through the commands that read them: one line of error or sound numbers, never a traceback."""

import json
import math
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from r1sgg_cli.cli.eval import evaluate
from r1sgg_cli.cli.gather import gather
from r1sgg_cli.cli.submit import submit
from r1sgg_cli.data.check import check_source, faults_beside
from r1sgg_cli.data.cleaning import CleaningRules
from r1sgg_cli.data.prepare import prepare_dataset
from r1sgg_cli.data.readers.rows import open_rows
from r1sgg_cli.errors import R1SGGError
from r1sgg_cli.inference.answers import Answer, Sample
from r1sgg_cli.inference.answers_file import AnswersFile
from r1sgg_cli.inference.ground_truth import GROUND_TRUTH_FILE, save_ground_truth
from r1sgg_cli.inference.run_record import RUN_FILE, RunRecord, save_run
from r1sgg_cli.inference.training_file import TRAINING_FILE, save_training_names
from r1sgg_cli.scene_graph.training_names import TrainingNames
from r1sgg_cli.scene_graph.vocabulary import Vocabulary
from tests.cli.damage import damaged, damaged_bytes, damaged_line
from tests.data.sources import numbered, source_of
from tests.inference.conftest import ANSWERS_FILE, make_run, make_truth

NUM_CASES = int(os.environ.get("FUZZ_CASES", "10"))
"""Of each kind of file; hundreds take minutes."""
Damage = Callable[[random.Random, bytes], bytes]
GRAPH = {
    "objects": [{"id": "man.1", "bbox": [0, 0, 100, 100]}, {"id": "horses.2", "bbox": [500, 500, 1000, 1000]}],
    "relationships": [{"subject": "man.1", "predicate": "sitting on", "object": "horses.2"}],
}
TEXT = json.dumps(GRAPH)
ODD_YAML = (
    *("~", "!!int x", "!!python/object:os.system 1", "!!timestamp 2026-99-99", "!!binary =", "&a [*a]", "*nope"),
    *("9" * 5000, ".nan", "-.inf", "1e999", "? [a]: b", "<<: {a: 1}", "\t", "- ", ": ", "{", "[", "|\n  a\n b", "#"),
    *("%YAML 1.2\n---\n", "---\n", "...\n", "\u0000", "\ufeff", "\U0001f984", "'", '"\\x"', '"\\0"', "2026-11-29"),
)
EXPERIMENT = """\
out: runs/mine  # everything
model: Qwen/Qwen2-VL-2B-Instruct
preset: h100-8x
dataset: data/mine
seed: 7
report_to: [tensorboard]
slurm: {account: me, time_limit: "08:00:00"}
environment:
  modules: [cuda]
prepare: {source: vg150, options: {images: photos, limit: 1000}}
sft:
  recipe: sft
  set: {learning_rate: 1e-5, num_epochs: 2}
grpo: {}
infer: {num_tasks: 2, temperature: 0.5, num_answers: 2, gather: {wordnet: true}}
test_split: test
"""


def run(command: Callable[..., None], *argv: str | Path) -> str | None:
    """What a command says of a user's mistake, None where it succeeds; any other end raises."""
    app = typer.Typer()  # the whole `r1sgg` takes longer to put together than most files to read
    app.command()(command)
    result = CliRunner().invoke(app, [str(argument) for argument in argv], env={"COLUMNS": "200"})
    if result.exception is None or (isinstance(result.exception, SystemExit) and result.exit_code == 0):
        return None
    if not isinstance(result.exception, R1SGGError):
        raise result.exception
    return str(result.exception)


def damage_in_turn(path: Path, damage: Damage, seed: int, check: Callable[[], Any], num_cases: int = NUM_CASES) -> int:
    """Call `check` on damaged versions of a file, one after the other; how many of them it could not use."""
    whole, generator, refused = path.read_bytes(), random.Random(seed), 0
    for _ in range(num_cases):
        broken = damage(generator, whole)
        path.write_bytes(broken)
        try:
            refused += check() is not None
        except Exception as error:
            raise AssertionError(f"{path.name} breaks `r1sgg` ({error!r}): {broken!r:.5000}") from error
    path.write_bytes(whole)
    assert check() is None
    return refused


def insist_on_sound_numbers(path: Path) -> None:
    """A file of metrics without a number that is none, and shares between 0 and 1."""
    content = json.loads(path.read_text(), parse_constant=pytest.fail)
    for metric in content["metrics"]:
        value = metric["value"]
        assert value is None or 0 <= value < math.inf, metric
        if metric["name"].startswith(("triplet_", "mean_recall", "object_", "box_ap")) and value is not None:
            assert value <= 1 + 1e-12, metric


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three answered images: with probabilities, with several texts, and one that could not be asked about."""
    folder = tmp_path / "answers"
    record: RunRecord = {**make_run(), "limit": 3}
    save_run(record, folder)
    save_ground_truth([make_truth(image_id) for image_id in "abc"], folder)
    vocabularies = Vocabulary(("man",), ("near",)), Vocabulary(("horse",), ("sitting on",))
    save_training_names(TrainingNames({"near": 3}, frozenset({("man", "sitting on", "horse")}), *vocabularies), folder)
    with AnswersFile(folder, ANSWERS_FILE) as file:
        scored = Sample(TEXT, "stop", 40, -3.5, (-0.25, -0.5), (-1.5,))
        more = (Sample("no graph", "length", 9, -1.0), Sample(TEXT, "stop", 9, -2.0))
        file.append([Answer("a", (1000, 1000), (scored,), (0.0, -2.5), (200, 100), 77)])
        file.append([Answer("b", (1000, 1000), more), Answer("c", (1, 1), (), error="cannot be decoded")])
    return folder


@pytest.fixture
def predictions(folder: Path) -> Path:
    """Gathered predictions."""
    path = folder.parent / "preds.json"
    assert run(gather, folder, path) is None
    return path


def test_predictions(predictions: Path) -> None:
    numbers = predictions.with_name("numbers.json")

    def check() -> str | None:
        numbers.unlink(missing_ok=True)
        said = run(evaluate, predictions, "--out", numbers)
        if said is None:
            insist_on_sound_numbers(numbers)
        return said

    assert damage_in_turn(predictions, damaged, 0, check) > NUM_CASES // 3


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (RUN_FILE, damaged),
        (TRAINING_FILE, damaged),
        (GROUND_TRUTH_FILE, damaged_line),
        (ANSWERS_FILE, damaged_line),
    ],
    ids=["run.json", "training", "ground truth", "answers"],
)
def test_a_folder_of_answers(folder: Path, name: str, damage: Damage) -> None:
    out, generator = folder.parent / "gathered.json", random.Random(1)

    def check() -> str | None:
        out.unlink(missing_ok=True)
        pick = generator.choice(("first", "likelihood", "majority"))
        said = run(gather, folder, out, "--allow-missing", "--pick", pick)
        if said is None:
            assert run(evaluate, out) is None
            insist_on_sound_numbers(out.with_suffix(".metrics.json"))
        return said

    refused = damage_in_turn(folder / name, damage, 2, check)
    assert refused > NUM_CASES // 3 or name == ANSWERS_FILE  # broken lines are passed over, and said


def test_a_predictions_file_in_the_way(folder: Path, predictions: Path) -> None:
    damage_in_turn(predictions, damaged, 3, lambda: run(gather, folder, predictions))


@pytest.fixture
def published(tmp_path: Path) -> list[str | Path]:
    """The arguments that gather a folder of the published layout, with a vocabulary and aliases of the user's own."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for image_id in "ab":
        content = {"image_id": image_id, "response": TEXT, "box_scale": [1000.0, 1000.0]}
        (folder / f"{image_id}.json").write_text(json.dumps(content))
    rows = [{"image_id": i, "width": 200, "height": 100, **GRAPH} for i in "ab"]
    (tmp_path / "dataset.jsonl").write_text("\n".join(map(json.dumps, rows)))
    names = {"objects": ["man", "horse"], "predicates": ["sitting on", "near"]}
    (tmp_path / "vocabulary.json").write_text(json.dumps(names))
    (tmp_path / "aliases.json").write_text(json.dumps({"objects": {"horses": "horse"}, "predicates": {"by": "near"}}))
    options = ("--dataset", tmp_path / "dataset.jsonl", "--vocabulary", tmp_path / "vocabulary.json")
    return [folder, tmp_path / "preds.json", *options, "--alias-file", tmp_path / "aliases.json"]


@pytest.mark.parametrize("name", ["raw/a.json", "dataset.jsonl", "vocabulary.json", "aliases.json"])
def test_the_published_layout(tmp_path: Path, published: list[str | Path], name: str) -> None:
    def check() -> str | None:
        (tmp_path / "preds.json").unlink(missing_ok=True)
        said = run(gather, *published, "--allow-missing")
        assert said is not None or run(evaluate, tmp_path / "preds.json") is None
        return said

    damage = damaged_line if name.endswith("jsonl") else damaged
    refused = damage_in_turn(tmp_path / name, damage, 4, check)
    assert refused > NUM_CASES // 3 or name == "raw/a.json"  # of two files one is left


def test_what_the_published_gather_writes(tmp_path: Path, published: list[str | Path]) -> None:
    tuples = [["man", [0, 0, 20, 10], "horse", [100, 50, 200, 100], "near"]]
    row = {
        "names": ["man.1", "horses.2"],
        "names_target": ["man", "horse"],
        "boxes": [[0, 0, 20, 10], [100, 50, 200, 100]],
        "relation_tuples": tuples,
        "graph": {"all_node_pairs": [[0, 1]]},
    }
    (tmp_path / "gathered.json").write_text(json.dumps({"a": row, "b": {**row, "names_target": ["unknown"]}}))

    def check() -> str | None:
        (tmp_path / "preds.json").unlink(missing_ok=True)
        said = run(gather, tmp_path / "gathered.json", *published[1:-2], "--allow-missing")
        if said is None:
            assert run(evaluate, tmp_path / "preds.json") is None
            insist_on_sound_numbers(tmp_path / "preds.metrics.json")
        return said

    assert damage_in_turn(tmp_path / "gathered.json", damaged, 7, check) > NUM_CASES // 3
    listed = {**row, "relation_tuples": [[*tuples[0][:-1], ["near"]]]}
    (tmp_path / "gathered.json").write_text(json.dumps({"a": listed, "b": row}))
    assert "is no predicate" in (check() or "")


def test_what_training_showed(predictions: Path, tmp_path: Path) -> None:
    prepare_dataset(source_of(*numbered(3, relationships=[(0, "sitting on", 1)])), tmp_path / "data")

    def check() -> str | None:
        return run(evaluate, predictions, "--training", tmp_path / "data")

    refused = damage_in_turn(tmp_path / "data" / "train_statistics.json", damaged, 8, check)
    assert refused > NUM_CASES // 3


@pytest.mark.parametrize("name", ["train_statistics.json", "vocabulary.json", "prepare.json"])
def test_what_stands_beside_a_data_set(tmp_path: Path, name: str) -> None:
    """What `prepare --check` finds; the rows are counted once."""
    folder = tmp_path / "data"
    prepare_dataset(source_of(*numbered(3)), folder)
    done = check_source(open_rows(str(folder)), CleaningRules(keep_empty=True))

    def check() -> str | None:
        return "; ".join(faults_beside(folder, done)) or None

    damage_in_turn(folder / name, damaged, 5, check)


def test_an_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "r1sgg.yaml"
    path.write_text(EXPERIMENT)
    refused = damage_in_turn(path, _damaged_yaml, 6, lambda: run(submit, "--local", "--dry-run"))
    assert refused > NUM_CASES // 3


def _damaged_yaml(generator: random.Random, content: bytes) -> bytes:
    """YAML with its bytes damaged, or a value in the place of another."""
    if generator.random() < 0.4:
        return damaged_bytes(generator, content)
    text = content.decode()
    start, end = sorted(generator.randint(0, len(text)) for _ in range(2))
    odd = generator.choice(ODD_YAML)
    return (text[:start] + odd + text[min(end, start + 9) :]).encode()
