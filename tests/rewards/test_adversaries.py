"""No answer that says nothing, too much or the same again is worth as much as the truth, in no shipped recipe."""

import json
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest

from r1sgg_cli.config.layers import validated
from r1sgg_cli.config.recipes import load_recipe, shipped_recipes
from r1sgg_cli.config.schema import GRPORecipe, Task
from r1sgg_cli.data.prompts import QUESTIONS
from r1sgg_cli.rewards import REWARDS
from r1sgg_cli.rewards.adversaries import COMPARED_WITH, HONEST, KINDS, ONE_GUESS, adversarial_answers
from r1sgg_cli.rewards.batch import read_truth
from r1sgg_cli.rewards.chosen import chosen_rewards
from r1sgg_cli.rewards.workbench import AnswerGroup, adversarial_table, score_groups
from r1sgg_cli.scene_graph.graph import graph_from_rows
from r1sgg_cli.scene_graph.parse import parse_answer
from r1sgg_cli.scene_graph.similarity import exact_similarity
from r1sgg_cli.scene_graph.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary("vg150")
COUNTS = {predicate: 1 + 1000 // rank for rank, predicate in enumerate(VOCABULARY.predicates, start=1)}
RECALL_ONLY = {"grpo", "grpo-predefined", "grpo-relax", "grpo-soft", "grpo-lora", "grpo-qlora", "demo-grpo"}
"""The published settings and what stands on them; README says that spam costs nothing there."""
LATER_RECIPES = ["grpo-f1", "grpo-mean-recall", "grpo-long-tail"]
"""Those that README says do not pay for more than is there."""
GRPO_RECIPES = [name for name in shipped_recipes() if "grpo" in name]


def make_groups(task: Task = "sgg", number: int = 3) -> list[AnswerGroup]:
    """Images of eight objects, two names among them twice, and nine relationships."""
    random = Random(7)
    groups = []
    for i in range(number):
        names = random.sample(VOCABULARY.objects, 6)
        objects: list[dict[str, Any]] = []
        for place, name in enumerate([*names, *names[:2]]):
            x, y = 70 * (place % 4), 100 * (place // 4)
            objects.append({"id": f"{name}.{place + 1}", "bbox": [x, y, x + random.randint(30, 110), y + 90]})
        pairs = random.sample([(a, b) for a in objects for b in objects if a is not b], 9)
        links = [
            {"subject": a["id"], "predicate": random.choice(VOCABULARY.predicates), "object": b["id"]} for a, b in pairs
        ]
        groups.append(
            AnswerGroup(str(i), task, ("",), json.dumps(objects), json.dumps(links), (400, 200), (1000, 1000))
        )
    return groups


def earned(name: str, guesses: Sequence[int], *, on_copies: bool = False) -> float:
    """What a recipe pays in the mean for answers that say these predicates in place of each annotated relationship.

    0 is the annotated predicate and others are wrong ones. With `on_copies` each but the first is said of objects of
    its own, moved by a few pixels from the annotated ones.
    """
    recipe = validated(GRPORecipe, load_recipe(name))
    answered = []
    for group in make_groups():
        truth = read_truth(group.objects, group.relationships, group.image_wh, group.box_space_wh)
        objects, links = truth.to_rows()
        ends = [f"0{place}" if on_copies and place else "" for place in range(len(guesses))]
        said = [
            {
                "subject": link["subject"] + end,
                "predicate": [link["predicate"], *(p for p in VOCABULARY.predicates if p != link["predicate"])][guess],
                "object": link["object"] + end,
            }
            for link in links
            for guess, end in zip(guesses, ends, strict=True)
        ]
        listed = [
            {"id": item["id"] + end, "bbox": [side + 9 * place for side in item["bbox"]]}
            for place, end in enumerate(ends if on_copies else ends[:1])
            for item in objects
        ]
        text = f"<think></think><answer>{json.dumps({'objects': listed, 'relationships': said})}</answer>"
        answered.append(replace(group, texts=(text,)))
    rewards = chosen_rewards(recipe.rewards, exact_similarity, COUNTS)
    return float(score_groups(answered, rewards).total(recipe.rewards).mean())


def table_of(weights: dict[str, float], task: Task = "sgg") -> dict[str, Any]:
    rewards = chosen_rewards(weights, exact_similarity, COUNTS)
    rows = adversarial_table(make_groups(task), rewards, weights, VOCABULARY.predicates, QUESTIONS)
    return {row.kind: row for row in rows}


@pytest.mark.parametrize("name", GRPO_RECIPES)
def test_no_shipped_recipe_pays_for_cheating(name: str) -> None:
    recipe = validated(GRPORecipe, load_recipe(name))
    table = table_of(recipe.rewards)
    for kind, row in table.items():
        if kind != HONEST:
            assert row.lead >= -1e-9 or (name in RECALL_ONLY and kind == "several guesses"), kind
            spams = kind in ("box spam", "predicate spam", "duplicates", "one more predicate", "several guesses")
            assert not row.pays or (name in RECALL_ONLY and spams), kind


@pytest.mark.parametrize("name", REWARDS)
def test_no_reward_by_itself_gives_more_than_the_truth_earns(name: str) -> None:
    assert all(row.lead >= -1e-9 for kind, row in table_of({name: 1.0}).items() if kind not in COMPARED_WITH)


@pytest.mark.parametrize("name", LATER_RECIPES)
@pytest.mark.parametrize("num_more", [1, 2, 3])
def test_each_wrong_predicate_beside_a_right_one_costs_something(name: str, num_more: int) -> None:
    assert earned(name, range(num_more + 1)) < 0.99 * earned(name, range(num_more))


@pytest.mark.parametrize("name", LATER_RECIPES)
@pytest.mark.parametrize("num_wrong", [1, 2, 3])
def test_a_right_guess_after_wrong_ones_adds_nothing(name: str, num_wrong: int) -> None:
    assert earned(name, [*range(1, num_wrong + 1), 0]) <= earned(name, [1])


@pytest.mark.parametrize("name", LATER_RECIPES)
@pytest.mark.parametrize("num_guesses", [2, 3, 4])
def test_guesses_on_copies_of_an_object_pay_less_than_one_of_them_by_lot(name: str, num_guesses: int) -> None:
    """Boxes are moved a little, so that no copy is a repetition and each could be the annotated object."""
    guesses = list(range(num_guesses))
    by_lot = np.mean([earned(name, [guess]) for guess in guesses])
    all_of_them = [earned(name, guesses[first:] + guesses[:first], on_copies=True) for first in guesses]
    assert np.mean(all_of_them) < 0.99 * by_lot


@pytest.mark.parametrize("name", ["edge_f1_reward", "object_f1_reward"])
def test_rewards_of_precision_do_not_pay_for_spam(name: str) -> None:
    table = table_of({name: 1.0})
    kind = "predicate spam" if name == "edge_f1_reward" else "box spam"
    assert table[kind].total < 0.25 * table[HONEST].total


def test_recall_alone_pays_for_every_predicate_on_every_pair() -> None:
    table = table_of({"edge_hard_reward": 1.0})
    assert table["predicate spam"].pays
    assert table["one more predicate"].pays
    assert table["several guesses"].pays
    assert table["several guesses"].lead == pytest.approx(-3 / 4 * 5)  # all of it for sure, not one time in four
    assert not table["empty graph"].pays


@pytest.mark.parametrize("task", ["det", "cls"])
def test_other_tasks_have_their_own_answers(task: Task) -> None:
    names = ("object_f1_reward",) if task == "det" else ("edge_f1_reward",)
    table = table_of(dict.fromkeys((*names, "format_reward"), 1.0), task)
    left_out = {
        "det": {"predicate spam", "one more predicate", ONE_GUESS, "several guesses"},
        "cls": {"box spam", "NaN boxes"},
    }[task]
    assert list(table) == [kind for kind in KINDS if kind not in left_out]
    assert not any(row.pays for row in table.values())
    assert table[HONEST].total == pytest.approx(3 if task == "det" else 6)


def test_answers_say_what_their_kind_says() -> None:
    group = make_groups(number=1)[0]
    truth = graph_from_rows(json.loads(group.objects), json.loads(group.relationships), (400, 200))
    texts = adversarial_answers(truth, ("on", "near", "in", "of"), QUESTIONS["sgg"], "sgg")
    read = {kind: parse_answer(text[-1], (400, 200)) for kind, text in texts.items() if kind != "copied prompt"}
    sizes = {kind: (len(answer.graph.names), len(answer.graph.triplets)) for kind, answer in read.items()}
    assert sizes[HONEST] == (8, 9)
    assert sizes["empty graph"] == sizes["NaN boxes"] == (0, 0)
    assert sizes["box spam"] == (8 + 6 * 49, 9)
    assert sizes["predicate spam"][1] >= 8 * 7 * 4
    assert sizes["one more predicate"] == (8, 18)
    assert sizes[ONE_GUESS] == (8, 9)
    assert sizes["several guesses"] == (8, 36)
    assert {kind for kind in texts if len(texts[kind]) > 1} == {ONE_GUESS, "several guesses"}
    assert sizes["duplicates"] == (16, 18)
    assert read[HONEST].tagged
    assert read["truncated"].defects["truncated"] == 1
