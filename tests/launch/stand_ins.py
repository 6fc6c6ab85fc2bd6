"""Executables that stand for a cluster's: they write down how they were called; `srun` runs a task for each node."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1sgg_cli.launch.job import Job
from r1sgg_cli.launch.sbatch import render_sbatch

# Then it does what the variable ACT_<its name> says, which is a line of shell.
_RECORDER = """\
import json, os, sys
name = os.path.basename(sys.argv[0])
record = {"program": name, "argv": sys.argv[1:], "cwd": os.getcwd(), "environ": dict(os.environ)}
path = os.path.join(os.environ["RECORDS"], f"{name}-{os.getpid()}")
with open(path, "w", encoding="utf-8") as file:
    json.dump(record, file)
os.rename(path, path + ".json")
act = os.environ.get("ACT_" + name.upper())
if act:
    os.execv("/bin/bash", ["bash", "-c", act, *sys.argv])
"""

_SRUN = """\
import os, signal, subprocess, sys
options = dict(word.lstrip("-").partition("=")[::2] for word in sys.argv[1:] if word.startswith("--"))
words = sys.argv[1:]
while words[0].startswith("--"):
    words.pop(0)
first = int(options["nodelist"][1:]) if "nodelist" in options else 0
tasks = []
for node in range(first, first + int(options["nodes"])):
    place = {"SLURM_NODEID": str(node), "SLURM_PROCID": str(node), "BATCH_PID": str(os.getppid())}
    tasks.append(subprocess.Popen(words, env={**os.environ, **place}, start_new_session=True))
def end(*_):
    for task in tasks:
        os.killpg(task.pid, signal.SIGTERM)
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
code = 0
for task in tasks:
    code = max(code, task.wait() % 256)
sys.exit(code)
"""

_SCONTROL_ACT = """\
case "$1 $2" in
"show hostnames") for k in $(seq 0 "$((${SLURM_JOB_NUM_NODES:-1} - 1))"); do echo "n$k"; done ;;
"show job") echo "JobId=$3 PreemptTime=${PREEMPTED:-None}" ;;
requeue*) exit "${REQUEUE_CODE:-0}" ;;
esac
"""


def once_serving(num_servers: int, then: str = "exit 0") -> str:
    """What a trainer does that needs servers."""
    return f'until [ "$(ls "$RECORDS" | grep -c "^vllm-.*json$")" -ge {num_servers} ]; do /bin/sleep 0.05; done; {then}'


@dataclass(frozen=True, slots=True)
class Call:
    """How a stand-in was called."""

    program: str
    argv: list[str]
    cwd: str
    environ: dict[str, str]

    @property
    def node(self) -> int:
        """The node it ran on."""
        return int(self.environ["SLURM_NODEID"])


@dataclass(frozen=True, slots=True)
class Cluster:
    """A folder of stand-ins, and what they wrote down."""

    folder: Path

    @property
    def bin_dir(self) -> Path:
        """Where the stand-ins are."""
        return self.folder / "bin"

    def run(
        self, job: Job, acts: Mapping[str, str] | None = None, **environ: str
    ) -> "subprocess.CompletedProcess[str]":
        """What `bash job.sh` does, as the batch shell of job 42."""
        script = self.folder / "job.sh"
        script.write_text(render_sbatch(job), encoding="utf-8")
        for record in self._records():
            record.unlink()
        variables = {
            "PATH": f"{self.bin_dir}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "RECORDS": str(self.folder / "records"),
            "SLURM_JOB_ID": "42",
            "SLURM_JOB_NODELIST": "n[0-14]",
            "SLURM_JOB_NUM_NODES": str(job.num_nodes),
            "ACT_SCONTROL": _SCONTROL_ACT,
            "ACT_GETENT": "echo '10.0.0.7 STREAM n0'; echo '10.0.0.7 DGRAM'",
            "ACT_SLEEP": "exec /bin/sleep 0.02",
            **{f"ACT_{name.upper()}": act for name, act in (acts or {}).items()},
            **environ,
        }
        return subprocess.run(["bash", str(script)], env=variables, capture_output=True, text=True, timeout=300)

    def calls(self, program: str) -> list[Call]:
        """How often and how a program was called, by node."""
        calls = [Call(**json.loads(path.read_text(encoding="utf-8"))) for path in self._records(program)]
        return sorted(calls, key=lambda call: int(call.environ.get("SLURM_NODEID", -1)))

    def only_call(self, program: str) -> Call:
        """How a program was called, once."""
        (call,) = self.calls(program)
        return call

    def _records(self, program: str = "*") -> Sequence[Path]:
        return sorted((self.folder / "records").glob(f"{program}-*.json"))


def make_cluster(folder: Path) -> Cluster:
    """Write the stand-ins."""
    cluster = Cluster(folder)
    cluster.bin_dir.mkdir(parents=True)
    (folder / "records").mkdir()
    recorded = ("torchrun", "r1sgg", "vllm", "scontrol", "apptainer", "module", "getent", "sleep")
    for name in recorded:
        _write(cluster.bin_dir / name, _RECORDER)
    _write(cluster.bin_dir / "srun", _SRUN_RECORDED)
    return cluster


_SRUN_RECORDED = _RECORDER.partition("act =")[0] + _SRUN


def _write(path: Path, code: str) -> None:
    path.write_text(f"#!{sys.executable} -IS\n{code}", encoding="utf-8")
    path.chmod(0o755)


def as_dict(options: Sequence[str]) -> dict[str, Any]:
    """`--name value` pairs; a flag is True."""
    found: dict[str, Any] = {}
    for word, following in zip(options, [*options[1:], "--"], strict=True):
        if word.startswith("--"):
            found[word] = True if following.startswith("--") else following
    return found
