"""From files and `--set` to one validated run."""

from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.config.layers import validated
from r1sgg_cli.config.recipes import load_recipe, resolve_run, shipped_recipes
from r1sgg_cli.config.schema import GRPORecipe, GRPORun, SFTRecipe, SFTRun
from r1sgg_cli.errors import ConfigError


def sft_run(out: Path, *overrides: str, **options: Any) -> SFTRun:
    return resolve_run(SFTRun, None, overrides, model="m", dataset="d", out=out, precision="float32", **options)


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_is_valid(name: str) -> None:
    kind = GRPORecipe if "grpo" in name else SFTRecipe
    assert validated(kind, load_recipe(name)).learning_rate > 0


def test_defaults_are_the_published_settings() -> None:
    sft, grpo = SFTRecipe(), GRPORecipe()
    assert (sft.batch_size, sft.learning_rate, sft.num_epochs, sft.warmup, sft.max_grad_norm) == (
        128,
        1e-5,
        3,
        0.05,
        0.3,
    )
    assert (grpo.prompts_per_step, grpo.num_generations, grpo.learning_rate, grpo.num_epochs) == (32, 8, 6e-7, 1)
    assert (grpo.temperature, grpo.beta, grpo.max_new_tokens, grpo.max_pixels) == (1.0, 0.0, 1024, 512 * 28 * 28)


def test_sampling_is_not_truncated_by_default() -> None:
    assert (GRPORecipe().top_p, GRPORecipe().top_k) == (1.0, 0)


def test_a_recipe_stands_on_the_one_it_extends(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("learning_rate: 1e-6\ntrainer: {a: 1, b: 2}\n", encoding="utf-8")
    (tmp_path / "mine.yaml").write_text("extends: base.yaml\ntrainer: {b: 3}\n", encoding="utf-8")
    assert load_recipe(str(tmp_path / "mine.yaml")) == {"learning_rate": 1e-6, "trainer": {"a": 1, "b": 3}}


def test_rewards_are_those_that_were_named_last(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("rewards: {format_reward: 1, edge_reward: 1}\n", encoding="utf-8")
    overrides = ["rewards.node_acc_reward=1", "rewards.node_box_reward=2"]
    given: dict[str, Any] = {"model": "m", "dataset": "d", "out": tmp_path, "precision": "float32"}
    run = resolve_run(GRPORun, str(tmp_path / "mine.yaml"), overrides, **given)
    assert run.recipe.rewards == {"node_acc_reward": 1, "node_box_reward": 2}
    assert resolve_run(GRPORun, None, (), **given).recipe.rewards == {"format_reward": 1, "edge_hard_reward": 1}


def test_tasks_are_those_that_were_named_last(tmp_path: Path) -> None:
    assert sft_run(tmp_path).recipe.tasks == {"sgg": 1}
    assert sft_run(tmp_path, "tasks={det: 1, cls: 0.5}").recipe.tasks == {"det": 1, "cls": 0.5}
    assert sft_run(tmp_path, "tasks.det=1", "tasks.cls=2").recipe.tasks == {"det": 1, "cls": 2}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["evaluation.evry=100"], "no option `evaluation.evry`; did you mean `evaluation.every`"),
        (["evaluation=true"], "^evaluation: has options of its own, such as `evaluation.every=` .got `True`.$"),
        (["recipe.evaluation.every=10"], "leave `recipe.` out: `--set evaluation.every=10`"),
        (["lerning_rate=1"], "no option `lerning_rate`; did you mean `learning_rate`"),
        (["learning_rate=-1"], "learning_rate: .*greater than 0.*-1"),
        (["tasks={}"], "`tasks` names no task; there are sgg, det and cls"),
        (["tasks={sgg: 0}"], "tasks.sgg: .*greater than 0"),
        (["tasks={sg: 1}"], "tasks.sg: .*'sgg', 'det' or 'cls'"),
        (["think_prompt=user"], "`think` is off; set `think=true`"),
        (["long_answers=cut"], "long_answers: .*'shorten', 'drop' or 'keep'"),
        (["learning_rate"], "is not of the form key=value"),
        (["batch_size=6"], "`--micro-batch 4` does not divide the 6 examples of a step; `--micro-batch 3` does"),
    ],
    ids=[
        *["misspelt inside", "no options", "of the recipe"],
        *["misspelt", "out of range", "no task", "no weight", "unknown task", "no thoughts", "unknown word"],
        *["no value", "indivisible"],
    ],
)
def test_a_wrong_override_is_one_line_that_says_what_to_do(overrides: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        sft_run(tmp_path, *overrides)


def test_an_unknown_recipe_names_the_closest() -> None:
    with pytest.raises(ConfigError, match="did you mean `demo-sft`"):
        load_recipe("demo-stf")


def test_a_run_without_rewards_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="names no reward"):
        validated(GRPORecipe, {"rewards": {}})


def test_a_recipe_of_the_other_trainer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`demo-grpo` is a recipe for `r1sgg grpo` \(it names `prompts_per_step`\)"):
        resolve_run(SFTRun, "demo-grpo", (), model="m", dataset="d", out=tmp_path, precision="float32")
