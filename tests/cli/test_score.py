"""`r1sgg score`."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from r1sgg_cli.cli.score import score
from r1sgg_cli.data.statistics import SplitStatistics
from r1sgg_cli.errors import ConfigError, DataError, OutputError
from r1sgg_cli.inference.answers import Answer, Sample
from r1sgg_cli.inference.answers_file import AnswersFile
from r1sgg_cli.inference.ground_truth import ImageTruth, save_ground_truth
from r1sgg_cli.inference.run_record import save_run
from r1sgg_cli.scene_graph.graph import graph_from_rows
from tests.inference.conftest import ANSWERS_FILE, make_run, make_truth

TRUTH = {
    "objects": [{"id": "man.1", "bbox": [0, 0, 100, 100]}, {"id": "horse.2", "bbox": [500, 500, 1000, 1000]}],
    "relationships": [{"subject": "man.1", "predicate": "sitting on", "object": "horse.2"}],
}


def tagged(graph: object) -> str:
    return f"<think></think><answer>{json.dumps(graph)}</answer>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images: a right and a wrong answer to one, two equal ones to the other."""
    texts = {
        "a": [tagged(TRUTH), tagged({**TRUTH, "relationships": []})],
        "b": [tagged(TRUTH), tagged(TRUTH)],
    }
    out = tmp_path / "answers"
    save_run(make_run(), out)
    save_ground_truth([make_truth(image_id) for image_id in texts], out)
    with AnswersFile(out, ANSWERS_FILE) as file:
        file.append(
            [Answer(i, (1000, 1000), tuple(Sample(text, "stop", 9) for text in both)) for i, both in texts.items()]
        )
    return out


def run(*arguments: str | Path, columns: int = 200) -> Result:
    app = typer.Typer()
    app.command()(score)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": str(columns)})


def cells(text: str) -> dict[str, list[str]]:
    """First column → the others, of all tables; of two rows of one name the first."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, *rest = (cell.strip() for cell in line.strip("│┃ ").replace("┃", "│").split("│"))
        found.setdefault(name, rest)
    return found


def test_each_reward_is_told_by_what_it_pays_and_how_it_differs_within_a_group(folder: Path) -> None:
    done = run(folder, "--rewards", "format_reward,edge_f1_reward")
    assert done.exit_code == 0, done.output
    rows = cells(done.stdout)
    #                                    weight  mean     sd      zero   none  in a group  all equal
    assert rows["format_reward"][:7] == ["1", "1.000", "0.000", "0%", "0%", "0.000", "100%"]
    assert rows["edge_f1_reward"][:7] == ["1", "3.750", "2.165", "25%", "0%", "1.768", "50%"]
    assert rows["weighted sum"][:7] == ["", "4.750", "2.165", "0%", "0%", "1.768", "50%"]
    assert "4 answers in 2 groups" in done.stdout


def test_a_verdict_says_that_nothing_pays(folder: Path) -> None:
    done = run(folder, "--recipe", "grpo-f1", "--strict")
    assert done.exit_code == 0, done.output
    rows = cells(done.stdout)
    assert rows["honest"][-1] == "8.000"
    assert rows["NaN boxes"][-1] == "0.000"
    assert rows["empty graph"][-1] == "0.500"
    assert float(rows["duplicates"][-1]) == pytest.approx(1 + 0 + 5 * 2 / 3 - 1 / 2, abs=5e-4)  # objects are vetoed
    assert float(rows["one guess"][-1]) > float(rows["several guesses"][-1])
    assert "each degenerate answer earns less than what it is compared with; the closest, `" in done.stdout


def test_a_verdict_names_what_pays_and_strict_makes_it_count(folder: Path) -> None:
    done = run(folder, "--rewards", "format_reward,edge_hard_reward")
    assert done.exit_code == 0
    assert "it pays to cheat: `box spam` earns as much as the honest answer, `predicate spam` earns" in done.stdout
    assert "; add `object_f1_reward`, `edge_f1_reward`, against what is superfluous" in done.stdout
    assert "add `object_f1_reward`, against" in run(folder, "--rewards", "edge_f1_reward,edge_hard_reward").stdout
    assert run(folder, "--rewards", "format_reward,edge_hard_reward", "--strict").exit_code == 1
    assert "`several guesses` earns 2.50 more than one guess" in done.stdout


def test_strict_does_not_pass_where_nothing_was_tried(folder: Path, tmp_path: Path) -> None:
    refused = run(folder, "--rewards", "edge_hard_reward", "--strict", "--adversaries", "0").exception
    assert isinstance(refused, ConfigError)
    assert "`--adversaries 0` makes none" in str(refused)
    lonely = graph_from_rows([{"id": "man.1", "bbox": [0, 0, 9, 9]}], [], (20, 20))
    save_ground_truth([ImageTruth(image_id, (20, 20), lonely) for image_id in ("a", "b")], folder)
    done = run(folder, "--rewards", "format_reward,edge_hard_reward")
    assert done.exit_code == 0
    assert "no degenerate answer was tried" in done.stdout
    unseen = run(folder, "--rewards", "format_reward,edge_hard_reward", "--strict").exception
    assert isinstance(unseen, ConfigError)
    assert "no degenerate answer was tried: of the images that were answered none" in str(unseen)


def test_strict_does_not_pass_where_no_reward_says_what_the_truth_is_worth(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "mute.py").write_text(
        "def silent(completions, **columns):\n    return [None] * len(completions)\n", encoding="utf-8"
    )
    assert "no degenerate answer was tried" in run(folder, "--rewards", "mute:silent").stdout
    refused = run(folder, "--rewards", "mute:silent", "--strict").exception
    assert isinstance(refused, ConfigError)
    assert "no reward applies" in str(refused)


def test_a_hundredth_less_is_no_less(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "terse.py").write_text(
        "def short(completions, **columns):\n    return [-len(turns[-1]['content']) / 1e6 for turns in completions]\n",
        encoding="utf-8",
    )
    done = run(folder, "--rewards", "edge_hard_reward,terse:short")
    assert "`box spam` earns as much as the honest answer" in done.stdout


def test_each_answer_is_written_as_a_line(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    for _ in range(2):  # anew, not at the end of it
        assert run(folder, "--recipe", "grpo-f1", "--out", out).exit_code == 0
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [(row["image_id"], row["answer"], row["reward"]) for row in rows] == [
        ("a", 0, 8),
        ("a", 1, 3),
        ("b", 0, 8),
        ("b", 1, 8),
    ]
    assert rows[1]["rewards"] == {
        "format_reward": 1,
        "object_f1_reward": 2,
        "edge_f1_reward": 0,
        "repetition_penalty_reward": 0,
    }
    out.write_text("a thesis", encoding="utf-8")
    assert isinstance(run(folder, "--recipe", "grpo-f1", "--out", out).exception, OutputError)
    assert out.read_text(encoding="utf-8") == "a thesis"


def test_a_function_of_ones_own_is_scored_and_tried_like_any(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "talkative.py").write_text(
        "def length(completions, **columns):\n    return [len(turns[-1]['content']) / 100 for turns in completions]\n",
        encoding="utf-8",
    )
    done = run(folder, "--rewards", "talkative:length,edge_f1_reward")
    assert done.exit_code == 0, done.output
    assert "it pays to cheat: `box spam` earns" in done.stdout
    assert "more than the honest answer" in done.stdout


def test_predicates_are_weighed_by_the_statistics_of_a_data_set(folder: Path, tmp_path: Path) -> None:
    asked = ("--rewards", "weighted_recall_reward")
    refused = run(folder, *asked).exception
    assert isinstance(refused, DataError)
    assert "`data/shapes` has no `train_statistics.json`" in str(refused)
    counts = SplitStatistics(2, predicates=Counter({"sitting on": 3, "near": 400}))
    (tmp_path / "train_statistics.json").write_text(json.dumps(counts.to_json()), encoding="utf-8")
    done = run(folder, *asked, "--dataset", tmp_path)
    assert cells(done.stdout)["weighted_recall_reward"][1] == "3.750"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "say what counts: `--rewards"),
        (["--rewards", " , "], "`--rewards` names none"),
        (["--rewards", "edge_f1"], "no reward `edge_f1`; did you mean `edge_f1_reward`"),
        (["--rewards", "edge_f1_reward", "--recipe", "grpo"], "leave one of them out"),
        (["--recipe", "sft"], "`sft` is a recipe for `r1sgg sft`"),
        (["--recipe", "gpro"], "no recipe `gpro`; did you mean `grpo`"),
        (["--rewards", "nobody:here"], "no module `nobody`"),
        (["--rewards", "edge_reward", "--similarity", "spicy"], "no similarity `spicy`"),
    ],
)
def test_a_mistake_is_one_line(folder: Path, options: list[str], message: str) -> None:
    refused = run(folder, *options).exception
    assert isinstance(refused, ConfigError)
    assert message in str(refused)


def test_no_torch_is_imported(folder: Path) -> None:
    code = (
        "import sys\nfrom r1sgg_cli.__main__ import main\n"
        f"sys.argv = ['r1sgg', 'score', {str(folder)!r}, '--recipe', 'grpo-f1']\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'transformers', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
