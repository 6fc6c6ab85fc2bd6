"""Jobs whose scripts are kept whole in `golden/`; `python -m tests.launch.jobs` writes them anew."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1sgg_cli.config.layers import SHIPPED
from r1sgg_cli.config.presets import load_preset
from r1sgg_cli.launch.job import Job, JobKind
from r1sgg_cli.launch.sbatch import render_sbatch

FOLDERS = [folder for folder in SHIPPED if folder.is_dir()]
GOLDEN = Path(__file__).with_name("golden")


def make_job(kind: JobKind, preset: str, overrides: Mapping[str, Any] | None = None, **fields: Any) -> Job:
    """A job in which only what a test is about needs to be said."""
    usual = {
        "name": "grpo",
        "command": ("worker", "/runs/grpo"),
        "folder": Path("/runs/grpo"),
        "work_dir": Path("/home/ana/graphs"),
        "bin_dir": Path("/home/ana/venv/bin"),
        "hub_folders": {"HF_HOME": Path("/data/huggingface")},
    }
    return Job(kind=kind, preset=load_preset(preset, FOLDERS, overrides), **{**usual, **fields})


FINISHED: dict[str, Any] = {"finished_file": Path("/runs/grpo/config.json")}
MODEL: dict[str, Any] = {"model": "Qwen/Qwen2-VL-7B-Instruct", "max_model_len": 3072, "max_pixels": 401_408}
INFER: dict[str, Any] = {
    "name": "infer",
    "command": ("infer", "/runs/grpo", "/runs/answers"),
    "folder": Path("/runs/answers"),
}
EVERYTHING: dict[str, Any] = {
    "slurm": {
        "account": "proj 7",
        "partition": "gpu,gpu-long",
        "qos": "normal",
        "constraint": "a100&80gb",
        "exclude": "n[3,7-9]",
        "reservation": "course#1",
        "gpu_type": "a100",
        "cpus_per_gpu": 6,
        "memory_gib": 400,
        "time_limit": "2-12:00:00",
        "mail_user": "ana@example.org",
        "signal_seconds": 900,
        "max_requeues": 3,
        "exclusive": True,
    },
    "environment": {
        "modules": ["cuda/12.8", "gcc (13)"],
        "activate": "~/envs/r1 sgg",
        "scratch": "/local/$USER/run ${SLURM_JOB_ID}",
        "offline": True,
        "variables": {"NCCL_SOCKET_IFNAME": "ib0", "GREETING": "$HOME isn't `looked up`"},
    },
}


def container(engine: str, **environment: Any) -> dict[str, Any]:
    """Overrides for a preset whose tasks run in an image."""
    image = {"engine": engine, "image": "/images/r1 sgg.sqsh", "mounts": ["/datasets:/datasets:ro"]}
    return {"environment": {"container": image, **environment}}


JOBS = {
    "grpo-a100-16x": make_job("torchrun", "a100-16x", **FINISHED),
    "fused-rtx4090-120x": make_job("torchrun", "rtx4090-120x", **FINISHED, **MODEL),
    "one-server-node": make_job(
        "torchrun",
        "a100-16x",
        {"rollouts": "servers", "servers": {"per_node": 2, "tensor_parallel": 2}, "gpu_memory_utilization": 0.9},
        **FINISHED,
        **MODEL,
    ),
    "infer-array": make_job("array", "a100-16x", num_tasks=16, **INFER),
    "gather-single": make_job("single", "a100-16x", name="gather", command=("gather", "answers", "preds.json")),
    "everything": make_job("torchrun", "a100-4x", EVERYTHING, **FINISHED),
    "pyxis": make_job("torchrun", "a100-4x", container("pyxis"), **FINISHED),
    "apptainer": make_job("array", "a100-4x", container("apptainer", activate="/opt/venv"), num_tasks=2, **INFER),
}

if __name__ == "__main__":
    for name, job in JOBS.items():
        (GOLDEN / f"{name}.sh").write_text(render_sbatch(job), encoding="utf-8")
