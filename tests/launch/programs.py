"""Stand-in programs on PATH, which print what the real ones print."""

import shlex
from pathlib import Path

A100 = "GPU-5a1b0c1e-66a4-2c53-0f5b-7d1f6a3b9c01, NVIDIA A100-SXM4-80GB, 81920, 569, 580.95.05, 8.0, Disabled"
A100_SECOND = "GPU-9c2d1e3f-1111-2c53-0f5b-7d1f6a3b9c02, NVIDIA A100-SXM4-80GB, 81920, 569, 580.95.05, 8.0, Disabled"
RTX4090 = "GPU-31415926-5358-9793-2384-626433832795, NVIDIA GeForce RTX 4090, 24564, 428, 580.95.05, 8.9, [N/A]"
V100 = "GPU-27182818-2845-9045-2353-602874713526, Tesla V100-SXM2-32GB, 32768, 268, 535.104.05, 7.0, [N/A]"
A100_SLICED = A100.replace("Disabled", "Enabled")
NO_DEVICES = "No devices were found"
NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running."
)


def put_program(folder: Path, name: str, output: str = "", *, error: str = "", code: int = 0) -> None:
    """An executable that prints `output` and `error` and exits with `code`, without another program's help."""
    lines = ["#!/bin/sh", f"printf '%s\\n' {shlex.quote(output)}", f"printf '%s' {shlex.quote(error)} >&2"]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("\n".join([*lines, f"exit {code}", ""]), encoding="utf-8")
    path.chmod(0o755)


def put_cards(folder: Path, *cards: str) -> None:
    """An `nvidia-smi` that shows these cards."""
    put_program(folder, "nvidia-smi", "\n".join(cards))


def put_script(folder: Path, name: str, code: str) -> None:
    """An executable of bash lines."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/bash\n{code}\n", encoding="utf-8")
    path.chmod(0o755)


SBATCH = """\
if [ "$1" = --test-only ]; then exit 0; fi
echo "sbatch $*" >>{calls}
case "$*" in *refused*) echo "sbatch: error: invalid account" >&2; exit 1 ;; esac
grep -c ^sbatch {calls}
"""


def put_slurm(folder: Path, calls: Path) -> None:
    """Slurm's commands, which write into `calls` how they were called: ids count up, jobs are in the state `$STATE`.

    A script whose path holds `refused` is.
    """
    put_script(folder, "sbatch", SBATCH.format(calls=calls))
    put_script(folder, "scontrol", 'echo "JobId=$4 JobName=x UserId=ana(1) JobState=${STATE:-RUNNING} Reason=None"')
    put_script(folder, "scancel", f'echo "scancel $*" >>{calls}')
