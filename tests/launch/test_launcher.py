"""Where a preset starts on which machine: its own GPUs first, an allocation at hand, the queue last."""

from typing import Any

import pytest

from r1sgg_cli.config.layers import SHIPPED
from r1sgg_cli.config.presets import load_preset
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.launch.launcher import choose_launcher
from r1sgg_cli.launch.machine import Allocation, Card, Machine

FOLDERS = [folder for folder in SHIPPED if folder.is_dir()]


def machine(
    num_cards: int = 0, *, gib: float = 79.0, sbatch: bool = False, allocation: tuple[int, int] | None = None
) -> Machine:
    cards = (Card("NVIDIA A100-SXM4-80GB", gib, "570", (8, 0), False),) * num_cards
    held = Allocation("7", *allocation) if allocation else None
    return Machine("host", 8, 64.0, cards, None, sbatch, held)


@pytest.mark.parametrize(
    ("preset", "where", "launcher"),
    [
        pytest.param("cpu", machine(), "here", id="a CPU needs nothing"),
        pytest.param("single-24gb", machine(1), "here", id="one card: in this process"),
        pytest.param("a100-4x", machine(4, sbatch=True), "torchrun", id="the cards are here, though there is a queue"),
        pytest.param("a100-4x", machine(sbatch=True), "slurm", id="a login node"),
        pytest.param("a100-4x", machine(4, gib=78.2), "torchrun", id="a driver that reserves a little more"),
        pytest.param("a100-4x", machine(4, gib=39.0, sbatch=True), "slurm", id="smaller cards are left alone"),
        pytest.param("a100-16x", machine(4, sbatch=True), "slurm", id="four nodes are not here"),
        pytest.param("a100-16x", machine(4, allocation=(4, 4), sbatch=True), "allocation", id="inside salloc"),
        pytest.param("rtx4090-8x", machine(8, sbatch=True), "slurm", id="servers beside training need a job"),
    ],
)
def test_the_launcher_is_found_out(preset: str, where: Machine, launcher: str) -> None:
    assert choose_launcher(load_preset(preset, FOLDERS), where) == launcher


def test_several_processes_of_a_cpu_are_torchruns() -> None:
    assert choose_launcher(load_preset("cpu", FOLDERS, {"processes_per_node": 2}), machine()) == "torchrun"


@pytest.mark.parametrize(
    ("preset", "where", "wanted", "message"),
    [
        pytest.param(
            *("a100-16x", machine(), None),
            r"needs 4 nodes of 4 A100 80 GB \(79.0 GiB each\); this machine has no GPU",
            id="nothing",
        ),
        pytest.param("a100-4x", machine(2), None, "this machine has 2 NVIDIA A100", id="too few cards"),
        pytest.param(
            *("a100-4x", machine(4, gib=11.5), None),
            r"needs 4 A100 80 GB \(79.0 GiB each\); this machine has 4 NVIDIA A100-SXM4-80GB \(11.5 GiB each\)",
            id="too small cards",
        ),
        pytest.param(
            *("a100-4x", machine(4, gib=11.5), "torchrun"),
            "plans with 79.0 GiB on each GPU, a card of this machine has 11.5 GiB",
            id="too small cards that were asked for",
        ),
        pytest.param(
            *("a100-16x", machine(4, allocation=(1, 4), sbatch=True), None),
            "job 7 has 1 nodes × 4 GPUs, preset `a100-16x` needs 4 nodes.*`--launcher slurm` submits",
            id="an allocation too small is not left for the queue in silence",
        ),
        pytest.param("a100-4x", machine(), "slurm", "no `sbatch` on the PATH", id="no queue"),
        pytest.param("a100-4x", machine(4), "here", "4 processes; use `--launcher torchrun`", id="several processes"),
        pytest.param("a100-4x", machine(4), "allocation", "no Slurm allocation; `salloc`", id="no allocation"),
        pytest.param("a100-16x", machine(allocation=(2, 4)), "allocation", "job 7 has 2 nodes", id="too few nodes"),
        pytest.param("a100-16x", machine(4), "torchrun", "needs 4 nodes of 4 A100", id="one machine of four"),
    ],
)
def test_what_cannot_start_is_one_line(preset: str, where: Machine, wanted: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        choose_launcher(load_preset(preset, FOLDERS), where, wanted)
