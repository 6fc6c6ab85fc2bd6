"""Where a run starts: in this process, under torchrun here, in the Slurm allocation at hand, or in Slurm's queue."""

from typing import Literal, get_args

from r1sgg_cli.config.hardware import Preset
from r1sgg_cli.errors import ConfigError
from r1sgg_cli.launch.machine import Machine

Launcher = Literal["here", "torchrun", "allocation", "slurm"]
LAUNCHERS: tuple[Launcher, ...] = get_args(Launcher)
"""In the order in which they are preferred: a batch queue takes whatever it is given, and comes last."""

_AS_LARGE = 0.97
"""Of a preset's memory, in a card that passes for one of its own: drivers reserve more or less."""


def choose_launcher(preset: Preset, machine: Machine, wanted: Launcher | None = None) -> Launcher:
    """The launcher for a preset on this machine, or the one that is `wanted` if it can be used. Raises `ConfigError`.

    An allocation is used before the queue is asked, and this machine's own GPUs before either is.
    """
    if wanted is not None:
        if said := _obstacle(preset, machine, wanted):
            raise ConfigError(f"`--launcher {wanted}`: {said}")
        return wanted
    for launcher in LAUNCHERS:
        if launcher == "slurm" and machine.allocation is not None:
            raise ConfigError(f"{_allocation_lacks(preset, machine)}; `--launcher slurm` submits a job of its own")
        if _obstacle(preset, machine, launcher) is None:
            return launcher
    raise ConfigError(
        f"preset `{preset.name}` needs {_needs(preset)}; this machine has {_has(machine)} and no `sbatch`: run the "
        "same command on a cluster's login node, name a preset that fits (`r1sgg presets`), or add `--dry-run` to "
        "see the plan"
    )


def _obstacle(preset: Preset, machine: Machine, launcher: Launcher) -> str | None:
    """Why a launcher cannot start the preset; None if it can."""
    processes = sum(preset.trainers_per_node)
    if launcher == "slurm":
        return None if machine.has_sbatch else "there is no `sbatch` on the PATH"
    if launcher == "allocation":
        return _allocation_lacks(preset, machine)
    if preset.num_nodes > 1 or len(machine.cards) < preset.gpus_per_node:
        has = f"has {_has(machine)}" if preset.gpu else "is one"
        return f"preset `{preset.name}` needs {_needs(preset)}, this machine {has}"
    if too_small := _smaller_cards(preset, machine):
        return too_small
    if preset.servers is not None:
        return f"preset `{preset.name}` has rollout servers, which a Slurm job starts"
    if launcher == "here" and processes > 1:
        return f"preset `{preset.name}` trains with {processes} processes; use `--launcher torchrun`"
    return None


def _smaller_cards(preset: Preset, machine: Machine) -> str | None:
    if preset.gpu is None:
        return None
    smallest = min(card.memory_gib for card in machine.cards)
    if smallest >= _AS_LARGE * preset.gpu.memory_gib:
        return None
    return (
        f"preset `{preset.name}` plans with {preset.gpu.memory_gib:.1f} GiB on each GPU, a card of this machine has "
        f"{smallest:.1f} GiB"
    )


def _allocation_lacks(preset: Preset, machine: Machine) -> str | None:
    held = machine.allocation
    if held is None:
        return "this shell is in no Slurm allocation; `salloc` makes one"
    if held.num_nodes < preset.num_nodes or held.gpus_per_node < preset.gpus_per_node:
        has = f"{held.num_nodes} nodes × {held.gpus_per_node} GPUs"
        return f"job {held.job_id} has {has}, preset `{preset.name}` needs {_needs(preset)}"
    return None


def _needs(preset: Preset) -> str:
    nodes = f"{preset.num_nodes} nodes of " if preset.num_nodes > 1 else ""
    if preset.gpu is None:
        return "a CPU"
    return f"{nodes}{preset.gpus_per_node} {preset.gpu.name} ({preset.gpu.memory_gib:.1f} GiB each)"


def _has(machine: Machine) -> str:
    if not machine.cards:
        return "no GPU"
    smallest = min(machine.cards, key=lambda card: card.memory_gib)
    return f"{len(machine.cards)} {smallest.name} ({smallest.memory_gib:.1f} GiB each)"
