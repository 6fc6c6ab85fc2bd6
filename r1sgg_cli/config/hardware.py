"""The schema of a preset: what a run runs on, and never what it learns.

Times and memory are strings or numbers with their unit in the name; a field that a cluster does not need stays empty.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator, model_validator

from r1sgg_cli.config.schema import Precision, Sharding, Strict

ShardingChoice = Literal["auto", Sharding]
"""`auto` leaves it to the plan: the first of ddp, zero2, zero3, zero3-offload whose forecast fits."""
RolloutChoice = Literal["transformers", "colocated", "servers"]
"""Who samples GRPO's answers: a training process by `generate`; a vLLM in each of them; vLLM servers on other GPUs."""
_TIME = r"(\d+-)?\d{1,3}:\d{2}:\d{2}"


class Gpu(Strict):
    """One card of a preset."""

    name: str
    memory_gib: PositiveFloat
    """What a process can allocate, a little below what the name says."""
    bf16_tflops: PositiveFloat | None = None
    """Dense peak with float32 accumulation, from the maker's data sheet; None where it is not known."""
    fp8: bool = False
    """Whether it multiplies in FP8: compute capability 8.9 or newer."""


class Servers(Strict):
    """vLLM servers that sample for GRPO on GPUs that do not train."""

    num_nodes: PositiveInt = 1
    """The first so many nodes have servers."""
    per_node: PositiveInt = 1
    tensor_parallel: PositiveInt = 1
    """GPUs of one server: the first `per_node * tensor_parallel` of each of these nodes."""


class Slurm(Strict):
    """What a cluster wants to be told."""

    account: str | None = None
    partition: str | None = None
    qos: str | None = None
    constraint: str | None = None
    exclude: str | None = None
    """Nodes to avoid, as Slurm lists them: `n[3,7-9]`."""
    reservation: str | None = None
    gpu_type: str | None = None
    """As `sinfo -o %G` names it, where one partition has several types."""
    cpus_per_gpu: PositiveInt = 8
    memory_gib: NonNegativeInt = 0
    """Of a whole node's job; 0 is all of it."""
    time_limit: str = "24:00:00"
    """`HH:MM:SS` or `D-HH:MM:SS`, with quotes or without."""
    mail_user: str | None = None
    mail_type: str = "END,FAIL,REQUEUE"
    signal_seconds: PositiveInt = 600
    """How long before the time limit a run is asked to save and stop."""
    max_requeues: NonNegativeInt = 20
    """How often a job that ran out of time or was preempted goes back to the queue."""
    exclusive: bool = False

    @field_validator("time_limit", mode="before")
    @classmethod
    def time_limit_is_a_time(cls, value: object) -> str:
        """Slurm would take any number for minutes."""
        if not isinstance(value, str) or not re.fullmatch(_TIME, value):
            raise ValueError("write a time limit as HH:MM:SS or D-HH:MM:SS")
        return value

    @model_validator(mode="after")
    def there_is_time_before_the_signal(self) -> Self:
        """Else each start would be told at once to stop, and go back to the queue after one step."""
        days, _, clock = self.time_limit.rpartition("-")
        hours, minutes, seconds = (int(part) for part in clock.split(":"))
        total = ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
        if total <= self.signal_seconds + 60:
            raise ValueError(
                f"`time_limit` {self.time_limit} is not longer than the {self.signal_seconds} s of notice "
                "and a minute; raise it, or lower `signal_seconds`"
            )
        return self


class Container(Strict):
    """An image in which each task of a job runs; without one, tasks run in the environment of the submitting shell."""

    engine: Literal["pyxis", "apptainer"]
    """`pyxis`: `srun --container-image`; `apptainer`: `apptainer exec --nv`."""
    image: str
    mounts: tuple[str, ...] = ()
    """`HOST:CONTAINER` pairs beside the working folder, the run's folder and the hub's cache, which are mounted."""


class Environment(Strict):
    """What a job sets up before it works; all of it is data, nothing is a line of shell."""

    modules: tuple[str, ...] = ()
    """For `module load`, in this order, after `module purge`."""
    activate: str | None = None
    """A virtual environment's folder, or a conda environment's; that of the submitting command when not given."""
    container: Container | None = None
    scratch: str | None = None
    """A fast disk of the node for caches and temporary files; `$NAME` is looked up in the job."""
    offline: bool = False
    """Compute nodes have no network: models and data are fetched before submitting; jobs run with HF_HUB_OFFLINE=1."""
    variables: dict[str, str] = Field(default_factory=dict)
    """More environment variables. Never a secret: the hub's and loggers' own files and variables are inherited."""

    @field_validator("variables")
    @classmethod
    def variables_can_be_written_down(cls, variables: dict[str, str]) -> dict[str, str]:
        """What stands here is written into job scripts: names are names, and nothing is a secret."""
        for name in variables:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise ValueError(f"`{name}` is no name of an environment variable; use letters, digits and `_`")
            looks_secret = re.fullmatch(r"(hf_|sk-|ghp_)\w{16,}|[0-9a-f]{40}", variables[name]) is not None
            if looks_secret or any(word in name.upper() for word in ("TOKEN", "API_KEY", "SECRET", "PASSWORD")):
                raise ValueError(
                    f"`{name}` looks like a secret and would be written into a job script; "
                    "export it in the shell that submits, or use the tool's own login"
                )
        return variables


class Preset(Strict):
    """A GPU profile."""

    name: str
    description: str
    gpu: Gpu | None = None
    """None: the CPU."""
    num_nodes: PositiveInt = 1
    gpus_per_node: NonNegativeInt = 0
    processes_per_node: PositiveInt = 1
    """Training processes of a node without GPUs; with GPUs there is one for each."""
    host_memory_gib: PositiveFloat = 256
    """Of a node, for what is offloaded."""
    precision: Precision = "bf16"
    sharding: ShardingChoice = "auto"
    rollouts: RolloutChoice = "transformers"
    servers: Servers | None = None
    gpu_memory_utilization: Annotated[float, Field(gt=0, lt=1)] | None = None
    """vLLM's share of a GPU's memory; computed when not given."""
    max_micro_batch: PositiveInt = 16
    """Sequences in one forward pass at most; the plan takes the most that fit and divide the batch."""
    step_timeout_minutes: PositiveFloat = 60
    """A run in which no step ends for so long says where it hangs and ends: a node may be gone."""
    slurm: Slurm = Slurm()
    environment: Environment = Environment()

    @property
    def num_gpus(self) -> int:
        """Of all nodes."""
        return self.num_nodes * self.gpus_per_node

    @property
    def trainers_per_node(self) -> tuple[int, ...]:
        """Training processes of each node; where servers sample, fewer on the first ones."""
        each, servers = self.gpus_per_node or self.processes_per_node, self.servers
        taken = servers.per_node * servers.tensor_parallel if servers else 0
        with_servers = servers.num_nodes if servers else 0
        return tuple(each - taken if node < with_servers else each for node in range(self.num_nodes))

    @model_validator(mode="after")
    def gpus_are_described(self) -> Self:
        """A preset with GPUs says which, one without has one node."""
        if (self.gpu is None) != (self.gpus_per_node == 0):
            raise ValueError("`gpu` and `gpus_per_node` belong together: give both, or neither for the CPU")
        return self

    @model_validator(mode="after")
    def servers_leave_gpus_to_train(self) -> Self:
        """Rollout servers are described where they are used, and some GPU trains."""
        if (self.rollouts == "servers") != (self.servers is not None):
            raise ValueError("`rollouts: servers` and `servers: {…}` belong together")
        if self.servers is not None:
            taken = self.servers.per_node * self.servers.tensor_parallel
            if self.servers.num_nodes > self.num_nodes or taken > self.gpus_per_node:
                raise ValueError(f"servers need {taken} GPUs on {self.servers.num_nodes} nodes, more than there are")
            if self.servers.num_nodes == self.num_nodes and taken == self.gpus_per_node:
                raise ValueError("servers take every GPU, and none is left to train on")
        return self
