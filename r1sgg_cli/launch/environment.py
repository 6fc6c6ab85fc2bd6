"""What a job script sets up before it works: modules, an environment or a container, variables, a scratch disk."""

from collections.abc import Iterable
from pathlib import Path

from r1sgg_cli.errors import LaunchError
from r1sgg_cli.launch.job import LOGS, Job
from r1sgg_cli.launch.shell import looked_up, quoted

_SET_U_OFF = "set +u # scripts of modules and environments read variables that are not set"
_HAS_MODULE = (
    "if ! type module >/dev/null 2>&1; then",
    "  # shellcheck source=/dev/null",
    "  source /etc/profile",
    "fi",
)
_ON_SCRATCH = {
    "TMPDIR": "tmp",
    "TRITON_CACHE_DIR": "triton",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TORCH_EXTENSIONS_DIR": "torch-extensions",
    "VLLM_CACHE_ROOT": "vllm",
}


def environment_lines(job: Job) -> list[str]:
    """For the script itself; what it sets, the steps inherit."""
    environment, lines = job.preset.environment, []
    if environment.modules:
        loads = [f"module load {quoted(module)}" for module in environment.modules]
        lines += [_SET_U_OFF, *_HAS_MODULE, "module purge", *loads, "set -u"]
    if environment.container is None and environment.activate is None:
        lines.append(f'export PATH={quoted(str(job.bin_dir))}:"$PATH"')
    if environment.container is None:
        lines += _activation(job)
    lines += [f"export {name}={quoted(value)}" for name, value in _variables(job).items()]
    return [*lines, f"cd {quoted(str(job.work_dir))}"]


def node_environment_lines(job: Job) -> list[str]:
    """For each node: what is found only there, or only inside a container."""
    return [*_scratch(job), *(_activation(job) if job.preset.environment.container else [])]


def _activation(job: Job) -> list[str]:
    if job.preset.environment.activate is None:
        return []
    folder = looked_up(job.preset.environment.activate)
    return [
        _SET_U_OFF,
        f"if [ -d {folder}/conda-meta ]; then",
        f'  export CONDA_PREFIX={folder} PATH={folder}/bin:"$PATH"',
        f"  for script in {folder}/etc/conda/activate.d/*.sh; do",
        "    # shellcheck source=/dev/null",
        '    if [ -e "$script" ]; then source "$script"; fi',
        "  done",
        "else",
        "  # shellcheck source=/dev/null",
        f"  source {folder}/bin/activate",
        "fi",
        "set -u",
    ]


def _variables(job: Job) -> dict[str, str]:
    environment = job.preset.environment
    variables = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
    variables["OMP_NUM_THREADS"] = str(job.preset.slurm.cpus_per_gpu)
    if job.kind == "torchrun" and job.gpus_per_node:  # a collective that hangs is put on record, with its stack
        variables |= {"TORCH_NCCL_DUMP_ON_TIMEOUT": "1", "TORCH_FR_BUFFER_SIZE": "2000"}
        variables["TORCH_FR_DUMP_TEMP_FILE"] = str(job.folder / LOGS / "nccl-rank")
    if environment.offline:
        variables["HF_HUB_OFFLINE"] = "1"
    if environment.container is not None:
        variables |= {name: str(folder) for name, folder in job.hub_folders.items()}
    return variables | environment.variables


def _scratch(job: Job) -> list[str]:
    environment = job.preset.environment
    if environment.scratch is None:
        return []
    folders = {name: folder for name, folder in _ON_SCRATCH.items() if name not in environment.variables}
    return [
        f'local scratch={looked_up(environment.scratch)}/"r1sgg-$UID"',
        *(f'mkdir -p "$scratch/{folder}"; export {name}="$scratch/{folder}"' for name, folder in folders.items()),
    ]


def container_argv(job: Job) -> list[str]:
    """What stands between `srun` and a node's command. Raises `LaunchError`."""
    container = job.preset.environment.container
    if container is None:
        return []
    folders = (job.work_dir, job.folder, *job.hub_folders.values(), *job.mounts)
    own = [f"{path}:{path}" for path in _mountable(folders)]
    mounts = tuple(dict.fromkeys((*own, *container.mounts)))
    if container.engine == "pyxis":
        image = [f"--container-image={container.image}", f"--container-mounts={','.join(mounts)}"]
        return [*image, f"--container-workdir={job.work_dir}"]
    binds = [word for mount in mounts for word in ("--bind", mount)]
    return ["apptainer", "exec", "--nv", *binds, "--pwd", str(job.work_dir), container.image]


def _mountable(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if "," in str(path) or ":" in str(path):
            raise LaunchError(f"`{path}` cannot be mounted into a container; rename it, without `,` and `:`")
        yield path
