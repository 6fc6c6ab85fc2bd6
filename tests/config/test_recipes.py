"""From files and `--set` to one validated run."""

from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.config.recipes import (
    FORMERLY,
    load_recipe,
    merge,
    parse_overrides,
    record_run,
    resolve_run,
    shipped_recipes,
    validated,
)
from r1sgg_cli.config.schema import GRPORecipe, GRPORun, SFTRecipe, SFTRun
from r1sgg_cli.config.yaml import dump_yaml, load_yaml
from r1sgg_cli.errors import ConfigError, OutputError


def sft_run(out: Path, *overrides: str, **options: Any) -> SFTRun:
    return resolve_run(SFTRun, None, overrides, model="m", dataset="d", out=out, precision="float32", **options)


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_is_valid(name: str) -> None:
    kind = GRPORecipe if "grpo" in name else SFTRecipe
    assert validated(kind, load_recipe(name)).max_steps


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


def test_mappings_merge_and_all_else_is_replaced() -> None:
    base = {"a": {"x": 1, "y": [1, 2]}, "b": 1}
    assert merge(base, {"a": {"y": [3]}, "b": {"z": 0}}) == {"a": {"x": 1, "y": [3]}, "b": {"z": 0}}


def test_a_recipe_stands_on_the_one_it_extends(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("learning_rate: 1e-6\ntrainer: {a: 1, b: 2}\n", encoding="utf-8")
    (tmp_path / "mine.yaml").write_text("extends: base.yaml\ntrainer: {b: 3}\n", encoding="utf-8")
    assert load_recipe(str(tmp_path / "mine.yaml")) == {"learning_rate": 1e-6, "trainer": {"a": 1, "b": 3}}


def test_a_recipe_that_extends_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="extends itself"):
        load_recipe(str(tmp_path / "a.yaml"))


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


def test_overrides_are_yaml_and_nest() -> None:
    assert parse_overrides(["learning_rate=3e-7", "trainer.loss_type=grpo", "rewards.edge_reward=1"]) == {
        "learning_rate": 3e-7,
        "trainer": {"loss_type": "grpo"},
        "rewards": {"edge_reward": 1},
    }


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
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


INPUTS = {"model": "aa", "dataset": None}


def test_a_run_that_has_begun_is_the_same_run_or_refused(tmp_path: Path) -> None:
    run = sft_run(tmp_path)
    record_run(run, tmp_path, INPUTS)
    (tmp_path / "checkpoint-1").mkdir()
    record_run(run, tmp_path, INPUTS)
    record_run(
        sft_run(tmp_path, micro_batch=2, report_to=["wandb"]), tmp_path, INPUTS
    )  # changes nothing that is learned
    other = sft_run(tmp_path, "learning_rate=1e-4")
    with pytest.raises(ConfigError, match=r"holds another run \(recipe.learning_rate: 1e-05 there, 0.0001 here\)"):
        record_run(other, tmp_path, INPUTS)
    with pytest.raises(ConfigError, match=r"inputs.model: aa there, bb here"):
        record_run(run, tmp_path, {**INPUTS, "model": "bb"})


def test_an_older_record_goes_on_where_the_run_does_the_same(tmp_path: Path) -> None:
    """A record from before tasks and long answers was of a run that asked for graphs and kept every answer whole."""
    run = sft_run(tmp_path, "long_answers=keep")
    record_run(run, tmp_path, INPUTS)
    record = load_yaml(tmp_path / "run.yaml")
    for field in FORMERLY:
        del record["recipe"][field]
    (tmp_path / "run.yaml").write_text(dump_yaml(record), encoding="utf-8")
    (tmp_path / "checkpoint-1").mkdir()
    record_run(run, tmp_path, INPUTS)
    with pytest.raises(ConfigError, match=r"another run \(recipe.long_answers: keep there, shorten here\)"):
        record_run(sft_run(tmp_path), tmp_path, INPUTS)
    with pytest.raises(ConfigError, match=r"recipe.tasks.det: None there, 1.0 here"):
        record_run(sft_run(tmp_path, "long_answers=keep", "tasks={sgg: 1, det: 1}"), tmp_path, INPUTS)


def test_a_run_without_a_checkpoint_may_still_be_corrected(tmp_path: Path) -> None:
    record_run(sft_run(tmp_path), tmp_path, INPUTS)
    record_run(sft_run(tmp_path, "learning_rate=1e-4"), tmp_path, INPUTS)
    assert "learning_rate: 0.0001" in (tmp_path / "run.yaml").read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot write"):
        record_run(sft_run(tmp_path / "file" / "run"), tmp_path / "file" / "run", INPUTS)
