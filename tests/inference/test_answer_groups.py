"""Answers in groups, from a folder of `infer`, from one file of it, or from a GRPO run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from r1sgg_cli.config.yaml import dump_yaml
from r1sgg_cli.data.rollouts import ROLLOUTS_FILE, Rollout, RolloutAnswer, rollout_to_row
from r1sgg_cli.data.run_logs import append_row
from r1sgg_cli.errors import AnswersError
from r1sgg_cli.inference.answer_groups import load_answer_groups
from r1sgg_cli.inference.answers import Answer, Sample
from r1sgg_cli.inference.answers_file import AnswersFile
from r1sgg_cli.inference.run_record import load_run, save_run

from .conftest import ANSWERS_FILE, FolderMaker, make_answer, make_truth


def several(image_id: str, *texts: str) -> Answer:
    return Answer(image_id, (1000, 1000), tuple(Sample(text, "stop", 1) for text in texts), (0.5, 0.25))


def test_the_answers_to_an_image_are_a_group(make_folder: FolderMaker) -> None:
    found = load_answer_groups(make_folder(["a", "b", "c"], [several("a", "1", "2"), make_answer("b", "3")]))
    assert [(group.image_id, group.texts) for group in found.groups] == [("a", ("1", "2")), ("b", ("3",))]
    group = found.groups[0]
    assert (group.task, group.image_wh, group.box_space_wh, group.box_origin) == (
        "sgg",
        (200, 100),
        (1000, 1000),
        (0.5, 0.25),
    )
    assert json.loads(group.objects)[1] == {"id": "horse.2", "bbox": [100, 50, 200, 100]}
    assert json.loads(group.relationships)[0]["predicate"] == "sitting on"
    assert (found.dataset, found.predicates, found.rewards) == ("data/shapes", ("sitting-on", "near"), None)


def test_an_open_vocabulary_is_what_is_annotated(make_folder: FolderMaker) -> None:
    found = load_answer_groups(make_folder(["a"], [make_answer("a")], vocabulary=False))
    assert found.predicates == ("sitting on",)


def test_one_file_is_read_alone(make_folder: FolderMaker) -> None:
    folder = make_folder(["a", "b"], [make_answer("a", "of this file")])
    with AnswersFile(folder, "answers-host-1.jsonl") as file:
        file.append([make_answer("a", "of the other"), make_answer("b")])
    assert [group.texts for group in load_answer_groups(folder / ANSWERS_FILE).groups] == [("of this file",)]
    found = load_answer_groups(folder / "answers-host-1.jsonl").groups
    assert [group.texts for group in found] == [("of the other",), ("{}",)]


def test_what_is_left_out_is_counted(make_folder: FolderMaker) -> None:
    unasked = replace(make_answer("b"), samples=(), error="no picture")
    folder = make_folder(["a", "b"], [make_answer("a"), unasked, make_answer("z")])
    with (folder / ANSWERS_FILE).open("a", encoding="utf-8") as file:
        file.write("no answer\n")
    expected = (
        "1 lines hold no answer",
        "1 images could not be asked about",
        "1 answers are about images that are not in the split",
    )
    assert load_answer_groups(folder).passed_over == expected
    assert load_answer_groups(folder / ANSWERS_FILE).passed_over == expected


def test_rollouts_of_a_run_bring_its_rewards(tmp_path: Path) -> None:
    answers = tuple(RolloutAnswer(text, 1, None, "no_json", {}, {"x": 0.0}, 0.0, 0.0) for text in ("a", "b"))
    truth = make_truth("im")
    rollout = Rollout(3, "im", "rollouts/0a.jpg", (200, 100), "sgg", truth.graph, answers, (1000, 1000))
    append_row(rollout_to_row(rollout), tmp_path / ROLLOUTS_FILE)
    record = {"dataset": "data/shapes", "recipe": {"rewards": {"edge_f1_reward": 2.0}, "similarity": "exact"}}
    (tmp_path / "run.yaml").write_text(dump_yaml(record), encoding="utf-8")
    for path in (tmp_path, tmp_path / ROLLOUTS_FILE):
        found = load_answer_groups(path)
        assert [(group.step, group.texts) for group in found.groups] == [(3, ("a", "b"))]
        assert found.groups[0].box_space_wh == (1000, 1000)
        assert (found.dataset, found.rewards, found.similarity) == ("data/shapes", {"edge_f1_reward": 2.0}, "exact")
        assert found.predicates == ("sitting on",)


def test_what_cannot_be_scored_is_one_line(make_folder: FolderMaker, tmp_path: Path) -> None:
    with pytest.raises(AnswersError, match="is no folder of answers, nor a file in one"):
        load_answer_groups(tmp_path)
    with pytest.raises(AnswersError, match=r"no answers at `.*none`; "):
        load_answer_groups(tmp_path / "none")
    folder = make_folder(["a"], [make_answer("z")])
    with pytest.raises(AnswersError, match="holds no answer to an image of its ground truth"):
        load_answer_groups(folder)
    save_run({**load_run(folder), "annotated": False}, folder)
    with pytest.raises(AnswersError, match="pictures without annotations"):
        load_answer_groups(folder)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ROLLOUTS_FILE).touch()
    with pytest.raises(AnswersError, match="holds no rollout yet"):
        load_answer_groups(tmp_path / "run")
