"""Presets are found by name, stand on each other, and say in one line what is wrong with them."""

from pathlib import Path
from typing import Any

import pytest

from r1sgg_cli.config.layers import SHIPPED
from r1sgg_cli.config.presets import known_presets, load_preset, preset_folders
from r1sgg_cli.errors import ConfigError

FOLDERS = [folder for folder in SHIPPED if folder.is_dir()]
NEEDED = [
    *["a100-4x", "a100-16x", "gh200-16x", "h100-8x", "h200-8x", "rtx4090-120x", "rtx3090-8x", "rtx4090-8x"],
    *["single-24gb", "cpu"],
]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", NEEDED)
def test_every_promised_preset_is_shipped(name: str) -> None:
    assert name in known_presets(FOLDERS)


@pytest.mark.parametrize("name", known_presets(FOLDERS))
def test_every_shipped_preset_is_valid_and_says_what_it_is(name: str) -> None:
    preset = load_preset(name, FOLDERS)
    assert preset.name == name
    assert preset.description
    if "-" in name and name.endswith("x"):
        assert preset.num_gpus == int(name.rsplit("-", 1)[1].removesuffix("x"))


def test_a_users_own_preset_of_a_shipped_name_adds_to_it(tmp_path: Path) -> None:
    write(tmp_path / ".config/r1sgg/presets/a100-16x.yaml", "slurm: {account: abc, partition: gpu}\n")
    preset = load_preset("a100-16x", preset_folders(tmp_path, tmp_path / "none"))
    assert (preset.slurm.account, preset.slurm.partition) == ("abc", "gpu")
    assert (preset.num_nodes, preset.slurm.time_limit) == (4, "24:00:00")


def test_a_users_own_file_of_a_parents_name_adds_to_the_parent(tmp_path: Path) -> None:
    write(tmp_path / ".config/r1sgg/presets/a100-4x.yaml", "slurm: {account: abc}\n")
    preset = load_preset("a100-16x", preset_folders(tmp_path, tmp_path / "none"))
    assert (preset.slurm.account, preset.num_gpus) == ("abc", 16)


def test_a_preset_beside_the_experiment_extends_a_shipped_one(tmp_path: Path) -> None:
    write(tmp_path / "mine.yaml", "extends: a100-16x\nnum_nodes: 2\n")
    folders = preset_folders(tmp_path / "home", tmp_path)
    assert load_preset("mine", folders).num_gpus == 8
    assert "mine" in known_presets(folders)


def test_a_preset_is_also_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "elsewhere" / "two.yaml", "extends: a100-16x\nnum_nodes: 2\n")
    assert load_preset(str(path), FOLDERS).name == "two"


def test_the_command_has_the_last_word() -> None:
    assert load_preset("a100-16x", FOLDERS, {"slurm": {"qos": "long"}, "num_nodes": 1}).slurm.qos == "long"


@pytest.mark.parametrize(
    ("name", "overrides", "trainers"),
    [
        ("a100-16x", {}, (4, 4, 4, 4)),
        ("rtx4090-8x", {}, (4,)),
        ("rtx4090-120x", {}, (4,) * 10 + (8,) * 5),
        ("cpu", {}, (1,)),
        ("cpu", {"processes_per_node": 2}, (2,)),
    ],
    ids=["one on each GPU", "beside a server", "the published fused layout: 80", "CPU", "two on a CPU"],
)
def test_training_processes_of_each_node(name: str, overrides: dict[str, Any], trainers: tuple[int, ...]) -> None:
    assert load_preset(name, FOLDERS, overrides).trainers_per_node == trainers


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"num_node": 2}, "no option `num_node`; did you mean `num_nodes`"),
        ({"slurm": {"acount": "x"}}, "no option `slurm.acount`; did you mean `slurm.account`"),
        ({"slurm": {"time_limit": 86400}}, "write a time limit as HH:MM:SS"),
        ({"slurm": {"time_limit": "00:05:00"}}, "`time_limit` 00:05:00 is not longer than the 600 s"),
        ({"slurm": {"time_limit": "2 days"}}, "write a time limit as HH:MM:SS"),
        ({"gpus_per_node": 0}, "`gpu` and `gpus_per_node` belong together"),
        ({"rollouts": "servers"}, "belong together"),
        ({"rollouts": "servers", "servers": {"num_nodes": 4, "tensor_parallel": 4}}, "none is left to train on"),
        ({"rollouts": "servers", "servers": {"tensor_parallel": 8}}, "servers need 8 GPUs"),
        ({"environment": {"variables": {"WANDB_API_KEY": "x"}}}, "looks like a secret"),
        ({"environment": {"variables": {"FOO": "hf_abcdefghijklmnopqrstuvwx"}}}, "looks like a secret"),
        ({"environment": {"container": {"engine": "docker", "image": "x"}}}, "'pyxis' or 'apptainer'"),
    ],
    ids=[
        "misspelt",
        "nested",
        "minutes",
        "no time left",
        "words",
        "no card",
        "no servers",
        "no trainer",
        "too many",
        "secret",
        "a secret's value",
        "engine",
    ],
)
def test_a_wrong_preset_is_one_line(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_preset("a100-16x", FOLDERS, overrides)


def test_an_unknown_name_names_the_closest(tmp_path: Path) -> None:
    write(tmp_path / "playbook.yaml", "- a list\n")
    write(tmp_path / "r1sgg.yaml", "preset: a100-16x\nmodel: m\n")
    folders = preset_folders(tmp_path / "home", tmp_path)
    with pytest.raises(ConfigError, match="no preset `a100-6x`; did you mean `a100-16x`"):
        load_preset("a100-6x", folders)
    assert not {"playbook", "r1sgg"} & set(known_presets(folders))


def test_a_preset_that_extends_itself_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "extends: b\n")
    write(tmp_path / "b.yaml", "extends: a\n")
    with pytest.raises(ConfigError, match="extends itself"):
        load_preset("a", [tmp_path])
