"""No answer that says nothing, too much or the same again is worth as much as the truth, in no shipped recipe."""

import json
from random import Random
from typing import Any

import pytest

from r1sgg_cli.config.layers import validated
from r1sgg_cli.config.recipes import load_recipe, shipped_recipes
from r1sgg_cli.config.schema import GRPORecipe, Task
from r1sgg_cli.data.prompts import QUESTIONS
from r1sgg_cli.rewards import REWARDS
from r1sgg_cli.rewards.adversaries import HONEST, KINDS, adversarial_answers
from r1sgg_cli.rewards.chosen import chosen_rewards
from r1sgg_cli.rewards.workbench import AnswerGroup, adversarial_table
from r1sgg_cli.scene_graph.graph import graph_from_rows
from r1sgg_cli.scene_graph.parse import parse_answer
from r1sgg_cli.scene_graph.similarity import exact_similarity
from r1sgg_cli.scene_graph.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary("vg150")
COUNTS = {predicate: 1 + 1000 // rank for rank, predicate in enumerate(VOCABULARY.predicates, start=1)}
RECALL_ONLY = {"grpo", "grpo-predefined", "grpo-relax", "grpo-soft", "grpo-lora", "grpo-qlora", "demo-grpo"}
"""The published settings and what stands on them; README says that spam costs nothing there."""
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
            assert row.lead >= -1e-9, kind
            spams = kind in ("box spam", "predicate spam", "duplicates")
            assert not row.pays or (name in RECALL_ONLY and spams), kind


@pytest.mark.parametrize("name", REWARDS)
def test_no_reward_by_itself_gives_more_than_the_truth_earns(name: str) -> None:
    assert all(row.lead >= -1e-9 for row in table_of({name: 1.0}).values())


@pytest.mark.parametrize("name", ["edge_f1_reward", "object_f1_reward"])
def test_rewards_of_precision_do_not_pay_for_spam(name: str) -> None:
    table = table_of({name: 1.0})
    kind = "predicate spam" if name == "edge_f1_reward" else "box spam"
    assert table[kind].total < 0.25 * table[HONEST].total


def test_recall_alone_pays_for_every_predicate_on_every_pair() -> None:
    table = table_of({"edge_hard_reward": 1.0})
    assert table["predicate spam"].pays
    assert not table["empty graph"].pays


@pytest.mark.parametrize("task", ["det", "cls"])
def test_other_tasks_have_their_own_answers(task: Task) -> None:
    names = ("object_f1_reward",) if task == "det" else ("edge_f1_reward",)
    table = table_of(dict.fromkeys((*names, "format_reward"), 1.0), task)
    left_out = {"det": {"predicate spam"}, "cls": {"box spam", "NaN boxes"}}[task]
    assert list(table) == [kind for kind in KINDS if kind not in left_out]
    assert not any(row.pays for row in table.values())
    assert table[HONEST].total == pytest.approx(3 if task == "det" else 6)


def test_answers_say_what_their_kind_says() -> None:
    group = make_groups(number=1)[0]
    truth = graph_from_rows(json.loads(group.objects), json.loads(group.relationships), (400, 200))
    texts = adversarial_answers(truth, ("on", "near"), QUESTIONS["sgg"], "sgg")
    read = {kind: parse_answer(text, (400, 200)) for kind, text in texts.items() if kind != "copied prompt"}
    sizes = {kind: (len(answer.graph.names), len(answer.graph.triplets)) for kind, answer in read.items()}
    assert sizes[HONEST] == (8, 9)
    assert sizes["empty graph"] == sizes["NaN boxes"] == (0, 0)
    assert sizes["box spam"] == (8 + 6 * 49, 9)
    assert sizes["predicate spam"][1] >= 8 * 7 * 2
    assert sizes["duplicates"] == (16, 18)
    assert read[HONEST].tagged
    assert read["truncated"].defects["truncated"] == 1
