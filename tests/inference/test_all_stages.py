"""Mutated answers through parser, rewards, gathering, files, evaluation and report; the million is a benchmark's."""

from pathlib import Path

import pytest

from r1sgg_cli.data.predictions import ImagePrediction, Predictions
from r1sgg_cli.report.stages import evaluate_predictions
from r1sgg_cli.scene_graph.parse import parse_answer
from r1sgg_cli.scene_graph.vocabulary import load_vocabulary
from tests.inference.all_stages import PICKS, AllStages, BrokenRuleError, insist_on_escaped_panel
from tests.scene_graph.real_answers import MutatedAnswers, RealAnswer, load_real_answers

BATCH = 80


@pytest.fixture(scope="module")
def real_answers() -> tuple[RealAnswer, ...]:
    """Those of the repository."""
    return load_real_answers(None)


@pytest.mark.parametrize("batch", range(4))
def test_no_text_breaks_a_rule(real_answers: tuple[RealAnswer, ...], tmp_path: Path, batch: int) -> None:
    stages = AllStages(MutatedAnswers(real_answers, seed=batch), tmp_path, batch)
    stages.run(BATCH)
    assert stages.counts["cases", "all"] == stages.counts["gathered and evaluated", f"by {PICKS[batch]}"] == BATCH
    assert stages.counts["parsed", "with objects"] > BATCH // 3
    assert stages.counts["rewards", "edge_hard_reward"] > 0


def test_published_answers_break_no_rule_either(shared_dir: Path, tmp_path: Path) -> None:
    answers = load_real_answers(shared_dir / "golden")
    AllStages(MutatedAnswers(answers[-190:], seed=0), tmp_path, 3).run(BATCH)


def test_a_broken_rule_names_its_text(
    real_answers: tuple[RealAnswer, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = AllStages(MutatedAnswers(real_answers, seed=0), tmp_path)
    monkeypatch.setattr("tests.inference.all_stages.MOST", {"format_reward": -1.0})
    with pytest.raises(BrokenRuleError, match=r"format_reward.*the text: '"):
        stages.run(BATCH, gather=False)


NOTHING = ('{"objects": [], "relationships": []}', '{"objects": [{"id": "man.1", "bbox": [NaN, NaN, NaN, NaN]}]}')


@pytest.mark.parametrize("text", NOTHING, ids=["empty", "not finite"])
def test_a_split_of_graphs_without_an_object_scores_zero_everywhere(
    real_answers: tuple[RealAnswer, ...], text: str
) -> None:
    images = [
        ImagePrediction(f"{i}", real.image_wh, real.truth, parse_answer(text, real.image_wh).graph, None, {}, text)
        for i, real in enumerate(real_answers[:40])
    ]
    evaluation = evaluate_predictions(Predictions({}, load_vocabulary("vg150"), tuple(images)))
    scores = {metric.name: metric.value for metric in evaluation.metrics if not metric.name.startswith("annotated")}
    assert {name for name, value in scores.items() if value > 0} == set()


@pytest.mark.parametrize("letter", ["<", "&lt;", '"', "'", "\x00", "\u202e", "\ufffe", "</svg>", "{{ 7*7 }}", "]]>"])
def test_labels_and_answers_stay_text_in_a_panel(real_answers: tuple[RealAnswer, ...], letter: str) -> None:
    real = real_answers[0]
    name = f"{letter}<img src=x onerror=alert(1)>{letter}"
    ids = (f"{name}.1", *real.truth.ids[1:])
    graph = type(real.truth)(ids, (name, *real.truth.names[1:]), real.truth.boxes_xyxy, real.truth.triplets, (800, 600))
    answer = f"{letter}</pre><script>alert(1)</script>"
    for prediction, failure in ((graph, None), (None, name)):
        insist_on_escaped_panel(
            ImagePrediction(name, (800, 600), graph, prediction, failure, {f"{letter}<b>": 1}, answer)
        )


def test_seeds_decide_everything(real_answers: tuple[RealAnswer, ...], tmp_path: Path) -> None:
    """What a benchmark finds must come back."""
    counts = []
    for _ in range(2):
        stages = AllStages(MutatedAnswers(real_answers, seed=5), tmp_path)
        stages.run(40)
        counts.append(stages.counts)
    assert counts[0] == counts[1]
