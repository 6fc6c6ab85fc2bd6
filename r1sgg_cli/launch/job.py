"""A job: one step of an experiment, what it runs on, and where its files are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from r1sgg_cli.config.hardware import Preset

JobKind = Literal["torchrun", "array", "single"]
"""Training on every GPU of the preset; `num_tasks` tasks that do the same with a GPU each; one task without a GPU."""

LOGS = "logs"
STOP_FILE = "stop"


@dataclass(frozen=True, slots=True)
class Job:
    """What is rendered and submitted; every path is absolute."""

    name: str
    kind: JobKind
    command: tuple[str, ...]
    """Arguments of `r1sgg`; every task of an array has the same."""
    folder: Path
    """The run's own; holds the job's script and its logs."""
    work_dir: Path
    """Where the command's relative paths begin."""
    preset: Preset
    bin_dir: Path
    """Where the submitting environment has `python`, `torchrun`, `r1sgg` and `vllm`."""
    hub_folders: Mapping[str, Path]
    """Where models and data from the hub are, by the variable that says so; mounted into a container."""
    finished_file: Path | None = None
    """What is there once nothing is left to do; without one, exit code 0 says so."""
    num_tasks: int = 1
    model: str | None = None
    """For rollout servers."""
    max_model_len: int | None = None
    """Tokens of a prompt and its answer at most, for rollout servers."""
    max_pixels: int | None = None
    """Pixels of an image at most, for rollout servers."""
    mounts: tuple[Path, ...] = ()
    """Folders beside `work_dir`, `folder` and `hub_folders` that the command reads or writes, for a container."""

    def __post_init__(self) -> None:
        files = () if self.finished_file is None else (self.finished_file,)
        for path in (self.folder, self.work_dir, self.bin_dir, *self.hub_folders.values(), *files, *self.mounts):
            assert path.is_absolute(), path
        assert self.num_tasks == 1 or self.kind == "array"
        assert self.model is not None or not self.has_servers

    @property
    def has_servers(self) -> bool:
        """Whether vLLM servers run beside the training."""
        return self.kind == "torchrun" and self.preset.servers is not None

    @property
    def num_nodes(self) -> int:
        """Nodes of one task."""
        return self.preset.num_nodes if self.kind == "torchrun" else 1

    @property
    def gpus_per_node(self) -> int:
        """GPUs of one task on each of its nodes."""
        if self.kind == "single":
            return 0
        return self.preset.gpus_per_node if self.kind == "torchrun" else min(1, self.preset.gpus_per_node)

    @property
    def stop_file(self) -> Path:
        """A training that finds it saves a checkpoint and ends."""
        return self.folder / STOP_FILE

    @property
    def log_pattern(self) -> str:
        """The log's name in `folder/logs`, with Slurm's own `%j`, or `%A_%a` in an array."""
        return "%A_%a.out" if self.kind == "array" else "%j.out"
