"""The whole batch script of a job.

1. Every value is quoted. What a cluster is told stands in directives, so that `sbatch job.sh` by hand does the same;
   what a job waits for does not: ids are known when submitting, and the script stays as it is.
2. `srun` calls one shell function on each node, handed over as text: a batch script is a file of the first node alone.
3. `bash job.sh` inside an allocation runs the same, and says what to do where a batch job would go to the queue.
"""

import re
from collections.abc import Iterator

from r1sgg_cli.errors import LaunchError
from r1sgg_cli.launch.ending import ending_lines, signal_lines
from r1sgg_cli.launch.environment import container_argv, environment_lines
from r1sgg_cli.launch.job import LOGS, Job
from r1sgg_cli.launch.node import function_lines, function_names, place_lines
from r1sgg_cli.launch.shell import Expanded, command_line, quoted

_PLAIN = re.compile(r"[\w@%+=:,./\[\]-]+", re.ASCII)
_SECONDS_TO_END = 60
"""The notice for what is not asked to stop but ended; Slurm may give up to a minute more."""


def render_sbatch(job: Job) -> str:
    """The job's script. Raises `LaunchError` for a value that no script can hold."""
    for value in _texts(job):
        if not value.isprintable():
            raise LaunchError(
                f"a job script cannot hold {value!r}: write it without line breaks and control characters"
            )
    parts = [
        ["#!/bin/bash", *_directives(job)],
        ["set -euo pipefail", *_values(job)],
        signal_lines(job),
        environment_lines(job),
        place_lines(job),
        function_lines(job),
        _step_lines(job),
        ending_lines(),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _texts(job: Job) -> Iterator[str]:
    """Every text that is the user's."""
    yield from (job.name, *job.command, job.model or "")
    hub = job.hub_folders.values()
    yield from map(str, (job.folder, job.work_dir, job.bin_dir, *hub, job.finished_file, *job.mounts))
    yield from (value for value in job.preset.slurm.model_dump().values() if isinstance(value, str))
    environment = job.preset.environment
    yield from (*environment.modules, *environment.variables.values())
    yield from (environment.activate or "", environment.scratch or "")
    if environment.container is not None:
        yield from (environment.container.image, *environment.container.mounts)


def _directives(job: Job) -> list[str]:
    slurm = job.preset.slurm
    gpus = f"{slurm.gpu_type}:{job.gpus_per_node}" if slurm.gpu_type else job.gpus_per_node
    options = {
        "job-name": job.name,
        "account": slurm.account,
        "partition": slurm.partition,
        "qos": slurm.qos,
        "constraint": slurm.constraint,
        "exclude": slurm.exclude,
        "reservation": slurm.reservation,
        "nodes": job.num_nodes,
        "ntasks-per-node": 1,
        "gpus-per-node": gpus if job.gpus_per_node else None,
        "cpus-per-task": slurm.cpus_per_gpu * max(1, job.gpus_per_node),
        "mem": _memory(job),
        "time": slurm.time_limit,
        "array": f"0-{job.num_tasks - 1}" if job.kind == "array" else None,
        "output": _output(job),
        "open-mode": "append",  # or a job that goes to the queue again erases its log
        "signal": f"B:USR1@{_notice_seconds(job)}",
        "mail-user": slurm.mail_user,
        "mail-type": slurm.mail_type if slurm.mail_user else None,
    }
    lines = [f"#SBATCH --{option}={_directive_value(value)}" for option, value in options.items() if value is not None]
    exclusive = ["#SBATCH --exclusive"] if slurm.exclusive and job.kind == "torchrun" else []
    return [*lines, *exclusive, "#SBATCH --requeue"]


def _memory(job: Job) -> str:
    """Of a node: what the preset says for a training, the share of one GPU for anything else."""
    whole = job.preset.slurm.memory_gib
    if job.kind == "torchrun":
        return f"{whole}G" if whole else "0"
    return f"{max(1, int((whole or job.preset.host_memory_gib) / max(1, job.preset.gpus_per_node)))}G"


def _notice_seconds(job: Job) -> int:
    notice = job.preset.slurm.signal_seconds
    return notice if job.kind == "torchrun" else min(notice, _SECONDS_TO_END)


def _output(job: Job) -> str:
    if "\\" in str(job.folder):
        raise LaunchError(f"`{job.folder}` holds a backslash, with which Slurm cannot name a log; use another folder")
    return f"{str(job.folder / LOGS).replace('%', '%%')}/{job.log_pattern}"


def _directive_value(value: object) -> str:
    """`value` as sbatch reads it: in double quotes unless it is plain, which also keep `#` from ending the line."""
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _values(job: Job) -> list[str]:
    log = "${SLURM_ARRAY_JOB_ID:-}_${SLURM_ARRAY_TASK_ID:-}.out" if job.kind == "array" else "$SLURM_JOB_ID.out"
    finished = f"[ -e {quoted(str(job.finished_file))} ]" if job.finished_file else "true"
    return [
        f"name={quoted(job.name)}",
        f"export folder={quoted(str(job.folder))}",
        f"max_requeues={job.preset.slurm.max_requeues}",
        f"is_finished() {{ {finished}; }}",
        "say() { printf 'r1sgg: %s\\n' \"$*\" >&2; }",
        f'mkdir -p "$folder/{LOGS}"',
        f'log="$folder/{LOGS}/{log}"',
        'if [ ! -e "$log" ]; then log="what is written above"; fi # inside an allocation',
        "trap 'say \"$name could not begin: $log says why; mend it and submit again\"' ERR",
    ]


def _step_lines(job: Job) -> list[str]:
    lines = ["trap - ERR", f'task="$(declare -f {function_names(job)}); on_node \\"\\$@\\""']
    if job.kind != "array":
        return [*lines, f"{_srun(job)} &", 'steps+=("$!")']
    return [
        *lines,
        f"tasks={job.num_tasks} # inside an allocation: all of them, as GPUs become free",
        'if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then tasks=1; fi',
        "for ((number = 0; number < tasks; number++)); do",
        f"  {_srun(job)} &",
        '  steps+=("$!")',
        "done",
    ]


def _srun(job: Job) -> str:
    argv = ["srun", f"--nodes={job.num_nodes}", f"--ntasks={job.num_nodes}", "--kill-on-bad-exit=1"]
    if job.num_nodes > 1:
        argv.append("--label")
    if job.kind == "array":
        argv += ["--exact", "--mem=0", *([f"--gpus-per-node={job.gpus_per_node}"] if job.gpus_per_node else [])]
    # A step does not inherit the job's number of CPUs since Slurm 22.05, and would have one.
    argv.append(Expanded('${SLURM_CPUS_PER_TASK:+"--cpus-per-task=$SLURM_CPUS_PER_TASK"}'))
    return command_line([*argv, *container_argv(job), "bash", "-c", Expanded('"$task"'), "bash"])
