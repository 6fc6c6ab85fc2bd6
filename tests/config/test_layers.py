"""YAML files that stand on each other, and `--set` on top of them."""

from pathlib import Path

import pytest

from r1sgg_cli.config.layers import merge, parse_overrides
from r1sgg_cli.config.presets import load_preset
from r1sgg_cli.config.recipes import load_recipe
from r1sgg_cli.errors import ConfigError


def test_mappings_merge_and_all_else_is_replaced() -> None:
    base = {"a": {"x": 1, "y": [1, 2]}, "b": 1}
    assert merge(base, {"a": {"y": [3]}, "b": {"z": 0}}) == {"a": {"x": 1, "y": [3]}, "b": {"z": 0}}


@pytest.mark.parametrize("beside", ["", "../own/"], ids=["by its name", "by another path each time"])
def test_what_extends_itself_is_refused(tmp_path: Path, beside: str) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "a.yaml").write_text(f"extends: {beside}b.yaml\n", encoding="utf-8")
    (own / "b.yaml").write_text(f"extends: {beside}a.yaml\n", encoding="utf-8")
    for kind, load in (("recipe", load_recipe), ("preset", lambda name: load_preset(name, []))):
        with pytest.raises(ConfigError, match=f"{kind} `.*` extends itself through .*a.yaml -> .*b.yaml"):
            load(str(own / "a.yaml"))


def test_overrides_are_yaml_and_nest() -> None:
    assert parse_overrides(["learning_rate=3e-7", "trainer.loss_type=grpo", "rewards.edge_reward=1"]) == {
        "learning_rate": 3e-7,
        "trainer": {"loss_type": "grpo"},
        "rewards": {"edge_reward": 1},
    }
