"""`r1sgg score`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from r1sgg_cli.inference.answer_groups import AnswerGroups
    from r1sgg_cli.rewards.batch import RewardFunction
    from r1sgg_cli.rewards.workbench import Adversary, AnswerGroup, Scored

FORMAT = "r1sgg-scores"
"""How each line of a file of scores begins, so that nothing else is ever replaced."""


def score(
    answers: Annotated[
        Path,
        typer.Argument(
            metavar="ANSWERS",
            help="A folder that `r1sgg infer` or `r1sgg grpo` filled, or one `answers-*.jsonl` of it.",
        ),
    ],
    rewards: Annotated[
        str | None,
        typer.Option(
            "--rewards", metavar="A,B,…", help="Rewards by name, also your own as `module:function`; each weighs 1."
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option("--recipe", "-r", help="Rewards, weights and similarity of a recipe, by name or as a .yaml file."),
    ] = None,
    similarity: Annotated[
        str | None,
        typer.Option(help="How labels are compared: `exact`, `spacy`, …; the recipe's, else `exact`."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset", "-d", help="Whose training statistics weigh predicates; that of the answers when not given."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write each answer's values here, a JSON line each.")
    ] = None,
    adversaries: Annotated[
        int, typer.Option("--adversaries", min=0, help="Images for which degenerate answers are made; 0: none.")
    ] = 50,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with code 1 where a degenerate answer earns as much as the truth.")
    ] = False,
) -> None:
    """Try rewards on answers that are there: what they pay for, what a group could learn from them, what they cost.

    Then it makes answers that should not pay, such as an empty graph or every predicate on every pair, and says which
    do. A GRPO run's own rollouts are scored with its own rewards, where none are named. Needs no GPU.

    Example: r1sgg score answers-8 --recipe grpo-f1
    """
    from r1sgg_cli.errors import ConfigError
    from r1sgg_cli.files import insist_on_own
    from r1sgg_cli.inference.answer_groups import load_answer_groups
    from r1sgg_cli.rewards.workbench import score_groups

    if strict and not adversaries:
        raise ConfigError(
            "`--strict` judges degenerate answers, and `--adversaries 0` makes none: leave one of them out"
        )
    if out is not None:
        insist_on_own(out, FORMAT)
    found = load_answer_groups(answers)
    weights, functions = _rewards(found, rewards, recipe, similarity, dataset)
    scored = score_groups(found.groups, functions)
    console = Console()
    _tell_values(found, scored, weights, out, console)
    if adversaries:
        table = _adversaries(found, functions, weights, adversaries)
        if _tell_what_pays(table, scored, strict, console) and strict:
            raise typer.Exit(1)


def _rewards(
    found: AnswerGroups, named: str | None, recipe: str | None, similarity: str | None, dataset: str | None
) -> tuple[Mapping[str, float], Sequence[RewardFunction]]:
    """Name → weight, and the functions. Raises `R1SGGError`."""
    from r1sgg_cli.config.reward_names import check_names, needs_statistics
    from r1sgg_cli.data.statistics import load_train_statistics
    from r1sgg_cli.errors import ConfigError
    from r1sgg_cli.rewards.chosen import chosen_rewards
    from r1sgg_cli.scene_graph.similarity import load_similarity

    weights, compared_by = _named(found, named, recipe)
    check_names(weights)
    counts = None
    if needs_statistics(weights):
        asked = dataset or found.dataset
        if asked is None:
            raise ConfigError("no record says of which data set the answers are; name it with `--dataset`")
        counts = load_train_statistics(asked).predicates
    return weights, chosen_rewards(weights, load_similarity(similarity or compared_by or "exact"), counts)


def _named(found: AnswerGroups, named: str | None, recipe: str | None) -> tuple[Mapping[str, float], str | None]:
    """Name → weight, and by what labels are compared where that is said. Raises `ConfigError`."""
    from r1sgg_cli.config.layers import validated
    from r1sgg_cli.config.recipes import insist_on_stage, load_recipe
    from r1sgg_cli.config.schema import GRPORecipe, GRPORun
    from r1sgg_cli.errors import ConfigError

    if named is not None and recipe is not None:
        raise ConfigError("`--rewards` and `--recipe` both say what counts; leave one of them out")
    if named is not None:
        names = [name.strip() for name in named.split(",") if name.strip()]
        if not names:
            raise ConfigError("`--rewards` names none; write `--rewards edge_f1_reward,object_f1_reward`")
        return dict.fromkeys(names, 1.0), None
    if recipe is not None:
        insist_on_stage(GRPORun, recipe, own := load_recipe(recipe))
        loaded = validated(GRPORecipe, own)
        return loaded.rewards, loaded.similarity
    if not found.rewards:
        raise ConfigError("say what counts: `--rewards edge_f1_reward,object_f1_reward`, or `--recipe grpo-f1`")
    return found.rewards, found.similarity


def _tell_values(
    found: AnswerGroups, scored: Scored, weights: Mapping[str, float], out: Path | None, console: Console
) -> None:
    """Print what the rewards are worth on the answers that are there, and write each answer's values to `out`."""
    from r1sgg_cli.cli.scored import print_scored

    for said in found.passed_over:
        Console(stderr=True).print(f"[yellow]warning:[/] {escape(said)}", soft_wrap=True)
    print_scored(scored, weights, console)
    if out is not None:
        _save(found.groups, scored, weights, out)
        console.print(f"[bold]{escape(str(out))}[/]: {len(scored.values)} answers, a line each", soft_wrap=True)


def _adversaries(
    found: AnswerGroups, functions: Sequence[RewardFunction], weights: Mapping[str, float], number: int
) -> list[Adversary]:
    from r1sgg_cli.data.prompts import QUESTIONS
    from r1sgg_cli.rewards.workbench import adversarial_table

    annotated = {(group.image_id, group.task): group for group in found.groups if _says_something(group)}
    chosen = list(annotated.values())[:: max(1, len(annotated) // number)][:number]
    return adversarial_table(chosen, functions, weights, found.predicates, QUESTIONS) if chosen else []


def _tell_what_pays(table: Sequence[Adversary], scored: Scored, strict: bool, console: Console) -> bool:
    """Print what each degenerate answer earns; whether any pays.

    Raises `ConfigError` where `strict` would pass though nothing was looked at.
    """
    from r1sgg_cli.cli.scored import UNTRIED, is_tried, print_adversaries
    from r1sgg_cli.errors import ConfigError

    if strict and not is_tried(table):
        raise ConfigError(
            f"{UNTRIED}; name rewards of what the answers list, or answers to images with annotations: `--strict` does "
            "not pass unseen"
        )
    print_adversaries(table, scored.names, console)
    return any(row.pays for row in table)


def _says_something(group: AnswerGroup) -> bool:
    """Whether its truth has what the task asks for; without it there is no honest answer that could be worth more."""
    return group.objects != "[]" and (group.task == "det" or group.relationships != "[]")


def _save(groups: Sequence[AnswerGroup], scored: Scored, weights: Mapping[str, float], out: Path) -> None:
    import json
    import math

    from r1sgg_cli.files import save_text

    def known(value: float) -> float | None:
        return None if math.isnan(value) else value

    places = [(group, number) for group in groups for number in range(len(group.texts))]
    lines = []
    for (group, number), values, total in zip(places, scored.values.tolist(), scored.total(weights), strict=True):
        row: dict[str, Any] = {"format": FORMAT, "image_id": group.image_id, "answer": number, "task": group.task}
        row |= {} if group.step is None else {"step": group.step}
        earned = {name: known(value) for name, value in zip(scored.names, values, strict=True)}
        lines.append(json.dumps(row | {"reward": known(float(total)), "rewards": earned}) + "\n")
    save_text("".join(lines), out)
