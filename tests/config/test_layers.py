"""YAML files that stand on each other, and `--set` on top of them."""

from pathlib import Path

import pytest

from r1sgg_cli.config.layers import merge, parse_overrides
from r1sgg_cli.config.recipes import load_recipe
from r1sgg_cli.errors import ConfigError


def test_mappings_merge_and_all_else_is_replaced() -> None:
    base = {"a": {"x": 1, "y": [1, 2]}, "b": 1}
    assert merge(base, {"a": {"y": [3]}, "b": {"z": 0}}) == {"a": {"x": 1, "y": [3]}, "b": {"z": 0}}


def test_a_recipe_that_extends_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="extends itself"):
        load_recipe(str(tmp_path / "a.yaml"))


def test_overrides_are_yaml_and_nest() -> None:
    assert parse_overrides(["learning_rate=3e-7", "trainer.loss_type=grpo", "rewards.edge_reward=1"]) == {
        "learning_rate": 3e-7,
        "trainer": {"loss_type": "grpo"},
        "rewards": {"edge_reward": 1},
    }
